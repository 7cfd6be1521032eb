"""``wmcontrol evaluate``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..errors import did_you_mean
from ..keys import key
from ..task_keys import PROTOCOL_NAMES, TaskKeys, objective_key, planner_key, planner_settings_key


@dataclass
class Config(TaskKeys):
    """Judge an agent on tasks, under a protocol: how many it solves, with an interval and a floor beside it.

    Agents: planning, which plans with the model; simulator, which plans alike with the true simulator in the model's
    place, the most that planner and objective can reach; random; noop; and sb3:ALGORITHM:FILE, a policy that
    Stable-Baselines3 saved, as sb3:SAC:policy.zip, or a class of another package, as sb3:sb3_contrib.TQC:policy.zip.
    No-op and random actions are judged in any case.

    Protocols: paper, one plan, all of its 25 steps executed; mpc, a new plan every 5 steps, and twice the time; swm,
    two plans of 25 steps.

    Saved are a line of JSON for each task, tables, plots, videos and report.html, which shows them all. Killed, it goes
    on where it stopped when the same line is run again; finished, it only reports anew.
    """

    example: ClassVar[str] = "model=wall env=wall protocol=mpc planner=icem num_tasks=64 videos=0"

    agent: str = key(
        "who is judged: planning, simulator, random, noop or sb3:ALGORITHM:FILE",
        default="planning",
        example="simulator",
    )
    vecnormalize: Path | None = key(
        "the file that VecNormalize.save wrote, for an sb3 policy that was trained behind VecNormalize",
        default=None,
        example="vecnormalize.pkl",
    )
    protocol: str = key("how they are judged", default="paper", choices=PROTOCOL_NAMES, example="mpc")
    planner: str = planner_key()
    planner_settings: dict[str, Any] = planner_settings_key()
    objective: dict[str, Any] = objective_key()
    history: int | None = key(
        "frames that the model sees at most, one model step apart; before the first plan there is only one, unless "
        "warmup has shown more; by default as many as the model was saved with",
        default=None,
        at_least=1,
        example="3",
    )
    warmup: int | None = key(
        "environment steps of data that are replayed before the agent takes over, while it looks on; history=3 needs "
        "two model steps, 10; by default as many as the model was saved with",
        default=None,
        at_least=0,
        example="10",
    )
    batch: int = key("tasks that run side by side", default=16, at_least=1, example="32")
    device: str = key("where the model works", default="cpu", example="cuda")
    videos: int = key("how many episodes are filmed", default=3, at_least=0, example="0")
    out: Path | None = key(
        "the folder for all of it; by default one of these settings, under outputs/evaluate",
        default=None,
        example="results/wall",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.warmup and self.env is not None:
            raise ValueError(
                f"warmup={self.warmup} replays the steps before a task, which only tasks of data=PATH have"
            )
        known = ("planning", "simulator", "random", "noop")
        if self.agent not in known and not self.agent.startswith("sb3:"):
            raise ValueError(f"agent: {did_you_mean('agent', self.agent, [*known, 'sb3:ALGORITHM:FILE'])}")
        if self.vecnormalize is not None and self.agent in known:
            raise ValueError(f"vecnormalize is for agent=sb3:ALGORITHM:FILE, and agent is {self.agent}")


def run(config: Config) -> None:
    """Judge it."""
    from ..evaluate_job import evaluate_agent

    evaluate_agent(config)
