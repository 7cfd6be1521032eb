"""The predictor: sizes, causality, time, resolution, and what it refuses."""

import math

import pytest
import torch
from helpers import GRID, D, P, clip, small_predictor
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming

from wmcontrol.models.action import ActionConditioned
from wmcontrol.models.predictor import SIZES, Predictor
from wmcontrol.models.rotary import patch_positions, rotate, rotation


def count(module: torch.nn.Module) -> float:
    return sum(parameter.numel() for parameter in module.parameters()) / 1e6


@pytest.mark.parametrize(("size", "millions"), [("base", 86), ("large", 304), ("giant", 1136)])
def test_sizes_have_the_papers_parameter_counts(size: str, millions: float) -> None:
    """The paper says 86M, 304M and 1.1B; its own table of widths and blocks makes the last one 1.136B."""
    with torch.device("meta"):
        predictor = Predictor.from_size(size, dim=768)
        blocks = count(ActionConditioned(predictor, 10)) - count(predictor)
    assert count(predictor) == pytest.approx(millions, rel=0.005)
    if size == "base":
        assert blocks == pytest.approx(22, rel=0.02)


def test_small_has_as_many_parameters_as_a_vit_s() -> None:
    assert count(Predictor.from_size("small", dim=384)) == pytest.approx(21.6, rel=0.01)


def test_tiny_has_about_two_and_a_half_million_with_its_action_blocks() -> None:
    assert count(ActionConditioned(Predictor.from_size("tiny", dim=128), 10)) == pytest.approx(2.5, rel=0.1)


def test_changing_a_frame_changes_no_prediction_of_frames_up_to_it() -> None:
    predictor = small_predictor()
    tokens, times = clip(T=4)
    before = predictor(tokens, times, grid=GRID)
    for t in range(4):
        changed = tokens.clone()
        changed[:, t] += 1
        after = predictor(changed, times, grid=GRID)
        # Output i is frame i + 1: those up to frame t are outputs 0 to t - 1.
        assert torch.equal(after[:, :t], before[:, :t])
        assert (after[:, t:] != before[:, t:]).flatten(2).any(-1).all()


def test_only_time_differences_matter_and_they_do() -> None:
    predictor = small_predictor()
    tokens, times = clip()
    predicted = predictor(tokens, times, grid=GRID)
    for shift in (-3.0, 0.7, 1000.0):
        torch.testing.assert_close(predictor(tokens, times + shift, grid=GRID), predicted, atol=1e-4, rtol=0)
    assert (predictor(tokens, 2 * times, grid=GRID) - predicted).abs().max() > 1e-2


def test_the_same_weights_run_on_other_grids() -> None:
    predictor = small_predictor()
    for grid in ((16, 16), (32, 32), (1, 1), (3, 7)):
        patches = grid[0] * grid[1]
        tokens, times = clip(B=1, T=2, patches=patches)
        assert predictor(tokens, times, grid=grid).shape == (1, 2, patches, D)


def test_a_place_in_the_frame_keeps_its_position_at_every_resolution() -> None:
    coarse = patch_positions((4, 4), -1, 1, torch.device("cpu")).view(4, 4, 2)
    fine = patch_positions((8, 8), -1, 1, torch.device("cpu")).view(8, 8, 2)
    torch.testing.assert_close(fine.view(4, 2, 4, 2, 2).mean((1, 3)), coarse)
    assert coarse[0, 0].tolist() == [-0.75, -0.75]
    assert coarse[3, 0].tolist() == [0.75, -0.75]
    torch.testing.assert_close(patch_positions((1, 1), -1, 1, torch.device("cpu")), torch.zeros(1, 2).double())


def test_rotary_products_depend_on_differences_of_positions_only() -> None:
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 64, dtype=torch.float64)
    place = torch.zeros(1, 2, dtype=torch.float64)

    def product(q_time: float, k_time: float) -> float:
        turned = [
            rotate(x, *rotation(torch.tensor([[time]], dtype=torch.float64), place, 10, torch.float64))
            for x, time in ((q, q_time), (k, k_time))
        ]
        return float((turned[0] * turned[1]).sum())

    assert product(0.3, 0.1) == pytest.approx(product(5.3, 5.1), abs=1e-9)
    assert product(0.3, 0.1) != pytest.approx(product(0.4, 0.1), abs=1e-3)
    assert product(0.2, 0.2) == pytest.approx(float((q * k).sum()))


def test_of_a_head_of_64_sixty_numbers_turn_with_periods_from_a_hundredth_to_a_hundred() -> None:
    time = torch.tensor([[100.0]], dtype=torch.float64)
    cos, sin = rotation(time, torch.zeros(1, 2, dtype=torch.float64), 10, torch.float64)
    assert cos.shape == (1, 1, 1, 30)
    torch.testing.assert_close(cos[..., 9], torch.ones(1, 1, 1).double())  # once around in 100 s
    quarter = rotation(time / 4, torch.zeros(1, 2, dtype=torch.float64), 10, torch.float64)[1]
    torch.testing.assert_close(quarter[..., 9], torch.ones(1, 1, 1).double())
    x = torch.randn(1, 1, 1, 64, dtype=torch.float64)
    turned = rotate(x, cos, sin)
    assert torch.equal(turned[..., 60:], x[..., 60:])
    torch.testing.assert_close(turned.norm(), x.norm())


