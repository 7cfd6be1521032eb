"""Judging agents: tasks, protocols, success with intervals."""

from .evaluate import evaluate
from .intervals import Interval, paired_difference, wilson
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
    "evaluate",
    "paired_difference",
    "wilson",
]
