"""Tasks from the keys of a job."""

from typing import Any

from ..data import Subset, TrajectoryDataset, held_out_split
from ..evaluation import DatasetTasks, Protocol, RandomTasks
from ..evaluation.tasks import Tasks
from .errors import UsageError
from .names import env_id_of
from .progress import progress_bar
from .reader_keys import open_data, reader_settings
from .task_keys import TaskKeys


def find_tasks(config: TaskKeys, protocol: Protocol, warmup: int = 0) -> Tasks:
    """Return the tasks that the keys ask for.

    Args:
        config: the keys.
        protocol: how far goals are away, and how many tasks there are unless the keys say so.
        warmup: environment steps that are replayed before a task begins; only of data.

    Raises:
        UsageError: there are no such tasks.
    """
    num_tasks = config.num_tasks or protocol.num_tasks
    if config.env is not None:
        env_id = env_id_of(config.env)
        return RandomTasks(env_id, num_tasks, seed=config.seed, env_settings=config.settings)
    dataset = _dataset(config, warmup)
    try:
        with progress_bar("finding tasks", "tasks") as progress:
            return DatasetTasks(
                dataset,
                num_tasks,
                seed=config.seed,
                goal_offset=protocol.goal_offset,
                context_steps=warmup,
                progress=progress,
            )
    except (TypeError, ValueError) as error:
        raise UsageError(f"data: {error}") from error


def _dataset(config: TaskKeys, warmup: int) -> TrajectoryDataset:
    """Return the trajectories that tasks may come from, with the settings that their environment is to have."""
    assert config.data is not None
    try:
        whole = open_data(config.data, reader_settings(config))
        chosen: Any = range(len(whole)) if config.split == "all" else held_out_split(len(whole), config.split_seed)[1]
        members = Subset(whole, list(chosen))
    except (FileNotFoundError, ValueError) as error:
        raise UsageError(f"data: {error}") from error
    if whole.env_id is None:
        raise UsageError(f"data: {config.data} does not say which environment it is of; tasks cannot be made of it")
    members.env_settings = {**whole.env_settings, **config.settings}
    if warmup and members.env_settings.get("action_mode") != whole.env_settings.get("action_mode"):
        raise UsageError("settings: with another action_mode than that of data, warmup cannot replay its actions")
    return members
