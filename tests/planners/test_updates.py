"""What planners score, iteration by iteration, is what the formulas in their pages say, computed here once more."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from wmcontrol.planners import CEM, ICEM, MPPI, Gradient, Hybrid, Plan, Planner, Search

Array = NDArray[np.float64]
H, A = 4, 3
LOW, HIGH = np.array([-1.5, -2.0, -0.5]), np.array([2.0, 1.5, 3.0])
GOAL = np.random.default_rng(1).uniform(-1, 1.4, (H, A))
SHAPE = np.random.default_rng(2).normal(size=(H * A, H * A)) / 3
START = np.random.default_rng(3).uniform(-0.4, 1.4, (H, A))


def cost(a: torch.Tensor) -> torch.Tensor:
    """A bowl that is turned, with its bottom inside the bounds for most numbers."""
    away = (a - torch.from_numpy(GOAL)).flatten(2) @ torch.from_numpy(SHAPE)
    return 0.1 + away.square().sum(-1)


def cost_of(a: Array) -> Array:
    return 0.1 + np.square((a - GOAL).reshape(len(a), -1) @ SHAPE).sum(-1)


def gradient_of(a: Array) -> Array:
    return (2 * ((a - GOAL).reshape(len(a), -1) @ SHAPE) @ SHAPE.T).reshape(a.shape)


class Recorded:
    """A planner's run in float64: the noise that it drew, and the candidates that it scored."""

    def __init__(self, planner: Planner, monkeypatch: pytest.MonkeyPatch, more: Array | None = None):
        self.noise: list[Array] = []
        self.betas: list[float] = []
        self.scored: list[Array] = []
        draw = Search.normal

        def normal(search: Search, num_samples: int, noise_beta: float = 0.0) -> torch.Tensor:
            drawn = draw(search, num_samples, noise_beta)
            self.noise.append(drawn[0].numpy().copy())
            self.betas.append(noise_beta)
            return drawn

        def recording(a: torch.Tensor) -> torch.Tensor:
            self.scored.append(a[0].detach().numpy().copy())
            return cost(a)

        monkeypatch.setattr(Search, "normal", normal)
        starts = START[None] if more is None else np.concatenate([START[None], more])[None]
        low, high = torch.from_numpy(LOW), torch.from_numpy(HIGH)
        generators = [torch.Generator().manual_seed(4)]
        self.plan: Plan = planner.plan(recording, torch.from_numpy(starts), low=low, high=high, generators=generators)


def clipped(a: Array) -> Array:
    return np.clip(a, LOW, HIGH)


def best_of(scored: list[Array]) -> Array:
    together = np.concatenate(scored)
    found: Array = together[cost_of(together).argmin()]
    return found


def assert_scored(found: Recorded, expected: list[Array]) -> None:
    assert [len(a) for a in found.scored] == [len(a) for a in expected]
    for iteration, (one, other) in enumerate(zip(found.scored, expected, strict=True)):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8, err_msg=f"iteration {iteration}")
    np.testing.assert_array_equal(found.plan.actions[0].numpy(), best_of(found.scored))


def candidates(mean: Array, std: Array, noise: Array, given: list[Array]) -> Array:
    drawn = mean + std * noise
    for place, one in enumerate(given):
        drawn[place] = one
    return clipped(drawn)


def updated(
    elites: Array, weights: Array, mean: Array, std: Array, momentum: float, floor: float, *, proposed: bool = False
) -> tuple[Array, Array]:
    """Return the elites' weighted mean, and their deviation around the mean that they were drawn from.

    Where some were proposed, it is the deviation around their own, a quarter of the std at the start or more.
    """
    shares = (weights / weights.sum())[:, None, None]
    new_mean = (shares * elites).sum(0)
    new_std = np.sqrt((shares * np.square(elites - (new_mean if proposed else mean))).sum(0))
    if proposed:
        new_std = np.maximum(new_std, std / 4)
    mean = (1 - momentum) * new_mean + momentum * mean
    return mean, np.maximum((1 - momentum) * new_std + momentum * std, floor)