def test_attention_agrees_with_the_formula_written_out() -> None:
    """One block, one head, one frame: equation 2 and 3 by hand."""
    predictor = small_predictor(torch.float64, depth=1, num_heads=1)
    tokens, times = clip(B=1, T=1, dtype=torch.float64)
    block = predictor.blocks[0]
    x = tokens[0, 0] @ predictor.embed.weight.T + predictor.embed.bias
    patches = patch_positions(GRID, -1, 1, torch.device("cpu"))
    width = predictor.width
    kv = x @ block.attention.key_value.weight.T + block.attention.key_value.bias
    q = predictor.query.expand(P, width)
    normed = torch.nn.functional.layer_norm(q, (width,), block.norm_attention.weight, block.norm_attention.bias)
    query = normed @ block.attention.query.weight.T + block.attention.query.bias
    elapsed = float(times[0, 1] - times[0, 0])
    scores = torch.zeros(P, P, dtype=torch.float64)
    n = predictor.num_periods
    periods = [10 ** (-2 + 4 * i / (n - 1)) for i in range(n)]
    for a in range(P):
        for b in range(P):
            offsets = [elapsed, *(patches[a] - patches[b]).tolist()]
            for axis in range(3):
                for i, period in enumerate(periods):
                    angle = 2 * math.pi * offsets[axis] / period
                    first, second = axis * n + i, 3 * n + axis * n + i
                    q1, q2, k1, k2 = query[a, first], query[a, second], kv[b, first], kv[b, second]
                    scores[a, b] += (q1 * k1 + q2 * k2) * math.cos(angle) + (q1 * k2 - q2 * k1) * math.sin(angle)
            scores[a, b] += (query[a, 6 * n :] * kv[b, 6 * n : width]).sum()
    attended = (scores / math.sqrt(width)).softmax(-1) @ kv[:, width:]
    q = q + attended @ block.attention.out.weight.T + block.attention.out.bias
    q = q + block.mlp(block.norm_mlp(q))
    expected = predictor.head(predictor.norm(q))
    torch.testing.assert_close(predictor(tokens, times, grid=GRID)[0, 0], expected)


@settings(max_examples=25, deadline=None)
@given(
    B=st.integers(1, 3),
    T=st.integers(1, 4),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    S=st.integers(1, 3),
    heads=st.sampled_from([1, 2, 4]),
    depth=st.integers(1, 3),
    mlp_ratio=st.sampled_from([0.5, 2.0, 4.0]),
)
def test_shapes_and_the_cache_hold_for_all_settings(
    B: int, T: int, rows: int, columns: int, S: int, heads: int, depth: int, mlp_ratio: float
) -> None:
    predictor = small_predictor(num_heads=heads, depth=depth, mlp_ratio=mlp_ratio)
    patches = rows * columns
    tokens, times = clip(B, T, patches=patches)
    grid = (rows, columns)
    forward = predictor(tokens, times, grid=grid)
    assert forward.shape == (B, T, patches, D)
    context = predictor.context(tokens, times[:, :-1], grid=grid)
    stepped, _ = predictor.step(context, times[:, -1])
    torch.testing.assert_close(stepped, forward[:, -1], atol=1e-5, rtol=1e-4)
    expanded, _ = predictor.step(context.expand(S), times[:, -1])
    torch.testing.assert_close(expanded, forward[:, -1:].expand(B, S, patches, D), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("settings_", "says"),
    [
        ({"width": 30, "num_heads": 4}, naming("width", 30, 4)),
        ({"depth": 0}, "depth"),
        ({"width": 8, "num_heads": 4}, naming("head", 6, 2)),
        ({"mlp_ratio": 0}, "mlp_ratio"),
        ({"spatial_range": (1, -1)}, "spatial_range"),
        ({"depth": True}, "depth"),
        ({"dim": 1.5}, "dim"),
    ],
)
def test_bad_settings_are_refused(settings_: dict, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        small_predictor(**settings_)


def test_bad_input_is_refused() -> None:
    predictor = small_predictor()
    tokens, times = clip()
    with pytest.raises(ValueError, match=naming("'tiny'", "'base'", "'huge'")):
        Predictor.from_size("huge", dim=4)
    with pytest.raises(ValueError, match=r"\(B, T, 4, 8\).*grid of 2 x 2"):
        predictor(tokens, times, grid=(2, 2))
    with pytest.raises(ValueError, match="times"):
        predictor(tokens, times[:, :-1], grid=GRID)
    with pytest.raises(ValueError, match="ActionConditioned"):
        predictor(tokens, times, torch.zeros(2, 3, 4), grid=GRID)
    with pytest.raises(ValueError, match="times"):
        predictor.context(tokens, times, grid=GRID)
    context = predictor.context(tokens, times[:, :-1], grid=GRID)
    with pytest.raises(ValueError, match="time"):
        predictor.step(context, times)
    with pytest.raises(ValueError, match=naming(3, 2)):
        small_predictor(depth=2).step(context, times[:, -1])
    with pytest.raises(ValueError, match=naming(4)):
        context.expand(4).expand(2)
    with pytest.raises(ValueError, match=naming(0)):
        context.expand(0)
    assert set(SIZES) == {"tiny", "small", "base", "large", "giant"}
