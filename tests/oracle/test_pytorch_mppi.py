"""MPPI's update against that of pytorch-mppi, with the same noise and the same costs."""

import pytest
import torch
from torch import Tensor

from wmcontrol.planners import MPPI
from wmcontrol.planners.cem import moments
from wmcontrol.planners.mppi import path_weights, spread

K, T, NX = 200, 6, 3
MIXING = torch.linspace(-1.0, 1.0, 4 * NX).view(4, NX)


@pytest.fixture(scope="module")
def pytorch_mppi():
    return pytest.importorskip("pytorch_mppi", reason='pytorch-mppi is not installed: pip install "wmcontrol[oracle]"')


def dynamics(state: Tensor, action: Tensor) -> Tensor:
    return 0.9 * state + torch.sin(action @ MIXING[: action.shape[1]])


def running_cost(state: Tensor, action: Tensor) -> Tensor:
    return ((state - 1) ** 2).sum(1) + 0.1 * (action**2).sum(1)


def covariance(nu: int, full: bool) -> Tensor:
    matrix = torch.diag(torch.linspace(0.3, 1.2, nu))
    return matrix + 0.1 * (torch.ones(nu, nu) - torch.eye(nu)) if full else matrix


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("temperature", [0.05, 1.0, 30.0])
@pytest.mark.parametrize("nu", [1, 2, 4])
@pytest.mark.parametrize(("full", "bound"), [(False, None), (True, None), (False, 0.8)])
def test_update_around_a_plan_with_its_control_cost(
    temperature: float, nu: int, full: bool, bound: float | None, pytorch_mppi
) -> None:
    torch.manual_seed(0)
    start = 0.5 * torch.randn(T, nu)
    limits = {} if bound is None else {"u_min": torch.full((nu,), -bound), "u_max": torch.full((nu,), bound)}
    theirs = pytorch_mppi.MPPI(
        dynamics,
        running_cost,
        NX,
        covariance(nu, full),
        num_samples=K,
        horizon=T,
        lambda_=temperature,
        U_init=start.clone(),
        **limits,
    )
    theirs.command(torch.tensor([0.5, -0.5, 0.2]), shift_nominal_trajectory=False)
    assert float((theirs.cost_total - theirs.cost_total.mean()).abs().max()) > 1  # or all weights would be the same

    weights = path_weights(theirs.cost_total[None], torch.tensor([temperature]))
    mean, std = moments((start + theirs.noise)[None], weights[:, :, None, None], around=start[None])

    torch.testing.assert_close(weights[0], theirs.omega, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(mean[0], theirs.U, rtol=1e-5, atol=1e-5)
    expected = torch.einsum("k,ktn->tn", theirs.omega, theirs.noise**2).sqrt()
    torch.testing.assert_close(std[0], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("nu", [1, 4])
def test_an_iteration_of_the_planner(nu: int, pytorch_mppi) -> None:
    """Its first candidates are their noise; its second iteration begins with its new mean, which is their new plan."""
    state = torch.tensor([0.5, -0.5, 0.2])
    scored: list[tuple[Tensor, Tensor]] = []

    def cost(actions: Tensor) -> Tensor:
        B, S = actions.shape[:2]
        now, total = state.expand(B * S, NX), actions.new_zeros(B * S)
        for t in range(T):
            action = actions[:, :, t].reshape(B * S, nu)
            now = dynamics(now, action)
            total = total + running_cost(now, action)
        scored.append((actions.clone(), total.view(B, S)))
        return scored[-1][1]

    planner = MPPI(num_samples=K, num_iterations=2)
    bound = torch.full((nu,), 1.5)
    generator = torch.Generator().manual_seed(0)
    planner.plan(cost, torch.zeros(1, T, nu), low=-bound, high=bound, generators=[generator])
    (first, costs), (second, _) = scored

    class Theirs(pytorch_mppi.MPPI):
        def _sample_noise(self, shape: tuple[int, ...]) -> Tensor:
            return first[0]

    theirs = Theirs(
        dynamics,
        running_cost,
        NX,
        torch.eye(nu),
        num_samples=K,
        horizon=T,
        lambda_=float(planner.temperature * spread(costs)),
        U_init=torch.zeros(T, nu),
        u_min=-bound,
        u_max=bound,
    )
    theirs.command(state, shift_nominal_trajectory=False)
    torch.testing.assert_close(theirs.cost_total, costs[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(second[0, 0], theirs.U, rtol=1e-5, atol=1e-5)
