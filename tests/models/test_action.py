"""Action blocks: nothing at first, and then only what they may change."""

import pytest
import torch
from helpers import GRID, clip, scrambled, small_predictor
from naming import naming

from wmcontrol.models.action import ActionBlock, ActionConditioned

A = 4


def actions(B: int = 2, T: int = 3) -> torch.Tensor:
    return torch.randn(B, T, A, generator=torch.Generator().manual_seed(2))


def test_at_first_it_returns_bit_for_bit_what_the_predictor_returns() -> None:
    predictor = small_predictor()
    wrapped = ActionConditioned(predictor, A)
    tokens, times = clip()
    expected = predictor(tokens, times, grid=GRID)
    for scale in (0.0, 1.0, 1e6):
        assert torch.equal(wrapped(tokens, times, scale * actions(), grid=GRID), expected)
    context = wrapped.context(tokens, times[:, :-1], grid=GRID)
    plain, _ = predictor.step(context.expand(5), times[:, -1])
    stepped, _ = wrapped.step(context.expand(5), times[:, -1], torch.randn(2, 5, A))
    assert torch.equal(stepped, plain)


@pytest.mark.parametrize("which", ["action_only", "full"])
def test_one_step_of_training_changes_only_what_is_trainable(which: str) -> None:
    predictor = small_predictor()
    wrapped = ActionConditioned(predictor, A)
    count = wrapped.trainable(which)
    own = sum(p.numel() for p in wrapped.parameters()) - sum(p.numel() for p in predictor.parameters())
    assert count == (own if which == "action_only" else sum(p.numel() for p in wrapped.parameters()))
    before = {name: value.clone() for name, value in wrapped.state_dict().items()}
    optimizer = torch.optim.AdamW([p for p in wrapped.parameters() if p.requires_grad], lr=1e-2)
    tokens, times = clip()
    wrapped(tokens, times, actions(), grid=GRID).square().mean().backward()
    optimizer.step()
    changed = {name for name, value in wrapped.state_dict().items() if not torch.equal(value, before[name])}
    assert any(name.endswith("scale") for name in changed)
    assert any(name.startswith("predictor.") for name in changed) == (which == "full")


def test_each_action_changes_its_own_frame_and_no_earlier_one() -> None:
    wrapped = scrambled(ActionConditioned(small_predictor(), A))
    tokens, times = clip()
    before = wrapped(tokens, times, actions(), grid=GRID)
    for t in range(3):
        changed = actions()
        changed[:, t] += 1
        after = wrapped(tokens, times, changed, grid=GRID)
        assert torch.equal(after[:, :t], before[:, :t])
        # Those after it see the frame that it led to, and know of the action.
        assert (after[:, t:] != before[:, t:]).flatten(2).any(-1).all()


def test_the_action_that_led_to_a_frame_is_known_where_it_is_given() -> None:
    wrapped = ActionConditioned(small_predictor(), A)
    tokens, times = clip()
    told, untold = (
        wrapped.context(tokens, times[:, :-1], grid=GRID, actions=known) for known in (actions()[:, :2], None)
    )
    assert torch.equal(told.shared[0][0], untold.shared[0][0])  # zero at the start
    torch.nn.init.normal_(wrapped.embed_arrival.weight)
    told = wrapped.context(tokens, times[:, :-1], grid=GRID, actions=actions()[:, :2])
    P = tokens.shape[2]
    assert torch.equal(told.shared[0][1][:, :, :P], untold.shared[0][1][:, :, :P])  # nothing led to the first
    assert (told.shared[0][1][:, :, P:] != untold.shared[0][1][:, :, P:]).all()
    with pytest.raises(ValueError, match=r"shape \(2, 2, "):
        wrapped.context(tokens, times[:, :-1], grid=GRID, actions=actions())


def test_step_by_step_is_teacher_forced_on_its_own_predictions() -> None:
    """1 and 3 frames of context, 5 steps, single and with candidates."""
    wrapped = scrambled(ActionConditioned(small_predictor(), A))
    for T in (1, 3):
        tokens, _ = clip(T=T)
        times = 0.25 * torch.arange(T + 5, dtype=torch.float64).expand(2, -1)
        plans = torch.randn(2, 4, T + 5, A, generator=torch.Generator().manual_seed(3))
        before = plans[:, 0, : T - 1]
        plans[:, :, : T - 1] = before[:, None]
        context = wrapped.context(tokens, times[:, :T], grid=GRID, actions=before)
        expanded = context.expand(4)
        frames = tokens[:, None].expand(-1, 4, -1, -1, -1)
        for h in range(5):
            new, expanded = wrapped.step(expanded, times[:, T + h], plans[:, :, T - 1 + h])
            for s in range(4):
                expected = wrapped(frames[:, s], times[:, : T + h + 1], plans[:, s, : T + h], grid=GRID)[:, -1]
                torch.testing.assert_close(new[:, s], expected, atol=1e-5, rtol=1e-5)
            frames = torch.cat([frames, new[:, :, None]], 2)


def test_candidates_share_the_keys_of_frames_that_were_seen() -> None:
    wrapped = ActionConditioned(small_predictor(), A)
    tokens, times = clip()
    context = wrapped.context(tokens, times[:, :-1], grid=GRID)
    expanded = context.expand(100)
    for h in range(2):
        _, expanded = wrapped.step(expanded, times[:, -1] + h, torch.randn(2, 100, A))
        assert torch.equal(expanded.last_time, times[:, -1] + h)
        for (keys, values), (old_keys, old_values) in zip(expanded.shared, context.shared, strict=True):
            assert keys.data_ptr() == old_keys.data_ptr()
            assert values.data_ptr() == old_values.data_ptr()
        assert expanded.own is not None
        assert all(keys.shape[:3] == (200, 2, 6 * (h + 1)) for keys, _ in expanded.own)


def test_embeddings_and_updates_are_as_large_as_the_action_scale() -> None:
    plain = scrambled(ActionConditioned(small_predictor(), A))
    scaled = ActionConditioned(plain.predictor, A, action_scale=5.0)
    scaled.load_state_dict(plain.state_dict())
    torch.testing.assert_close(scaled.embedded(actions()), 5 * plain.embedded(actions()))
    block = scrambled(ActionBlock(8))
    larger = ActionBlock(8, 5.0)
    larger.load_state_dict(block.state_dict())
    q, action = torch.randn(2, 6, 8), torch.randn(2, 8)
    torch.testing.assert_close(larger(q, action) - q, 5 * (block(q, action) - q), atol=1e-5, rtol=1e-4)


def test_bad_input_is_refused() -> None:
    wrapped = ActionConditioned(small_predictor(), A)
    tokens, times = clip()
    with pytest.raises(ValueError, match=naming("actions", (2, 3, 4))):
        wrapped(tokens, times, grid=GRID)
    with pytest.raises(ValueError, match=naming("actions", (2, 3, 4), (2, 3, 5))):
        wrapped(tokens, times, torch.zeros(2, 3, 5), grid=GRID)
    context = wrapped.context(tokens, times[:, :-1], grid=GRID)
    with pytest.raises(ValueError, match=naming((2, 7, 4))):
        wrapped.step(context.expand(7), times[:, -1], torch.zeros(2, 4))
    with pytest.raises(ValueError, match=naming("action_only", "full")):
        wrapped.trainable("scratch")
    with pytest.raises(ValueError, match="action_dim"):
        ActionConditioned(small_predictor(), 0)
