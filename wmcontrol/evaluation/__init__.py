"""Judging agents: tasks, protocols, success with intervals."""

from .evaluate import evaluate
from .intervals import Interval, difference_over_seeds, paired_difference, seeds_and_tasks, wilson
from .protocols import PROTOCOLS, Protocol
from .result import Evaluation, difference
from .tasks import DatasetTasks, RandomTasks, Task, Tasks

__all__ = [
    "PROTOCOLS",
    "DatasetTasks",
    "Evaluation",
    "Interval",
    "Protocol",
    "RandomTasks",
    "Task",
    "Tasks",
    "difference",
    "difference_over_seeds",
    "evaluate",
    "paired_difference",
    "seeds_and_tasks",
    "wilson",
]
