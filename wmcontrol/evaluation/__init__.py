"""Evaluating agents: tasks, protocols, success with intervals, reports."""

from .evaluate import evaluate, evaluate_agents, evaluate_and_report
from .intervals import Interval, difference_over_seeds, paired_difference, seeds_and_tasks, wilson
from .practising import PracticePolicy, practice
from .protocols import PROTOCOLS, Protocol
from .reports import Video, film, planner_plot, report
from .result import Evaluation, ResultRow, difference
from .returns import Returns, evaluate_returns
from .specs import AgentSpec, ablations, baseline, baselines, planning_spec, policy_spec
from .tasks import DatasetTasks, RandomTasks, Task, Tasks

__all__ = [
    "PROTOCOLS",
    "AgentSpec",
    "DatasetTasks",
    "Evaluation",
    "Interval",
    "PracticePolicy",
    "Protocol",
    "RandomTasks",
    "ResultRow",
    "Returns",
    "Task",
    "Tasks",
    "Video",
    "ablations",
    "baseline",
    "baselines",
    "difference",
    "difference_over_seeds",
    "evaluate",
    "evaluate_agents",
    "evaluate_and_report",
    "evaluate_returns",
    "film",
    "paired_difference",
    "planner_plot",
    "planning_spec",
    "policy_spec",
    "practice",
    "report",
    "seeds_and_tasks",
    "wilson",
]
