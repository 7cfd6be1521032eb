"""What agents are evaluated on: starts and goals.

Letters: ``n`` numbers in a state, ``a`` in an action, ``w`` environment steps before the start.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count, islice
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from ..checks import check_whole, listed
from ..data import Subset, Trajectory, TrajectoryDataset, held_out_split
from ..envs.making import make_one
from ..envs.registration import bare_id

Floats = NDArray[np.float64]
_REFUSALS = 20  # in a row, before it is clear that the states are not of this environment


@dataclass(frozen=True, eq=False)
class Task:
    """Where one episode starts and what is to be reached.

    Attributes:
        seed: of the environment, for whatever is not given, and of an agent's random numbers.
        state: (n,) where the environment is reset to; None: drawn.
        goal_state: (n,) None: drawn.
        variation: how this world looks; nothing: as usual.
        replay: (w, a) actions that are done before the agent takes over, while it looks on.
        source: where it comes from.
    """

    seed: int
    state: Floats | None = None
    goal_state: Floats | None = None
    variation: Mapping[str, Floats] = field(default_factory=dict)
    replay: Floats = field(default_factory=lambda: np.zeros((0, 0)))
    source: str = ""


class Tasks(Protocol):
    """Tasks in one environment.

    Attributes:
        env_id: the environment.
        env_settings: what it is made with.
        tasks: the same each time.
        redrawn: how many were drawn but left out, by reason.
    """

    env_id: str
    env_settings: Mapping[str, Any]
    tasks: tuple[Task, ...]
    redrawn: Mapping[str, int]

    def describe(self) -> dict[str, Any]:
        """Return what tells these tasks from others, as JSON can write it."""


class DatasetTasks:
    """Starts of recorded trajectories, with goals ``goal_offset`` steps later, or of other trajectories.

    Give it held-out trajectories, or ``split="held_out"``. Each in turn gives a task, from a random place; then each
    gives another one, until there are enough; none comes twice. Fewer tasks of the same seed are the first of more.
    Tasks that are solved at the start are left out and others drawn for them; so are the rare ones that the environment
    refuses to start from, as a block that was pushed out of the field.

    Args:
        dataset: trajectories with states (and actions, for ``context_steps``), of one of our environments.
        num_tasks: how many.
        seed: of the draws.
        goal_offset: environment steps from start to goal. None: the goal is any frame of another trajectory, drawn in
            the start's world, so that nobody knows how far it is.
        context_steps: environment steps before the start, which are replayed while the agent looks on.
        split: which trajectories: held_out, those that finetune holds out; train, the others; or all, of a set that
            nothing was trained on. For example all.
        split_seed: the seed that the model was fine-tuned with, for the split. For example 1.
        env_id: the environment, if the data do not say which.
        env_settings: what it is made with, over what the data say.
        progress: is told how many tasks are found, of how many.

    Raises:
        ValueError: trajectories without states, or too few or too short ones, or of another environment; or an
            ``action_mode`` with which their actions cannot be replayed.
    """

    def __init__(
        self,
        dataset: TrajectoryDataset,
        num_tasks: int = 512,
        *,
        seed: int = 0,
        goal_offset: int | None = 25,
        context_steps: int = 0,
        split: Literal["held_out", "train", "all"] = "all",
        split_seed: int = 0,
        env_id: str | None = None,
        env_settings: Mapping[str, Any] | None = None,
        progress: Callable[[int, int], None] | None = None,
    ):
        check_whole("num_tasks", num_tasks)
        check_whole("seed", seed, least=0)
        if goal_offset is not None:
            check_whole("goal_offset", goal_offset)
        check_whole("context_steps", context_steps, least=0)
        known = env_id or dataset.env_id
        if known is None:
            raise ValueError("the data do not say which environment they are of; give env_id")
        if env_id is None and ":" in known:
            raise ValueError(
                f"the data are of {known!r}, which would import a module because a file says so; give env_id if you "
                "trust it"
            )
        if env_id is not None and dataset.env_id not in (None, bare_id(env_id)):
            raise ValueError(f"env: expected {dataset.env_id}, of which the data are, or nothing; got {env_id}")
        if split != "all":
            train, held_out = held_out_split(len(dataset), split_seed)
            dataset = Subset(dataset, held_out if split == "held_out" else train)
        self.env_id = known
        self.goal_offset = goal_offset
        self.env_settings: Mapping[str, Any] = {**dataset.env_settings, **(env_settings or {})}
        if context_steps and self.env_settings.get("action_mode") != dataset.env_settings.get("action_mode"):
            raise ValueError("env_settings: with another action_mode than that of the data, context_steps replays none")
        self._description = {
            "tasks": "dataset",
            "env_id": known,
            "num_tasks": num_tasks,
            "seed": seed,
            "goal_offset": goal_offset,
            "context_steps": context_steps,
        }
        found: list[Task] = []
        rejected = {"solved": 0, "refused": 0}
        self.redrawn: Mapping[str, int] = rejected
        drawn = (
            (_task(start, goal, context_steps, len(found), seed), start.trajectory)
            for start, goal in _places(dataset, context_steps, goal_offset, seed)
        )
        with closing(make_one(known, {**self.env_settings, "obs_type": "state"})) as env:
            for task in islice(_accepted(drawn, env, known, rejected), num_tasks):
                found.append(task)
                if progress is not None:
                    progress(len(found), num_tasks)
        if len(found) < num_tasks:
            where = "in another" if goal_offset is None else f"{goal_offset} steps ahead"
            raise ValueError(
                f"{num_tasks} tasks were asked for, and {len(dataset)} trajectories have {len(found)} whose goal is "
                f"{where} and not reached at the start ({rejected['solved']} are, "
                f"{rejected['refused']} the environment refused); ask for fewer, or bring more data"
            )
        self.tasks = tuple(found)

    def __repr__(self) -> str:
        return (
            f"DatasetTasks({len(self.tasks)} tasks in {self.env_id!r}, goal_offset={self.goal_offset}, "
            f"seed={self._description['seed']})"
        )

    def describe(self) -> dict[str, Any]:
        """Return the settings, and a digest of the starts and goals."""
        return {**self._description, "env_settings": self.env_settings, "digest": _digest(self.tasks)}


class RandomTasks:
    """Starts and goals as the environment draws them.

    Args:
        env_id: the environment.
        num_tasks: how many.
        seed: of the draws.
        env_settings: what the environment is made with.
    """

    def __init__(
        self, env_id: str, num_tasks: int = 512, *, seed: int = 0, env_settings: Mapping[str, Any] | None = None
    ):
        check_whole("num_tasks", num_tasks)
        check_whole("seed", seed, least=0)
        self.env_id = env_id
        self.env_settings: Mapping[str, Any] = dict(env_settings or {})
        self.redrawn: Mapping[str, int] = {}  # the environment itself draws no task that is solved at the start
        self._description = {"tasks": "random", "env_id": env_id, "num_tasks": num_tasks, "seed": seed}
        self.tasks = tuple(Task(seed=_seed_of(seed, i), source=f"random task {i}") for i in range(num_tasks))

    def __repr__(self) -> str:
        return f"RandomTasks({len(self.tasks)} tasks in {self.env_id!r}, seed={self._description['seed']})"

    def describe(self) -> dict[str, Any]:
        """Return the settings."""
        return {**self._description, "env_settings": self.env_settings}


def _accepted(
    drawn: Iterator[tuple[Task, Trajectory]], env: Any, env_id: str, rejected: dict[str, int]
) -> Iterator[Task]:
    """Yield those tasks that are tasks, and count those that are not."""
    labels, accepted = getattr(env, "state_labels", None), False
    for task, trajectory in drawn:
        # The environment itself takes states without velocities for states at rest, which no recorded state is.
        if labels is not None and task.state is not None and len(task.state) != len(labels):
            raise ValueError(
                f"{trajectory.provenance}: expected states of {len(labels)} numbers ({listed(labels)}), got "
                f"{len(task.state)}; they are not all that {env_id} needs to start from"
            )
        options = {"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)}
        try:
            _, info = env.reset(seed=task.seed, options=options)
        except ValueError as error:
            rejected["refused"] += 1
            if rejected["refused"] >= _REFUSALS and not accepted:
                raise ValueError(f"{trajectory.provenance}: no task can start from these states: {error}") from error
            continue
        if info["is_success"]:
            rejected["solved"] += 1
        else:
            accepted = True
            yield task


class _Place(NamedTuple):
    """A frame of a trajectory."""

    trajectory: Trajectory
    step: int

    def state(self, before: int = 0) -> Floats:
        """Return the state in it, or so many steps before."""
        states = self.trajectory.states
        if states is None:
            raise ValueError(f"{self.trajectory.provenance}: it has no states, which tasks are made of")
        return np.array(states[self.step - before], dtype=np.float64)


def _places(
    dataset: TrajectoryDataset, context_steps: int, goal_offset: int | None, seed: int
) -> Iterator[tuple[_Place, _Place]]:
    """Yield starts and goals: a start in every trajectory once, then in every one a second time, …."""
    lengths = np.asarray(dataset.lengths)
    rooms = lengths - context_steps - (goal_offset or 0)  # how many places each has
    if goal_offset is None and len(lengths) < 2:
        return
    order = np.random.default_rng((seed, 0)).permutation(np.flatnonzero(rooms > 0))
    for turn in count():
        having = [int(i) for i in order if turn < rooms[i]]
        if not having:
            return
        for i in having:
            places = np.random.default_rng((seed, 1, i)).permutation(int(rooms[i]))
            start = _Place(dataset.trajectory(i), context_steps + int(places[turn]))
            if goal_offset is not None:
                yield start, _Place(start.trajectory, start.step + goal_offset)
                continue
            rng = np.random.default_rng((seed, 3, i, turn))
            other = (i + 1 + int(rng.integers(len(lengths) - 1))) % len(lengths)
            yield start, _Place(dataset.trajectory(other), int(rng.integers(lengths[other])))


def _task(start: _Place, goal: _Place, context_steps: int, number: int, seed: int) -> Task:
    trajectory, begin = start.trajectory, start.step - context_steps
    if context_steps and trajectory.actions is None:
        raise ValueError(f"{trajectory.provenance}: it has no actions, which context_steps replay")
    replay = np.zeros((0, 0)) if trajectory.actions is None else trajectory.actions[begin : start.step]
    way = f"steps {start.step} to {goal.step}"
    if goal.trajectory is not trajectory:
        way = f"step {start.step}, to {goal.trajectory.provenance.record}, step {goal.step}"
    return Task(
        seed=_seed_of(seed, number),
        state=start.state(context_steps),
        goal_state=goal.state(),
        variation=dict(trajectory.variation),
        replay=replay.copy(),
        source=f"{trajectory.provenance.record}, {way}",
    )


def _seed_of(seed: int, number: int) -> int:
    return int(np.random.SeedSequence((seed, 2, number)).generate_state(1, np.uint32)[0])


def _digest(tasks: tuple[Task, ...]) -> str:
    digest = hashlib.sha256()
    for task in tasks:
        for array in (task.state, task.goal_state, task.replay, *(v for _, v in sorted(task.variation.items()))):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
