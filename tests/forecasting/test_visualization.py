"""Tokens as colours, attention, and their pictures."""

import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from naming import naming
from squares import Squares
from torch import Tensor

from wmcontrol import Predictor, PyramidEncoder, WorldModel
from wmcontrol.data import ArrayDataset
from wmcontrol.forecasting import TokenColors, save_visualization, visualize
from wmcontrol.models import ActionConditioned, ActionNormalizer, attention_weights
from wmcontrol.models.rotary import rotate


@pytest.fixture(scope="module")
def dataset() -> ArrayDataset:
    frames = [video.frames for video in Squares("depth")]
    return ArrayDataset(frames, [np.full((len(each) - 1, 1), 0.5) for each in frames], control_rate=10)


@pytest.fixture(scope="module")
def acting(encoder: PyramidEncoder) -> WorldModel:
    """One with actions that do something."""
    torch.manual_seed(1)
    predictor = ActionConditioned(Predictor(8, 24, 2, 2), 2)
    for block in predictor.action_blocks:
        torch.nn.init.ones_(block.scale if hasattr(block, "scale") else block.gamma)
    normalizer = ActionNormalizer([0.0], [1.0], [-1.0], [1.0], frameskip=2)
    return WorldModel(encoder, predictor, normalizer, control_rate=10, frame_size=(16, 16))


def test_colors_of_a_clip_of_known_rank_are_its_directions_up_to_sign() -> None:
    generator = torch.Generator().manual_seed(0)
    directions, _ = torch.linalg.qr(torch.randn(7, 3, generator=generator, dtype=torch.float64))
    weights, _ = torch.linalg.qr(torch.randn(40, 3, generator=generator, dtype=torch.float64))
    weights = weights - weights.mean(0)
    weights, _ = torch.linalg.qr(weights)  # uncorrelated, of mean zero
    tokens = 5 + (weights * torch.tensor([9.0, 4.0, 1.0])) @ directions.T
    colors = TokenColors.fit(tokens.view(10, 4, 7))
    torch.testing.assert_close((colors.components @ directions).abs(), torch.eye(3, dtype=torch.float64))
    torch.testing.assert_close(colors.mean, tokens.mean(0))
    assert colors.share == pytest.approx(1)
    projected = colors.project(tokens)
    torch.testing.assert_close(projected.square().sum(0), torch.tensor([81.0, 16.0, 1.0], dtype=torch.float64))
    shown = colors(tokens.view(10, 4, 7), (2, 2))
    assert shown.shape == (10, 2, 2, 3)
    flat, order = shown.flatten(0, 2), projected.argsort(0)
    assert (flat[order[0], range(3)] == 0).all()
    assert (flat[order[-1], range(3)] == 255).all()


def test_three_components_tell_their_share_of_the_variance() -> None:
    corners = torch.cat([torch.diag(torch.tensor([4.0, 3.0, 2.0, 1.0])), -torch.diag(torch.tensor([4.0, 3, 2, 1]))])
    assert TokenColors.fit(corners).share == pytest.approx(29 / 30)


@pytest.mark.parametrize("tokens", [torch.ones(5, 4), torch.rand(5, 2)])
def test_tokens_without_three_colours_are_refused(tokens: Tensor) -> None:
    with pytest.raises(ValueError, match="tokens"):
        TokenColors.fit(tokens)


