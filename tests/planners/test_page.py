"""The planner of the documentation's page keeps what every planner keeps."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from planner_contract import PROMISES, reaches_the_optimum
from problems import PROBLEMS

from wmcontrol.planners import Planner

PAGE = Path(__file__).resolve().parents[2] / "docs" / "planners.md"


@pytest.fixture(scope="module")
def planner() -> Planner:
    if not PAGE.exists():
        pytest.skip("the page is not part of what is installed")
    (block,) = (b for b in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S) if "class " in b)
    assert len(block.strip().splitlines()) <= 22  # imports and blank lines included
    namespace: dict[str, Any] = {"__name__": "page"}
    exec(compile(block, str(PAGE), "exec"), namespace)
    return namespace["LocalSearch"]()


@pytest.mark.parametrize("promise", PROMISES, ids=lambda f: f.__name__)
def test_the_pages_planner_keeps_the_contract(planner: Planner, promise: Callable[[Planner], None]) -> None:
    promise(planner)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_pages_planner_finds_the_optimum(planner: Planner, problem: str) -> None:
    reaches_the_optimum(planner, problem, 0.02)
