"""Fast rollouts are the plain ones, for odd shapes, and of the weights as they are."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from helpers import scrambled
from naming import naming

from wmcontrol.encoders import PyramidEncoder
from wmcontrol.hardware import fast_dtype
from wmcontrol.models import ActionConditioned, ActionNormalizer, Predictor, WorldModel, packed
from wmcontrol.models.packed import PackedLinear

A, D = 6, 12


def world_model(dtype: torch.dtype = torch.float32, **settings: Any) -> WorldModel:
    torch.manual_seed(0)
    grid = settings.pop("grid", (1, 1))
    encoder = PyramidEncoder(D, tokens=grid)
    encoder.fit(torch.randint(0, 256, (40, 32, 32, 3), dtype=torch.uint8))
    sizes = {"width": 36, "depth": 3, "num_heads": 2} | settings.pop("sizes", {})
    predictor = scrambled(ActionConditioned(Predictor(D, **sizes), A, action_scale=4.0))
    normalizer = ActionNormalizer([0.1, -0.2], [0.5, 0.25], [-1, -1], [1, 1], frameskip=3)
    model = WorldModel(encoder, predictor, normalizer, control_rate=10, frame_size=(32, 32), **settings)
    model.predictor.to(dtype)
    return model


def seen(B: int, N: int, P: int = 1) -> tuple[torch.Tensor, torch.Tensor | None]:
    generator = torch.Generator().manual_seed(1)
    between = torch.randn(B, N - 1, A, generator=generator) if N > 1 else None
    return torch.randn(B, N, P, D, generator=generator), between


def plans(B: int, S: int, H: int) -> torch.Tensor:
    return torch.randn(B, S, H, A, generator=torch.Generator().manual_seed(2))


def both_ways(model: WorldModel, B: int, N: int, S: int, H: int, last_only: bool) -> tuple[torch.Tensor, torch.Tensor]:
    tokens, between = seen(B, N, model.grid[0] * model.grid[1])
    context = model.context(tokens, actions=between)
    plain = model.rollout(context, plans(B, S, H).requires_grad_(), last_only=last_only).detach()
    with torch.no_grad():
        return model.rollout(context, plans(B, S, H), last_only=last_only), plain


@pytest.mark.parametrize("sizes", [{}, {"depth": 1}, {"width": 30, "num_heads": 1, "mlp_ratio": 1.5}])
@pytest.mark.parametrize(("B", "N", "S", "H"), [(1, 1, 1, 1), (1, 1, 7, 5), (3, 1, 5, 2), (2, 3, 4, 5), (1, 8, 13, 3)])
@pytest.mark.parametrize("last_only", [True, False])
@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_fast_rollouts_are_the_plain_ones(
    grid: tuple[int, int], sizes: Any, B: int, N: int, S: int, H: int, last_only: bool
) -> None:
    fast, plain = both_ways(world_model(sizes=sizes, grid=grid), B, N, S, H, last_only)
    assert fast.shape == plain.shape == (B, S, 1 if last_only else H, grid[0] * grid[1], D)
    torch.testing.assert_close(fast, plain, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
@pytest.mark.parametrize("N", [1, 3])
def test_in_bfloat16_they_are_as_near_to_the_exact_ones_as_the_plain_ones(N: int, grid: tuple[int, int]) -> None:
    fast, plain = both_ways(world_model(torch.bfloat16, grid=grid), 2, N, 50, 5, False)
    exact, _ = both_ways(world_model(torch.float64, grid=grid), 2, N, 50, 5, False)
    assert fast.dtype == plain.dtype == torch.bfloat16
    errors = [(way.double() - exact).square().mean().sqrt() for way in (fast, plain)]
    assert 0 < errors[0] < 1.3 * errors[1] < 0.3 * exact.std()


def test_candidates_that_do_not_fit_into_the_budget_at_once_come_out_the_same() -> None:
    whole, _ = both_ways(world_model(), 2, 2, 7, 3, True)
    parts, _ = both_ways(world_model(memory_budget=1), 2, 2, 7, 3, True)
    torch.testing.assert_close(parts, whole, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("change", [lambda p: p.mul_(1.5), lambda p: p.data.neg_(), lambda p: p.fill_(float("nan"))])
def test_a_new_context_is_rolled_out_with_the_weights_of_now(change: Any) -> None:
    model = world_model()
    before, _ = both_ways(model, 1, 1, 3, 4, True)
    with torch.no_grad():
        change(next(iter(model.predictor.action_blocks[1].mlp.fc2.parameters())))
    after, plain = both_ways(model, 1, 1, 3, 4, True)
    torch.testing.assert_close(after, plain, atol=2e-5, rtol=2e-5, equal_nan=True)
    assert not torch.allclose(after, before, atol=1e-2)


def test_longer_plans_than_the_first_are_rolled_out_from_the_same_context() -> None:
    model, (tokens, _) = world_model(), seen(1, 1)
    context = model.context(tokens)
    for H in (2, 5, 3):
        plain = model.rollout(context, plans(1, 4, H)).detach()
        with torch.no_grad():
            torch.testing.assert_close(model.rollout(context, plans(1, 4, H)), plain, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_what_one_rollout_wrote_does_not_reach_the_next(grid: tuple[int, int]) -> None:
    model = world_model(grid=grid)
    tokens, _ = seen(2, 1, grid[0] * grid[1])
    context, first = model.context(tokens), plans(2, 4, 3)
    with torch.no_grad():
        kept = model.rollout(context, first)
        before = kept.clone()
        for other in (-first, first * float("nan"), first[:, :3], first[:, :, :2]):
            model.rollout(context, other)
        assert torch.equal(kept, before)
        assert torch.equal(model.rollout(context, first), before)


def replaced(model: WorldModel) -> None:
    class Doubled(torch.nn.Linear):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 2 * super().forward(x)

    model.predictor.predictor.blocks[1].mlp.fc1 = Doubled(36, 144)


def hooked(model: WorldModel) -> None:
    model.predictor.predictor.head.register_forward_hook(lambda module, given, made: made + 1)


@pytest.mark.parametrize("change", [replaced, hooked])
def test_what_was_put_into_a_predictor_is_run(change: Any) -> None:
    model = world_model()
    change(model)
    fast, plain = both_ways(model, 1, 1, 3, 4, False)
    torch.testing.assert_close(fast, plain)


def test_a_context_goes_on_with_the_times_of_now() -> None:
    model = world_model()
    context = model.context(seen(1, 1)[0])
    for rate in (10, 20):
        model.control_rate = rate
        with torch.no_grad():
            fast = model.rollout(context, plans(1, 3, 4))
        torch.testing.assert_close(fast, model.rollout(context, plans(1, 3, 4)).detach(), atol=2e-5, rtol=2e-5)


def trained(model: WorldModel) -> None:
    model.train()
    optimizer = torch.optim.AdamW(model.predictor.parameters(), lr=0.1, fused=True)
    for parameter in model.predictor.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    model.eval()


@pytest.mark.parametrize("used", [True, False])
@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        trained,
        lambda model: model.load_state_dict({k: v + 1 for k, v in model.state_dict().items()}),
        lambda model: model.predictor.predictor.load_state_dict(model.predictor.predictor.state_dict()),
        lambda model: model.predictor.to(torch.float64),
        lambda model: setattr(model, "predictor", copy.deepcopy(model.predictor)),
    ],
)
def test_a_context_is_void_once_its_model_is_trained_loaded_converted_or_another(
    change: Any, grad: bool, used: bool
) -> None:
    model, (tokens, _) = world_model(), seen(1, 1)
    context = model.context(tokens)
    with torch.set_grad_enabled(grad):
        model.eval()  # it is so already
        if used:
            model.rollout(context, plans(1, 3, 2))
        with torch.enable_grad():
            change(model)
        with pytest.raises(ValueError, match=naming("context", "trained")):
            model.rollout(context, plans(1, 3, 2))
        model.rollout(model.context(tokens), plans(1, 3, 2))


@pytest.mark.parametrize("grid", [(1, 1), (2, 3)])
def test_threads_may_share_a_context(grid: tuple[int, int]) -> None:
    model = world_model(grid=grid)
    context = model.context(seen(1, 1, grid[0] * grid[1])[0])
    given = [plans(1, 20, 4) * scale for scale in (0.5, 1.0, -1.0, -0.5)]

    def imagine(actions: torch.Tensor) -> torch.Tensor:
        with torch.no_grad():
            return model.rollout(context, actions)

    expected = [imagine(actions) for actions in given]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(imagine, given * 10))
    for imagined, right in zip(found, expected * 10, strict=True):
        torch.testing.assert_close(imagined, right)


def test_contexts_that_are_no_start_are_refused_as_ever() -> None:
    model = world_model()
    context = model.context(seen(1, 1)[0])
    with torch.no_grad():
        with pytest.raises(ValueError, match=naming(3)):
            model.rollout(context.expand(3), plans(1, 3, 2))
        other = world_model(sizes={"depth": 2})
        with pytest.raises(ValueError, match=naming("context", "another model")):
            other.rollout(context, plans(1, 3, 2))


def test_environments_whose_frames_lie_unequally_far_apart_are_rolled_out_at_their_own_times() -> None:
    model, (tokens, _) = world_model(), seen(2, 2)
    context = model.context(tokens, torch.tensor([[0.0, 0.3], [0.0, 0.2]]))
    plain = model.rollout(context, plans(2, 3, 4)).detach()
    with torch.no_grad():
        torch.testing.assert_close(model.rollout(context, plans(2, 3, 4)), plain, atol=2e-5, rtol=2e-5)


def test_what_comes_out_can_be_computed_on_with_gradients() -> None:
    fast, _ = both_ways(world_model(), 1, 1, 3, 2, True)
    weight = torch.ones(D, requires_grad=True)
    (fast * weight).sum().backward()
    assert weight.grad is not None
    assert not fast.is_inference()


def test_a_model_that_has_imagined_can_be_copied_and_pickled() -> None:
    model = world_model()
    fast, _ = both_ways(model, 1, 1, 3, 2, True)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(both_ways(copied, 1, 1, 3, 2, True)[0], fast)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("rows", [1, 3, 50])
def test_packed_linear_maps_are_linear_maps(rows: int, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    # Neither inputs nor bias lie together in memory.
    x, other, weight = (
        torch.randn(*shape, 2, generator=generator).to(dtype)[..., 0] for shape in ((rows, 24), (rows, 10), (10, 24))
    )
    bias = torch.randn(10, 2, generator=generator).to(dtype)[:, 0]
    exact = x.double() @ weight.double().T + bias.double()
    expected = (exact, torch.nn.functional.gelu(exact), exact + other.double())
    here = PackedLinear(weight, bias)
    monkeypatch.setattr(packed, "can_pack", lambda: False)  # as where PyTorch has no such operators
    plain = PackedLinear(weight, bias)
    assert not plain.packed
    for linear in (here, plain):
        for found, right in zip((linear(x), linear.gelu(x), linear.plus(x, other)), expected, strict=True):
            assert found.dtype == dtype
            torch.testing.assert_close(found.double(), right, atol=6e-2 if dtype == torch.bfloat16 else 1e-5, rtol=1e-2)


def test_maps_in_bfloat16_are_packed_where_the_processor_has_arithmetic_for_it() -> None:
    if fast_dtype(torch.device("cpu")) != torch.bfloat16:
        pytest.skip("this processor has no arithmetic for bfloat16")
    linear = PackedLinear(torch.zeros(8, 4, dtype=torch.bfloat16), torch.zeros(8, dtype=torch.bfloat16))
    assert linear.packed, "PyTorch's operators have changed: rollouts are slower, see models/packed.py"


def test_planners_roll_out_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    model = world_model()
    monkeypatch.setattr(ActionConditioned, "step", lambda *_: pytest.fail("the plain way was taken"))
    with torch.no_grad():
        assert model.rollout(model.context(seen(2, 2)[0]), plans(2, 3, 4)).isfinite().all()
