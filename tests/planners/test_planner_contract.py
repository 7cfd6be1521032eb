"""One suite over every planner."""

from collections.abc import Callable

import pytest
from planner_contract import PROMISES, for_choices, reaches_the_optimum
from problems import OF_CHOICES, PROBLEMS
from solvers import PLANNERS, REACHES

from wmcontrol.planners import Planner


@pytest.mark.parametrize("promise", PROMISES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", PLANNERS)
def test_every_planner(name: str, promise: Callable[[Planner], None]) -> None:
    promise(PLANNERS[name])


@pytest.mark.parametrize(
    ("name", "problem"),
    [(name, problem) for name in PLANNERS for problem in (OF_CHOICES if for_choices(PLANNERS[name]) else PROBLEMS)],
)
def test_every_planner_finds_the_optimum(name: str, problem: str) -> None:
    reaches_the_optimum(PLANNERS[name], problem, REACHES.get(name, 0.02))