@torch.no_grad()
@pytest.mark.parametrize("acts", [False, True])
def test_attention_of_every_block_gives_what_the_predictor_gives(model: WorldModel, acting: WorldModel, acts) -> None:
    predictor: Any = deepcopy(acting.predictor if acts else model.predictor)
    core = predictor.predictor if acts else predictor
    for block in core.blocks:  # untrained ones look everywhere alike
        block.attention.query.weight.mul_(20)
        block.attention.key_value.weight.mul_(20)
    tokens = torch.randn(3, 4, 16, 8, generator=torch.Generator().manual_seed(3))
    times = torch.arange(4, dtype=torch.float64).expand(3, 4) / 10
    action = torch.linspace(-1, 1, 6).view(3, 2) if acts else None
    context = predictor.context(tokens, times, grid=(4, 4))
    ahead = times[:, -1] + 0.3
    weights = attention_weights(predictor, context, ahead, action, blocks=[1, 0])
    assert weights.shape == (2, 3, 2, 16, 64)
    torch.testing.assert_close(weights.sum(-1), torch.ones(2, 3, 2, 16))
    # Block for block, with these weights and nothing of the predictor's own attention.
    q = core.query.expand(3, 16, -1)
    for number, block in enumerate(core.blocks):
        found = weights[[1, 0][number]]
        values = context.shared[number][1]
        attended = torch.einsum("bhpn,bhnd->bphd", found, values).flatten(2)
        q = q + block.attention.out(attended)
        q = q + block.mlp(block.norm_mlp(q))
        if acts:
            q = predictor.action_blocks[number](q[:, None], predictor.embedded(action)[:, None])[:, 0]
    expected, _ = predictor.step(context, ahead, action)
    torch.testing.assert_close(core.head(core.norm(q)), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_attention_is_the_softmax_of_scaled_products(model: WorldModel) -> None:
    predictor: Any = model.predictor
    block = predictor.blocks[0]
    context = predictor.context(torch.randn(1, 2, 16, 8), torch.tensor([[0.0, 0.1]]), grid=(4, 4))
    weights = attention_weights(predictor, context, torch.tensor([0.2]), blocks=[0])[0, 0]
    query = block.attention.query(block.norm_attention(predictor.query)).view(2, 12)
    cos, sin = predictor.rotation_at(torch.tensor([[0.2]]), (4, 4), torch.float32)
    for head in range(2):
        keys = context.shared[0][0][0, head]
        turned = rotate(query[head].expand(1, 1, 16, 12), cos, sin)[0, 0]
        for patch in (0, 7):
            scores = np.array([float(turned[patch] @ key) / 12**0.5 for key in keys])
            expected = np.exp(scores) / np.exp(scores).sum()
            np.testing.assert_allclose(weights[head, patch].numpy(), expected, rtol=1e-4)


def test_no_such_block_is_refused(model: WorldModel) -> None:
    context = model.context(torch.zeros(1, 1, 16, 8))
    with pytest.raises(ValueError, match=naming("blocks", 2)):
        attention_weights(model.predictor, context, torch.ones(1), blocks=[2])


def test_frames_after_the_context_are_foreseen_one_after_another(model: WorldModel, dataset: ArrayDataset) -> None:
    found = visualize(model, dataset, 1, start=2, num_frames=5, context_frames=3, step=2)
    frames = dataset[1].frames
    np.testing.assert_array_equal(found.frames, frames.read([2, 4, 6, 8, 10]))
    np.testing.assert_allclose(found.times, [0, 0.2, 0.4, 0.6, 0.8])
    with torch.no_grad():
        tokens = model.encode(torch.from_numpy(found.frames)[None])
        context = model.context(tokens[:, :3], torch.from_numpy(found.times)[None, :3])
        one, context = model.predictor.step(context, torch.tensor([0.6], dtype=torch.float64))
        two, _ = model.predictor.step(context, torch.tensor([0.8], dtype=torch.float64))
    torch.testing.assert_close(found.predicted, torch.cat([one, two]))
    assert found.attention.shape == (2, 16, 3, 16)
    torch.testing.assert_close(found.attention.sum((-1, -2)), torch.ones(2, 16))
    errors, copying = found.errors()
    assert errors[1] == pytest.approx(float((two[0] - tokens[0, 4]).abs().mean()))
    assert copying[1] == pytest.approx(float((tokens[0, 2] - tokens[0, 4]).abs().mean()))
    # The square is 4 pixels wide, as a token is: what changes most is where it leaves or comes.
    changed = (tokens[0, 3] - tokens[0, 2]).square().sum(-1).view(4, 4)
    assert changed[found.query] == changed.max()


def test_a_model_with_actions_is_told_those_of_the_data(acting: WorldModel, dataset: ArrayDataset) -> None:
    found = visualize(acting, dataset, num_frames=4, context_frames=2)
    with torch.no_grad():
        tokens = acting.encode(torch.from_numpy(found.frames)[None])
        told = torch.full((1, 3, 2), 0.5)
        context = acting.context(tokens[:, :2], actions=told[:, :1])
        expected = acting.rollout(context, told[:, None, 1:])[0, 0]
        other = acting.rollout(context, -told[:, None, 1:])[0, 0]
    torch.testing.assert_close(found.predicted, expected)
    assert not torch.allclose(expected, other, atol=1e-3)


@pytest.mark.parametrize(
    ("how", "facts"),
    [
        ({"trajectory": 4}, ("trajectory", 4)),
        ({"num_frames": 13}, (12,)),
        ({"num_frames": 4}, ("context_frames", 4)),
        ({"query": (4, 0)}, ("query", 4)),
        ({"query": (1,)}, ("query", 1)),
        ({"blocks": [0, 5]}, ("blocks", 5)),
        ({"step": 0}, ("step", 0)),
    ],
)
def test_what_cannot_be_drawn_is_named(model: WorldModel, dataset: ArrayDataset, how: dict[str, Any], facts) -> None:
    with pytest.raises(ValueError, match=naming(*facts)):
        visualize(model, dataset, **{"num_frames": 6, "context_frames": 4, **how})


def test_actions_must_be_there_and_fit(acting: WorldModel, dataset: ArrayDataset) -> None:
    with pytest.raises(ValueError, match=naming("step", 2, 3)):
        visualize(acting, dataset, num_frames=3, context_frames=1, step=3)
    silent = ArrayDataset([video.frames for video in Squares("depth")], control_rate=10)
    with pytest.raises(ValueError, match="actions"):
        visualize(acting, silent, num_frames=3, context_frames=1)


@pytest.mark.parametrize("tokens", [16, 1])
def test_pictures_film_and_page_are_saved(
    tmp_path: Path, model: WorldModel, dataset: ArrayDataset, tokens: int
) -> None:
    if tokens == 1:
        single = PyramidEncoder(8)
        single.fit(torch.from_numpy(np.concatenate([video.frames for video in Squares("depth")])))
        model = WorldModel(single, Predictor(8, 24, 2, 2), control_rate=10, frame_size=(16, 16))
    found = visualize(model, dataset, num_frames=5, context_frames=3)
    page = save_visualization(found, tmp_path / "looks").read_text(encoding="utf-8")
    assert len(re.findall("data:image/png;base64,", page)) == 2
    assert len(re.findall("data:video/mp4;base64,", page)) == 1
    assert len(iio.imread(tmp_path / "looks/tokens.mp4")) == 5
    for name in ("tokens.png", "attention.png"):
        picture = iio.imread(tmp_path / "looks" / name)[..., :3]
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 20
        if (name, tokens) == ("tokens.png", 1):  # the curves below the frames
            assert (picture[len(picture) * 2 // 3 :] != 255).any(-1).mean() > 0.005
