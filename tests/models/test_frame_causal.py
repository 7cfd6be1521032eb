"""The baseline predictor: what it sees, what it forgets, and what it shares between candidates."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming

from wmcontrol.models.zoo.frame_causal import FrameCausalPredictor, FrameWindow

SMALL = {"dim": 6, "action_dim": 4, "num_patches": 2, "depth": 2, "heads": 2, "dim_head": 8, "mlp_dim": 16}
GRID = (1, 2)


def make(seed: int = 0, **changes: object) -> FrameCausalPredictor:
    torch.manual_seed(seed)
    return FrameCausalPredictor(**(SMALL | changes)).eval()


def clip(model: FrameCausalPredictor, B: int, T: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return tokens, times and actions."""
    tokens = torch.randn(B, T, model.num_patches, model.dim)
    return tokens, torch.arange(T + 1.0).expand(B, -1), torch.randn(B, T, model.action_dim)


def rolled(
    model: FrameCausalPredictor, context: FrameWindow, actions: torch.Tensor, axis: int = 1
) -> tuple[torch.Tensor, FrameWindow]:
    """Step through actions, (B, H, A) or (B, S, H, A), and return all predictions stacked along ``axis``."""
    predictions = []
    for action in actions.unbind(axis):
        prediction, context = model.step(context, torch.zeros(len(actions)), action)
        predictions.append(prediction)
    return torch.stack(predictions, axis), context


def close(actual: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-5)


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_stepping_equals_the_teacher_forced_forward_within_the_window(data: st.DataObject) -> None:
    def size(most: int, least: int = 1) -> int:
        return data.draw(st.integers(least, most))

    sizes = {"dim": size(8), "action_dim": size(5), "num_frames": size(5), "depth": size(2), "heads": size(3)}
    rows, columns = grid = size(3), size(2)
    model = make(**sizes, dim_head=size(6), proprio_dim=size(3, 0), num_patches=rows * columns)
    B, given_frames = size(3), size(model.num_frames)
    H = model.num_frames - given_frames + 1
    tokens, _, _ = clip(model, B, given_frames)
    actions = torch.randn(B, model.num_frames, model.action_dim)
    past, future = actions[:, : given_frames - 1], actions[:, given_frames - 1 :]
    context = model.context(tokens, torch.zeros(B, given_frames), grid=grid, actions=past)
    predictions, _ = rolled(model, context, future)
    assert predictions.shape == (B, H, rows * columns, model.dim)
    sequence = torch.cat([tokens, predictions[:, :-1]], 1)
    times = torch.zeros(B, model.num_frames + 1)
    close(model(sequence, times, actions, grid=grid)[:, given_frames - 1 :], predictions)


def test_a_frame_or_an_action_changes_only_what_comes_after_it() -> None:
    model = make(num_frames=4)
    tokens, times, actions = clip(model, 2, 4)
    before = model(tokens, times, actions, grid=GRID)
    for t in range(4):
        other, others = tokens.clone(), actions.clone()
        other[:, t] += 1
        others[:, t] += 1
        for after in (model(other, times, actions, grid=GRID), model(tokens, times, others, grid=GRID)):
            assert torch.equal(after[:, :t], before[:, :t])
            assert (after[:, t:] - before[:, t:]).abs().amin((0, 2, 3)).gt(0).all()


def test_every_patch_sees_all_patches_of_its_frame() -> None:
    model = make()
    tokens, times, actions = clip(model, 1, 1)
    other = tokens.clone()
    other[:, :, 1] += 1
    changed = model(other, times, actions, grid=GRID) - model(tokens, times, actions, grid=GRID)
    assert changed[0, 0, 0].abs().max() > 1e-4


def test_the_window_slides_and_forgets_what_leaves_it() -> None:
    model = make(num_frames=3)
    tokens, times, actions = clip(model, 2, 2)
    more = torch.randn(2, 5, model.action_dim)
    context = model.context(tokens, times[:, :-1], grid=GRID, actions=actions[:, :1])
    predictions, last = rolled(model, context, more)
    frames = torch.cat([tokens, predictions], 1)
    all_actions = torch.cat([actions[:, :1], more], 1)
    for h in range(5):
        newest = slice(max(0, h + 2 - 3), h + 2)  # frames up to the one before prediction h
        window, taken = frames[:, newest], all_actions[:, newest]
        expected = model(window, torch.zeros(2, window.shape[1] + 1), taken, grid=GRID)[:, -1]
        close(predictions[:, h], expected)
    assert last.seen.shape[1] == 0
    assert last.predicted.shape[2] == 3


