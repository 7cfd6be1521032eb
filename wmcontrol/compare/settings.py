"""All that decides the numbers of a comparison, and whether it can be made."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast, get_args

from ..data import TrajectoryDataset, held_out_split, open_dataset, policies
from ..data.collecting import CollectPolicy
from ..data.formats import local_path
from ..encoders.files import encoder_digest
from ..evaluation.protocols import Protocol
from ..evaluation.tasks import DatasetTasks
from ..models import PlanningSettings, Predictor, WorldModel
from ..models.checkpoint import find_folder
from ..planners import Planner
from ..training import FinetuneSettings, PriorSettings
from ..training.modes import Mode


@dataclass(frozen=True, kw_only=True)
class CollectSettings:
    """Trajectories that are collected for a comparison: some to train on, and some that no model ever sees.

    Args:
        env_id: where.
        policy: who acts: a name of :mod:`wmcontrol.data.policies`.
        num_episodes: to train on; a tenth of them is held out from training too.
        num_frames: of an episode, or from how many to how many.
        seed: which episodes.
        num_unseen: episodes that tasks are drawn from.
        unseen_seed: which these are.
    """

    env_id: str
    policy: str
    num_episodes: int
    num_frames: tuple[int, ...]
    seed: int = 0
    num_unseen: int = 200
    unseen_seed: int = 1

    def make_policy(self) -> CollectPolicy:
        """Return who acts.

        Raises:
            ValueError: there is no such policy, or not in this environment, or it needs more than these settings.
        """
        if self.policy not in policies.__all__:
            raise ValueError(f"policy: expected one of {', '.join(policies.__all__)}; got {self.policy!r}")
        try:
            made: CollectPolicy = getattr(policies, self.policy)(
                self.env_id, num_frames=(self.num_frames[0], self.num_frames[-1])
            )
        except TypeError as error:
            raise ValueError(f"policy: {error}") from error
        return made


@dataclass(frozen=True, kw_only=True)
class EnvironmentSettings:
    """One environment of a comparison, and what suits it.

    Args:
        data: trajectories to collect; or the folder of your own, with actions and states, of which a tenth is held out
            for tasks.
        env_id: where agents act; of collected trajectories it need not be said.
        reader: settings of what reads your trajectories, see :func:`~wmcontrol.data.open_dataset`.
        training: of all models that learn from all trajectories; ``seed``, ``split_seed`` and
            ``num_train_trajectories`` are the comparison's.
        planning: how agents plan; horizon and replan interval are the protocol's.
        finished: a finished model that is judged beside them, a folder or a packaged name; by default none.
    """

    data: CollectSettings | str | Path
    env_id: str = ""
    reader: Mapping[str, Any] = field(default_factory=dict)
    training: FinetuneSettings
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    finished: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.data, CollectSettings):
            object.__setattr__(self, "env_id", self.data.env_id)
        elif not self.env_id:
            raise ValueError(f"env_id: say which environment {self.data} is of")


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared, where, and how.

    Args:
        environments: by short names, which stages and folders are called by.
        base: the model that was pretrained without actions: a folder, or a packaged name. For example
            models/base/model.
        modes: ways of fine-tuning: scratch, action_only, full. For example [scratch,full].
        num_train_trajectories: how many trajectories to train on, besides all of them.
        few_steps: optimiser steps with fewer trajectories than all. For example 1000.
        protocol: of the evaluation.
        num_tasks: in each environment.
        oracle_tasks: on how many of them the true simulator is planned with; 0 for none. For example 512.
        planner: searches for plans.
        prior: how an action prior is fitted to the model of the last of the modes, which then plans with it too, beside
            what the prior reaches without a search; by default there is none.
        training_seeds: each model is trained with each: fresh weights, order of windows, and which trajectories are the
            few. Intervals are then over seeds and tasks. For example [0,1,2].
        seed: of tasks and agents, and of which trajectories are held out. For example 1.
    """

    environments: Mapping[str, EnvironmentSettings]
    base: str = "base"
    modes: Sequence[str] = ("scratch", "action_only", "full")
    num_train_trajectories: Sequence[int] = (50,)
    few_steps: int = 300
    protocol: Protocol
    num_tasks: int = 512
    oracle_tasks: int = 128
    planner: Planner
    prior: PriorSettings | None = None
    training_seeds: Sequence[int] = (0,)
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("environments", "modes", "num_train_trajectories", "training_seeds"):
            values = list(getattr(self, name))
            twice = [value for value in values if values.count(value) > 1]
            if twice:
                raise ValueError(f"{name}: {twice[0]} is there twice")
            if not values and name != "num_train_trajectories":
                raise ValueError(f"{name}: expected at least one")
        for mode in self.modes:
            if mode not in get_args(Mode):
                raise ValueError(f"modes: expected some of {', '.join(get_args(Mode))}; got {mode!r}")
        for name, least in (("few_steps", 1), ("num_tasks", 1), ("oracle_tasks", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"{name}: expected a whole number from {least} up, got {getattr(self, name)}")
        if not isinstance(self.planner, Planner):
            raise TypeError(
                f"planner: all models plan with the same one; give a Planner, as CEM(std=2.0) or planner=cem, got "
                f"{self.planner!r}"
            )
        if self.prior is not None and any(given.finished for given in self.environments.values()):
            raise ValueError("prior: finished models bring their own; leave one of them out")
        if self.oracle_tasks > self.num_tasks:
            raise ValueError(f"oracle_tasks: there are {self.num_tasks} tasks, got {self.oracle_tasks}")

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # a process of its own opens what it needs

    def resolved(self) -> "Comparison":
        """Return it with full paths, for processes that run elsewhere."""
        environments = {
            name: replace(
                given,
                data=(
                    given.data
                    if isinstance(given.data, CollectSettings)
                    else local_path(given.data, given.reader.get("camera")).resolve()
                ),
                finished=given.finished and _resolved(given.finished),
            )
            for name, given in self.environments.items()
        }
        return replace(self, environments=environments, base=_resolved(self.base))

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON can write them."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        environments = {name: asdict(settings) for name, settings in self.environments.items()}
        planner = planner_settings(self.planner)
        prior = self.prior and asdict(self.prior)
        return {
            **parts,
            "environments": environments,
            "planner": planner,
            "prior": prior,
            "protocol": self.protocol.as_dict(),
        }

    @cached_property
    def base_digests(self) -> tuple[str, str]:
        """What tells the base's weights from others, and its encoder from others."""
        model = self.base_model
        assert isinstance(model.predictor, Predictor)
        return model.predictor.digest()[:16], encoder_digest(model.encoder)[:16]

    @property
    def image_size(self) -> int:
        """Side of the frames that the base sees, pixels."""
        return self.base_model.frame_size[0]

    @cached_property
    def base_model(self) -> WorldModel:
        """The pretrained model."""
        import torch

        return WorldModel.load(self.base, dtype=torch.float32)

    @cached_property
    def own(self) -> Mapping[str, TrajectoryDataset]:
        """The trajectories that the user brought, opened."""
        return {
            name: open_dataset(Path(given.data), **{**given.reader, "image_size": self.image_size})
            for name, given in self.environments.items()
            if not isinstance(given.data, CollectSettings)
        }

    def num_trained_on(self, name: str) -> int:
        """How many trajectories of an environment there are to train on."""
        data = self.environments[name].data
        count = data.num_episodes if isinstance(data, CollectSettings) else len(self.own[name])
        return len(held_out_split(count, self.seed)[0])

    def tasks(self, name: str, dataset: TrajectoryDataset, count: int) -> DatasetTasks:
        """Draw tasks: from unseen trajectories, or the held-out ones of those that the user brought."""
        given = self.environments[name]
        return DatasetTasks(
            dataset,
            count,
            split="held_out" if name in self.own else "all",
            split_seed=self.seed,
            seed=self.seed,
            goal_offset=self.protocol.goal_offset,
            context_steps=given.planning.context_steps,
            env_id=given.env_id,
        )

    def check(self) -> None:
        """Find out what cannot be done, before anything is.

        Raises:
            ValueError: it says which field.
            OSError: the base or trajectories are not there.
        """
        model = self.base_model
        if model.normalizer is not None or not isinstance(model.predictor, Predictor):
            raise ValueError(f"base: {self.base} takes actions; give a model that was pretrained without them")
        for name, given in self.environments.items():
            if isinstance(given.data, CollectSettings):
                given.data.make_policy()
            if given.finished is not None:
                find_folder(given.finished)
            if name in self.own:
                first = self.own[name].trajectory(0)
                if first.actions is None or self.own[name].control_rate is None:
                    raise ValueError(f"data: {given.data} must have actions and a control rate, to train on")
                try:
                    self.tasks(name, self.own[name], self.num_tasks)
                except ValueError as error:
                    raise ValueError(f"data: {given.data}: {error}") from error
            most = self.num_trained_on(name)
            for count in self.num_train_trajectories:
                if not 1 <= count < most:
                    raise ValueError(
                        f"num_train_trajectories: {name} has {most} trajectories to train on, which all models are "
                        f"trained on anyway; give fewer, and at least one; got {count}"
                    )


def _resolved(folder_or_name: str) -> str:
    """Return the full path of a folder; a packaged name may lie elsewhere on another machine."""
    return str(Path(folder_or_name).resolve()) if Path(folder_or_name).is_dir() else folder_or_name


def planner_settings(planner: Planner) -> dict[str, Any]:
    """Return a planner's name and all of its settings: a default may change."""
    return {"name": type(planner).__name__, **asdict(cast(Any, planner))}
