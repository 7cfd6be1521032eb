"""All that decides the numbers of a comparison, and whether it can be made."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

from ..data import Subset, TrajectoryDataset, held_out_split
from ..encoders.files import encoder_digest
from ..evaluation import DatasetTasks, Protocol
from ..models import Predictor, WorldModel
from ..models.checkpoint import packaged_folder
from .errors import UsageError
from .names import env_id_of
from .planner_names import make_objective, make_planner
from .reader_keys import open_data
from .recipes import Data

Trajectories = Data | Path  # how they are collected, or where the user's lie


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Who is compared, where, and how.

    Args:
        data: the trajectories of each environment, by its short name.
        reader: settings of what reads those of the user.
        base: the pretrained model, a folder or a packaged name.
        modes: of fine-tuning.
        labelled: numbers of trajectories to train on, besides all of them.
        training: keys of ``wmcontrol finetune``, by environment.
        few_steps: ``num_steps`` with fewer trajectories than all.
        protocol: of the evaluation.
        num_tasks: how many, in each environment.
        oracle_tasks: on how many of them the true simulator is planned with; 0 for none.
        planner: its name.
        planner_settings: of it.
        objective: settings of :class:`~wmcontrol.GoalDistance`, and the power that ``standardize`` is, by environment.
        packaged: whether the packaged models are judged beside them.
        warmup: environment steps that agents look on before they act, by environment.
        training_seeds: models of each way differ in these: fresh weights, order of windows, and which trajectories are
            the labelled ones.
        seed: of tasks and agents, and of which trajectories are held out.
    """

    data: Mapping[str, Trajectories]
    reader: Mapping[str, Any] = field(default_factory=dict)
    base: str = str(packaged_folder("base"))
    modes: Sequence[str] = ("scratch", "action_only", "full")
    labelled: Sequence[int] = (50,)
    training: Mapping[str, Mapping[str, Any]]
    few_steps: int = 300
    protocol: Protocol
    num_tasks: int
    oracle_tasks: int
    planner: str = "cem"
    planner_settings: Mapping[str, Any]
    objective: Mapping[str, Mapping[str, Any]]
    packaged: bool = False
    warmup: Mapping[str, int]
    training_seeds: Sequence[int] = (0,)
    seed: int = 0

    @cached_property
    def base_digests(self) -> tuple[str, str]:
        """What tells the base's weights from others, and its encoder from others."""
        model = self._base
        assert isinstance(model.predictor, Predictor)
        digest = hashlib.sha256(json.dumps(model.predictor.settings(), sort_keys=True).encode())
        for name, tensor in sorted(model.predictor.state_dict().items()):
            digest.update(name.encode() + tensor.float().numpy().tobytes())
        return digest.hexdigest()[:16], encoder_digest(model.encoder)[:16]

    @property
    def image_size(self) -> int:
        """Side of the frames that the base sees, pixels."""
        return self._base.frame_size[0]

    @cached_property
    def _base(self) -> WorldModel:
        import torch

        return WorldModel.load(self.base, dtype=torch.float32)

    @cached_property
    def own(self) -> Mapping[str, TrajectoryDataset]:
        """The trajectories that the user brought, opened."""
        settings = {**self.reader, "image_size": self.image_size}
        return {n: open_data(path, settings) for n, path in self.data.items() if isinstance(path, Path)}

    def __getstate__(self) -> dict[str, Any]:
        return {f.name: getattr(self, f.name) for f in fields(self)}  # a process of its own opens what it needs

    def env_id(self, name: str) -> str:
        """Return the Gymnasium id of an environment."""
        return env_id_of(name)

    def trained_on(self, name: str) -> int:
        """How many trajectories there are to train on."""
        data = self.data[name]
        return len(held_out_split(data.episodes if isinstance(data, Data) else len(self.own[name]), self.seed)[0])

    def tasks(self, name: str, dataset: TrajectoryDataset, count: int) -> DatasetTasks:
        """Draw tasks: from unseen trajectories, or the held-out ones of those that the user brought."""
        if isinstance(self.data[name], Path):
            dataset = Subset(dataset, held_out_split(len(dataset), self.seed)[1])
        return DatasetTasks(
            dataset,
            count,
            seed=self.seed,
            goal_offset=self.protocol.goal_offset,
            context_steps=self.warmup[name],
            env_id=self.env_id(name),
        )

    def check(self) -> None:
        """Raise a UsageError for what cannot be done, before anything is.

        Raises:
            UsageError: it says which key.
            OSError, ValueError: of files.
        """
        make_planner(self.planner, self.planner_settings)
        for given in self.objective.values():
            make_objective(given, None)
        if self._base.normalizer is not None or not isinstance(self._base.predictor, Predictor):
            raise UsageError(f"base: {self.base} takes actions; give a model that was pretrained without them")
        if self.oracle_tasks > self.num_tasks:
            raise UsageError(f"oracle_tasks: there are {self.num_tasks} tasks, got {self.oracle_tasks}")
        for name, dataset in self.own.items():
            self._check_own(name, dataset)
        for name in self.data:
            most = self.trained_on(name)
            for count in self.labelled:
                if count >= most:
                    raise UsageError(
                        f"labelled: {name} has {most} trajectories to train on, which all models are trained on "
                        f"anyway; give fewer, got {count}"
                    )

    def _check_own(self, name: str, dataset: TrajectoryDataset) -> None:
        path, env_id = self.data[name], self.env_id(name)
        first = dataset.trajectory(0)
        if first.actions is None or first.states is None or dataset.control_rate is None:
            raise UsageError(f"data: {path} must have actions, states and a control rate, to train on and draw tasks")
        if dataset.env_id not in (None, env_id):
            raise UsageError(f"data: {path} is of {dataset.env_id}, not of {env_id}; give data in the order of env")
        try:
            self.tasks(name, dataset, self.num_tasks)
        except ValueError as error:
            raise UsageError(f"data: {path}: {error}") from error