def test_a_context_keeps_only_the_newest_frames() -> None:
    model = make(num_frames=3)
    tokens, times, actions = clip(model, 2, 5)
    long = model.context(tokens, times[:, 1:], grid=GRID, actions=actions[:, :4])
    short = model.context(tokens[:, 2:], times[:, 3:], grid=GRID, actions=actions[:, 2:4])
    assert torch.equal(rolled(model, long, actions[:, :2])[0], rolled(model, short, actions[:, :2])[0])


def test_unknown_past_actions_are_the_mean_action() -> None:
    model = make()
    tokens, times, actions = clip(model, 2, 3)
    without = model.context(tokens, times[:, 1:], grid=GRID)
    zeros = model.context(tokens, times[:, 1:], grid=GRID, actions=torch.zeros(2, 2, 4))
    assert torch.equal(rolled(model, without, actions)[0], rolled(model, zeros, actions)[0])


@pytest.mark.parametrize("given_frames", [1, 3])
def test_candidates_predict_what_they_would_alone_in_any_chunk(given_frames: int) -> None:
    model = make()
    B, S, H = 2, 5, 5
    tokens, times, past = clip(model, B, given_frames)
    context = model.context(tokens, times[:, 1:], grid=GRID, actions=past[:, 1:])
    actions = torch.randn(B, S, H, model.action_dim)
    together, _ = rolled(model, context.expand(S), actions, axis=2)
    assert together.shape == (B, S, H, 2, 6)
    chunks = [rolled(model, context.expand(c.shape[1]), c, axis=2)[0] for c in actions.split([2, 3], 1)]
    close(torch.cat(chunks, 1), together)
    for s in range(S):
        close(rolled(model, context, actions[:, s])[0], together[:, s])
    alone = model.context(tokens[1:], times[1:, 1:], grid=GRID, actions=past[1:, 1:])
    close(rolled(model, alone.expand(S), actions[1:], axis=2)[0], together[1:])


def test_a_context_can_be_branched_after_steps() -> None:
    model = make()
    tokens, times, first = clip(model, 2, 1)
    _, context = model.step(model.context(tokens, times[:, 1:], grid=GRID), torch.zeros(2), first[:, 0])
    actions = torch.randn(2, 3, 4, model.action_dim)
    together, _ = rolled(model, context.expand(3), actions, axis=2)
    for s in range(3):
        close(rolled(model, context, actions[:, s])[0], together[:, s])


def test_candidates_share_the_frames_that_were_seen() -> None:
    model = make()
    tokens, times, _ = clip(model, 2, 2)
    context = model.context(tokens, times[:, 1:], grid=GRID).expand(50)
    for _ in range(2):
        assert context.seen.untyped_storage().data_ptr() == tokens.untyped_storage().data_ptr()
        _, context = model.step(context, torch.zeros(2), torch.zeros(2, 50, 4))


def test_times_change_nothing() -> None:
    model = make()
    tokens, times, actions = clip(model, 2, 3)
    assert torch.equal(model(tokens, times, actions, grid=GRID), model(tokens, 7 + 3 * times, actions, grid=GRID))


def test_gradients_reach_every_action_and_agree_with_differences() -> None:
    model = make().double().requires_grad_(False)
    tokens = torch.randn(1, 1, 2, 6, dtype=torch.float64)
    context = model.context(tokens, torch.zeros(1, 1), grid=GRID).expand(2)
    actions = torch.randn(1, 2, 3, 4, dtype=torch.float64, requires_grad=True)

    def cost(a: torch.Tensor) -> torch.Tensor:
        return rolled(model, context, a, axis=2)[0][:, :, -1].square().sum()

    assert torch.autograd.gradcheck(cost, actions)
    (gradient,) = torch.autograd.grad(cost(actions), actions)
    assert gradient.abs().amin() > 0


