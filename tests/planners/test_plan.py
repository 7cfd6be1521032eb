"""Shifting a plan."""

import pytest
import torch
from naming import naming

from wmcontrol.planners import ICEM, Plan


def a_plan(horizon: int = 4, elites: int = 0) -> Plan:
    actions = torch.arange(1.0, 1 + 2 * horizon * 3).view(2, horizon, 3)
    info = {"elites": 100 + actions[:, None].repeat(1, elites, 1, 1)} if elites else {}
    return Plan(actions=actions, cost=torch.zeros(2), history=torch.zeros(1, 2), info=info)


@pytest.mark.parametrize("steps", [0, 1, 3, 4, 9])
def test_a_shifted_plan_drops_what_was_executed_and_ends_in_zeros(steps: int) -> None:
    plan = a_plan()
    shifted = plan.shift(steps)
    assert shifted.shape == (2, 4, 3)
    assert torch.equal(shifted[:, : max(0, 4 - steps)], plan.actions[:, steps:])
    assert not shifted[:, max(0, 4 - steps) :].any()


def test_elites_come_along_behind_the_plan() -> None:
    plan = a_plan(elites=5)
    shifted = plan.shift(1, elites=True)
    assert shifted.shape == (2, 6, 4, 3)
    assert torch.equal(shifted[:, 0], plan.shift(1))
    assert torch.equal(shifted[:, 3, :3], plan.info["elites"][:, 2, 1:])
    assert torch.equal(a_plan().shift(1, elites=True), a_plan().shift(1)[:, None])


def test_a_negative_shift_is_refused() -> None:
    with pytest.raises(ValueError, match=naming("steps", -1)):
        a_plan().shift(-1)


def test_icem_goes_on_from_the_elites_of_the_last_plan() -> None:
    """With a budget of one iteration, only what came along can be good."""
    target = torch.tensor([[0.5, -0.5], [1.0, 0.0], [-1.0, 1.0]])
    cost = lambda a: ((a - target) ** 2).sum((-1, -2))  # noqa: E731
    low, high = torch.full((2,), -2.0), torch.full((2,), 2.0)
    first = ICEM().plan(cost, torch.zeros(1, 3, 2), low=low, high=high, generators=[torch.Generator()])
    second = ICEM(num_iterations=1).plan(cost, first.shift(0, elites=True), low=low, high=high)
    assert float(second.cost) <= float(first.cost)
    kept = second.info["elites"][0][:, None]
    assert bool((kept == first.info["elites"][0][None]).all((-1, -2)).any())
