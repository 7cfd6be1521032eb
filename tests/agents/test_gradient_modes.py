"""Plans are the same whatever gradient mode the caller is in, for every planner, and go on in another."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import pytest
import torch

from wmcontrol import CEM, CMA, ICEM, MPPI, GoalDistance, Gradient, Hybrid, Planner, PlanningAgent, WorldModel
from wmcontrol.agents import LatentCost
from wmcontrol.planners import RandomShooting

PLANNERS: dict[str, Planner] = {
    "CEM": CEM(num_samples=16, num_elites=4, num_iterations=2),
    "ICEM": ICEM(num_samples=16, num_elites=4, num_iterations=2),
    "MPPI": MPPI(num_samples=16, num_iterations=2),
    "CMA": CMA(num_samples=8, num_iterations=2),
    "RandomShooting": RandomShooting(num_samples=16, num_iterations=2),
    "Gradient": Gradient(num_samples=3, num_iterations=3),
    "Hybrid": Hybrid(
        sampling=CEM(num_samples=16, num_elites=4, num_iterations=2),
        refinement=Gradient(num_samples=3, num_iterations=3),
    ),
}
MODES: dict[str, Callable[[], AbstractContextManager]] = {
    "grad": nullcontext,
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
}


@pytest.fixture(scope="module")
def model() -> WorldModel:
    return WorldModel.load("wall")


@pytest.fixture(scope="module")
def frames() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3), dtype=np.uint8)


def agent(model: WorldModel, planner: Planner, metric: str = "cosine") -> PlanningAgent:
    return PlanningAgent(model, planner, GoalDistance(metric), horizon=3, replan_every=5, context_frames=2)


def episode(agent: PlanningAgent, frames: np.ndarray, modes: list[str]) -> np.ndarray:
    """Three decisions, each in a mode of its own; the later ones start from what is left, and from two frames."""
    state, actions = None, []
    for index in range(11):
        observation = {"pixels": frames[index // 5], "goal_pixels": frames[3]}
        with MODES[modes[index // 5]]():
            action, state = agent.predict(observation, state)
        actions.append(action)
    with MODES[modes[-1]]():
        assert np.isfinite(agent.explain(state)[0].cost)
    return np.stack(actions)


@pytest.mark.parametrize("name", PLANNERS)
def test_an_agent_acts_alike_in_every_mode_and_from_one_to_the_next(
    name: str, model: WorldModel, frames: np.ndarray
) -> None:
    made = agent(model, PLANNERS[name])
    expected = episode(made, frames, ["grad"] * 3)
    for modes in (["no_grad"] * 3, ["inference_mode"] * 3, ["inference_mode", "grad", "inference_mode"]):
        assert np.array_equal(episode(made, frames, modes), expected), modes


@pytest.mark.parametrize("name", ["CEM", "Gradient", "Hybrid"])
def test_a_model_that_was_loaded_inside_plans_alike(name: str, model: WorldModel, frames: np.ndarray) -> None:
    with torch.inference_mode():
        inside = WorldModel.load("wall")
    assert not any(tensor.is_inference() for tensor in inside.state_dict().values())
    for modes in (["grad"] * 3, ["inference_mode"] * 3):
        found = episode(agent(inside, PLANNERS[name]), frames, modes)
        assert np.array_equal(found, episode(agent(model, PLANNERS[name]), frames, ["grad"] * 3))


@pytest.mark.parametrize("metric", ["cosine", "l2"])
@pytest.mark.parametrize("name", ["CEM", "Gradient", "Hybrid"])
def test_planning_by_hand_is_alike_inside(name: str, metric: str, model: WorldModel, frames: np.ndarray) -> None:
    def plan(mode: str, then: str) -> torch.Tensor:
        with MODES[mode]():
            tokens = model.encode(torch.from_numpy(frames)[:, None])
            goal = tokens[3:, 0].clone()
            cost = LatentCost(model, model.context(tokens[:1]), goal, GoalDistance(metric))
            low, high = model.normalizer.bounds()
            start = torch.zeros(1, 3, 10)
        with MODES[then]():
            found = PLANNERS[name].plan(cost, start, low=low, high=high, generators=[torch.Generator().manual_seed(1)])
        return found.actions

    expected = plan("grad", "grad")
    assert torch.equal(plan("inference_mode", "inference_mode"), expected)
    assert torch.equal(plan("inference_mode", "grad"), expected)


def test_a_model_made_inside_says_why_it_cannot_be_differentiated(frames: np.ndarray) -> None:
    with torch.inference_mode():
        made = WorldModel.load("wall").double()
    observation = {"pixels": frames[0], "goal_pixels": frames[3]}
    agent(made, PLANNERS["CEM"]).predict(observation)
    with pytest.raises(ValueError, match=r"inference_mode"):
        agent(made, PLANNERS["Gradient"]).predict(observation)


def test_nothing_gathers_on_a_model_that_learns(model: WorldModel, frames: np.ndarray) -> None:
    model.predictor.requires_grad_(True)
    try:
        made = agent(model, PLANNERS["Hybrid"])
        for mode in ("grad", "inference_mode"):
            with MODES[mode]():
                made.predict({"pixels": frames[0], "goal_pixels": frames[3]})
        assert all(parameter.grad is None and parameter.requires_grad for parameter in model.predictor.parameters())
    finally:
        model.predictor.requires_grad_(False)