def test_dropout_acts_only_while_training() -> None:
    model = make(dropout=0.5)
    tokens, times, actions = clip(model, 2, 3)
    assert torch.equal(model(tokens, times, actions, grid=GRID), model(tokens, times, actions, grid=GRID))
    model.train()
    assert not torch.equal(model(tokens, times, actions, grid=GRID), model(tokens, times, actions, grid=GRID))


def test_settings_rebuild_the_model_from_json() -> None:
    model = make(proprio_dim=3, dropout=0.0)
    again = FrameCausalPredictor(**json.loads(json.dumps(model.settings()))).eval()
    again.load_state_dict(model.state_dict())
    tokens, times, actions = clip(model, 1, 2)
    assert torch.equal(again(tokens, times, actions, grid=GRID), model(tokens, times, actions, grid=GRID))


def test_defaults_have_the_shapes_of_dino_wm() -> None:
    with torch.device("meta"):
        model = FrameCausalPredictor(dim=384, action_dim=10, num_patches=196, proprio_dim=10)
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    block = {
        "0.norm.weight": (404,),
        "0.norm.bias": (404,),
        "0.to_qkv.weight": (3072, 404),
        "0.to_out.0.weight": (404, 1024),
        "0.to_out.0.bias": (404,),
        "1.net.0.weight": (404,),
        "1.net.0.bias": (404,),
        "1.net.1.weight": (2048, 404),
        "1.net.1.bias": (2048,),
        "1.net.4.weight": (404, 2048),
        "1.net.4.bias": (404,),
    }
    expected = {f"transformer.layers.{i}.{name}": shape for i in range(6) for name, shape in block.items()}
    expected |= {"transformer.norm.weight": (404,), "transformer.norm.bias": (404,), "pos_embedding": (1, 588, 404)}
    expected |= {"action_encoder.weight": (10, 10), "action_encoder.bias": (10,), "proprio_embedding": (10,)}
    assert shapes == expected


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": torch.zeros(2, 3, 2, 5)}, naming("tokens", (2, 3, 2, 5))),
        ({"tokens": torch.zeros(2, 0, 2, 6)}, naming("tokens", (2, 0, 2, 6))),
        ({"tokens": torch.zeros(2, 4, 2, 6)}, naming(3, 4)),
        ({"times": torch.zeros(2, 3)}, naming("times", (2, 4), (2, 3))),
        ({"actions": torch.zeros(2, 3, 2)}, naming("actions", (2, 3, 4), (2, 3, 2))),
        ({"grid": (2, 2)}, naming("grid", 2)),
    ],
)
def test_a_wrong_shape_is_named(changes: dict, message: str) -> None:
    good = {"tokens": torch.zeros(2, 3, 2, 6), "times": torch.zeros(2, 4), "actions": torch.zeros(2, 3, 4)}
    with pytest.raises(ValueError, match=message):
        make()(**(good | {"grid": GRID} | changes))


def test_wrong_shapes_are_named_by_context_step_and_branch() -> None:
    model = make()
    tokens = torch.zeros(2, 2, 2, 6)
    with pytest.raises(ValueError, match=naming("times", (2, 2))):
        model.context(tokens, torch.zeros(2, 3), grid=GRID)
    with pytest.raises(ValueError, match=naming("actions", (2, 1, 4), (2, 2, 4))):
        model.context(tokens, torch.zeros(2, 2), grid=GRID, actions=torch.zeros(2, 2, 4))
    context = model.context(tokens, torch.zeros(2, 2), grid=GRID)
    with pytest.raises(ValueError, match=naming("time", (2,))):
        model.step(context, torch.zeros(2, 1), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=naming("action", (2, 4), (2, 3, 4))):
        model.step(context, torch.zeros(2), torch.zeros(2, 3, 4))
    with pytest.raises(ValueError, match=naming("action", (2, 3, 4), (2, 4))):
        model.step(context.expand(3), torch.zeros(2), torch.zeros(2, 4))
    with pytest.raises(ValueError, match=naming(3)):
        context.expand(3).expand(2)
    with pytest.raises(ValueError, match=naming(0)):
        context.expand(0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 0}, naming("heads", 0)),
        ({"dim": 2.0}, "dim"),
        ({"depth": True}, "depth"),
        ({"proprio_dim": -1}, "proprio_dim"),
        ({"dropout": 1.0}, naming("dropout", 1.0)),
    ],
)
def test_impossible_settings_are_refused(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(**changes)
