"""``wmcontrol bench agents``."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ..keys import key
from ..task_keys import PLANNER_NAMES, TaskKeys


@dataclass
class Config(TaskKeys):
    """Compare planners on the same tasks with the same model: success against seconds per decision.

    Protocol is paper: one plan of 25 steps, all of them executed. Each planner has its own default settings, cem the
    paper's 300 candidates and 30 iterations. So that times can be compared, tasks run one at a time and planners one
    after another: run nothing else meanwhile. With fewer tasks than 128 the intervals are wide.

    A table, the same in JSON, a plot and report.html are saved. Killed, it goes on where it stopped when the same line
    is run again.
    """

    example: ClassVar[str] = "model=wall env=wall planners=cem,icem num_tasks=64"

    model: Path = key("the world model to plan with: a folder, or the name of a packaged one", example="wall")
    num_tasks: int | None = key("how many; null for the protocol's 512", default=128, at_least=1, example="512")
    planners: list[str] | None = key(
        "which; by default all of them, cma only if it is installed",
        default=None,
        choices=PLANNER_NAMES,
        example="cem,icem",
    )
    device: str = key("where the model works", default="cpu", example="cuda")
    out: Path | None = key(
        "the folder for all of it; by default one of these settings, under outputs/bench_agents",
        default=None,
        example="planners",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        names = self.planners
        if names is not None and (not names or len(set(names)) < len(names)):
            raise ValueError(f"planners: expected at least one, each once; got {', '.join(names) or 'none'}")


def run(config: Config) -> None:
    """Compare them."""
    from ..bench_agents import compare_planners

    compare_planners(config)
