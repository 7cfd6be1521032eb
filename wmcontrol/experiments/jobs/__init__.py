"""The jobs of the command line, one file each.

To add one, write ``jobs/NAME.py`` with a dataclass ``Config`` (its docstring is the job's help, its fields are made by
:func:`~wmcontrol.experiments.keys.key`) and a function ``run(config)``, and give it a line in ``JOBS``. The file is
imported for the job's help too, so what is slow to import is imported inside ``run``.

A name may have two words, ``show envs``, whose file is ``jobs/show_envs.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

JOBS = {
    "compare": "compare the three ways of fine-tuning by planning: the paper's Table 4",
    "collect": "collect trajectories in an environment with a policy",
    "convert": "turn trajectories of another layout into a Minari data set",
    "demo": "from nothing to agents that plan, in minutes",
    "encode": "encode the frames of data sets once, for training",
    "evaluate": "judge an agent on tasks, under a protocol",
    "finetune": "train a predictor with actions, in one of three ways",
    "pretrain": "train a predictor without actions, on video",
    "show": "draw a contact sheet of a data set",
    "show episodes": "play one episode of each environment with a scripted policy",
    "show envs": "draw the environments and what about them may vary",
}


@dataclass(frozen=True)
class Job:
    """A job, ready to be explained or run."""

    name: str
    config: type
    run: Callable[[Any], None]


def load_job(name: str) -> Job:
    """Import a job of the table."""
    module = import_module(f".{name.replace(' ', '_')}", __name__)
    return Job(name, module.Config, module.run)