@pytest.mark.parametrize(("momentum", "min_std"), [(0.0, 0.0), (0.3, 0.5)])
def test_cem_goes_on_from_its_elites_its_mean_and_the_best(
    momentum: float, min_std: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = CEM(num_samples=12, num_elites=3, num_iterations=6, std=0.7, momentum=momentum, min_std=min_std)
    found = Recorded(planner, monkeypatch)
    mean, std, given = START, np.full((H, A), 0.7), [START]
    expected: list[Array] = []
    for iteration, noise in enumerate(found.noise):
        expected.append(candidates(mean, std, noise, given))
        elites = expected[-1][cost_of(expected[-1]).argsort()[:3]]
        floor = min_std * 0.7 * (5 - iteration) / 6
        mean, std = updated(elites, np.ones(3), mean, std, momentum, floor)
        given = [mean, best_of(expected)]
    assert_scored(found, expected)
    np.testing.assert_allclose(found.plan.info["elites"][0], elites, atol=1e-8)


@pytest.mark.parametrize(("keep", "kept"), [(0.0, 1), (0.5, 2), (0.6, 2), (1.0, 4)])
def test_icem_weighs_elites_by_rank_keeps_some_and_draws_ever_fewer(
    keep: float, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = ICEM(
        num_samples=20, num_elites=4, num_iterations=6, std=0.7, min_std=0.6, momentum=0.2, decay=1.5, keep=keep
    )
    more = np.random.default_rng(5).uniform(-0.3, 1.2, (2, H, A))
    found = Recorded(planner, monkeypatch, more)
    weights = np.log(4.5) - np.log(np.arange(1, 5))
    mean, std, given = START, np.full((H, A), 0.7), [START, *more]
    expected: list[Array] = []
    for iteration, noise in enumerate(found.noise):
        expected.append(candidates(mean, std, noise, given))
        elites = expected[-1][cost_of(expected[-1]).argsort()[:4]]
        floor = 0.6 * 0.7 * (5 - iteration) / 6
        mean, std = updated(elites, weights, mean, std, 0.2, floor, proposed=iteration == 0)
        given = [mean, *elites[:kept]]
    assert [len(a) for a in found.scored] == [20, 13, 8, 8, 8, 8]
    assert found.betas == [1.0] * 6
    assert_scored(found, expected)


@pytest.mark.parametrize("adapt_std", [True, False])
def test_mppi_averages_by_relative_cost(adapt_std: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    planner = MPPI(
        num_samples=14, num_iterations=6, std=0.7, temperature=0.3, min_std=0.6, adapt_std=adapt_std, noise_beta=0.5
    )
    found = Recorded(planner, monkeypatch)
    mean, std, given = START, np.full((H, A), 0.7), [START]
    expected: list[Array] = []
    floors = 0
    for noise in found.noise:
        expected.append(candidates(mean, std, noise, given))
        costs = cost_of(expected[-1])
        spread = np.sort(costs)[6] - costs.min()  # the lower of the two in the middle of 14
        weights = np.exp((costs.min() - costs) / (0.3 * spread))
        new_mean, new_std = updated(expected[-1], weights, mean, std, 0.0, 0.6 * 0.7)
        mean, std = new_mean, new_std if adapt_std else std
        floors += int((new_std == 0.6 * 0.7).sum())
        given = [mean, best_of(expected)]
    assert found.betas == [0.5] * 6
    assert floors > 10  # the floor is met
    assert_scored(found, expected)


def adam(gradients: list[Array]) -> Array:
    """Kingma and Ba 2015, algorithm 1."""
    first = second = np.zeros_like(gradients[0])
    for gradient in gradients:
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
    n = len(gradients)
    direction: Array = first / (1 - 0.9**n) / (np.sqrt(second / (1 - 0.999**n)) + 1e-8)
    return direction


@pytest.mark.parametrize(("optimizer", "direction"), [("adam", adam), ("sgd", lambda gradients: gradients[-1])])
def test_gradients_are_followed_in_steps_that_get_shorter(
    optimizer: str, direction: Callable[[list[Array]], Array], monkeypatch: pytest.MonkeyPatch
) -> None:
    planner = Gradient(num_samples=5, num_iterations=7, std=0.5, learning_rate=0.4, optimizer=optimizer)  # type: ignore[arg-type]
    more = np.random.default_rng(5).uniform(-0.3, 1.2, (2, H, A))
    found = Recorded(planner, monkeypatch, more)
    actions = np.concatenate([START[None], more, START + 0.5 * found.noise[0]])
    expected, gradients = [clipped(actions)], []
    for iteration in range(6):
        gradients.append(gradient_of(expected[-1]))
        scale = np.sqrt(np.square(gradients[0]).mean((1, 2), keepdims=True))
        rate = 0.4 * 0.5 * (1 + math.cos(math.pi * iteration / 7))
        expected.append(clipped(expected[-1] - rate * direction([g / scale for g in gradients])))
    assert_scored(found, expected)


def test_a_hybrid_refines_the_best_and_the_elites_after_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sampling = CEM(num_samples=12, num_elites=4, num_iterations=2, std=0.7)
    refinement = Gradient(num_samples=6, num_iterations=2, std=0.3, learning_rate=0.1)
    found = Recorded(Hybrid(sampling=sampling, refinement=refinement), monkeypatch)
    best = best_of(found.scored[:2])
    second = found.scored[1][cost_of(found.scored[1]).argsort()[1:4]]
    starts = np.concatenate([best[None], second, best + 0.3 * found.noise[2]])
    np.testing.assert_allclose(found.scored[2], clipped(starts), atol=1e-8)
    assert [len(a) for a in found.scored] == [12, 12, 6, 6]


def test_cem_rests_when_no_elite_is_further_off_than_the_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"num_samples": 12, "num_elites": 3, "num_iterations": 30, "std": 0.7, "min_std": 0.0}
    found = Recorded(CEM(**settings), monkeypatch)
    mean, apart = START, []
    for scored in found.scored:
        elites = scored[cost_of(scored).argsort()[:3]]
        apart.append(np.sqrt(np.square(elites - mean).mean(0)).max())
        mean = elites.mean(0)
    enough = next(i for i in range(3, 30) if apart[i] < min(apart[:i]))
    monkeypatch.undo()
    for tolerance, iterations in ((apart[enough] + 1e-9, enough + 1), (0.0, 30)):
        rests = Recorded(CEM(**settings, tolerance=tolerance), monkeypatch)
        assert rests.plan.info["iterations"].tolist() == [iterations]
        monkeypatch.undo()


def test_a_budget_is_fixed_unless_a_tolerance_is_asked_for() -> None:
    """Also where all elites are one and the same candidate."""
    start = torch.zeros(1, H, A, dtype=torch.float64)
    zeros = torch.zeros(A, dtype=torch.float64)
    planner = CEM(num_samples=5, num_elites=2, num_iterations=4)
    found = planner.plan(cost, start, low=zeros, high=zeros)
    assert found.info["iterations"].tolist() == [4]


def test_a_start_that_is_one_candidate_many_times_is_scored_as_many() -> None:
    start = torch.from_numpy(START)[None, None].expand(1, 3, H, A)
    search = Search(cost, start, torch.from_numpy(LOW), torch.from_numpy(HIGH))
    actions, costs = search.score(torch.from_numpy(START)[None, None].expand(1, 4, H, A) + 0)
    expanded, same = search.score(torch.from_numpy(START)[None, None].expand(1, 4, H, A))
    assert torch.equal(expanded, actions)
    assert torch.equal(same, costs)
    expanded[:, 0] = 7.0
    assert not (expanded[:, 1] == 7.0).any()
