"""The masked predictor: principal components, what each frame depends on, and errors."""

from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from torch.nn.functional import layer_norm, smooth_l1_loss

from wmcontrol.models import MaskedPredictor
from wmcontrol.training import PredictionLoss

DIM, GRID = 10, (2, 3)
TOKENS = torch.randn(2, 6, 6, DIM, generator=torch.Generator().manual_seed(0))
TIMES = torch.arange(7.0, dtype=torch.float64).expand(2, 7) / 5


def made(**settings: Any) -> MaskedPredictor:
    torch.manual_seed(1)
    predictor = MaskedPredictor(DIM, 12, 2, 2, num_frames=3, num_components=4, **settings).eval()
    for parameter in predictor.parameters():  # the small ones of the start hide what does not depend on what
        torch.nn.init.normal_(parameter, std=0.3)
    predictor.fit(TOKENS.flatten(0, 2))
    return predictor.requires_grad_(False)


def test_components_are_those_of_scikit_learn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    predictor, every = made(), TOKENS.flatten(0, 2).double().numpy()
    mean, std = every.mean(0), every.std(0)
    pca = decomposition.PCA(4).fit((every - mean) / std)
    expected = pca.transform((every - mean) / std)
    found = predictor.compared(TOKENS.flatten(0, 2)).numpy()
    assert np.allclose(np.abs(found), np.abs(expected), atol=1e-5)  # of either sign
    back = predictor._tokens(torch.from_numpy(found)).numpy()
    assert np.allclose(back, pca.inverse_transform(expected) * std + mean, atol=1e-5)
    assert MaskedPredictor(3072, 8, 1, 1).num_components == 1152  # DINO-Foresight's
    with pytest.raises(ValueError, match=naming("tokens", 3, 4)):
        predictor.fit(TOKENS[0, 0, :3])


def test_one_block_worked_by_hand() -> None:
    """Along time, then within the frame, then the MLP; of one patch and one head, by matrices."""
    torch.manual_seed(0)
    predictor = MaskedPredictor(3, 6, 1, 1, num_frames=2, num_components=3, grid=(1, 2)).eval().requires_grad_(False)
    tokens = torch.randn(1, 2, 2, 3)
    x = torch.cat([predictor.embed(tokens[0]), predictor.query.expand(1, 2, 6)])  # (3 frames, 2 patches, 6)
    time, rows, columns = predictor.positions
    x = x + time[:, None] + rows[0] + columns

    def attend(attention: Any, x: torch.Tensor) -> torch.Tensor:
        keys, values = attention.key_value(x).chunk(2, -1)
        weights = (attention.query(x) @ keys.mT / 6**0.5).softmax(-1)
        return attention.out(weights @ values)

    (first,), (block,) = predictor.time_blocks, predictor.blocks
    x = (x.mT.permute(2, 0, 1) + attend(first.attention, first.norm(x.mT.permute(2, 0, 1)))).permute(1, 0, 2)
    x = x + attend(block.attention, block.norm_attention(x))
    x = x + block.mlp(block.norm_mlp(x))
    expected = predictor.head(layer_norm(x[-1], (6,), predictor.norm.weight, predictor.norm.bias))
    found = predictor(tokens, TIMES[:1, :3], grid=(1, 2))
    assert torch.allclose(found[0, 0], expected, atol=1e-6)


def test_a_frame_depends_on_as_many_before_it_and_clips_on_themselves() -> None:
    predictor = made()
    found = predictor(TOKENS, TIMES, grid=GRID)
    assert found.shape == (2, 4, 6, DIM)  # frames 4 to 7
    changed = TOKENS.clone()
    changed[0, 1] += 1
    moved = (predictor(changed, TIMES, grid=GRID) - found).abs().amax((2, 3)) > 1e-6
    assert moved.tolist() == [[True, True, False, False], [False] * 4]
    changed = TOKENS.clone()
    changed[:, -1, 0] += 1  # one patch reaches all
    assert (predictor(changed, TIMES, grid=GRID) - found)[:, -1].abs().amin(-1).gt(1e-7).all()


def test_steps_are_what_is_predicted_in_parallel_and_a_rollout_sees_itself() -> None:
    predictor = made()
    parallel = predictor(TOKENS, TIMES, grid=GRID)
    context = predictor.context(TOKENS[:, :4], TIMES[:, :4], grid=GRID)  # the first is forgotten
    frame, context = predictor.step(context, TIMES[:, 4])
    assert torch.allclose(frame, parallel[:, 1], atol=1e-5)
    second, _ = predictor.step(context, TIMES[:, 5])
    own = torch.cat([TOKENS[:, 2:4], frame[:, None]], 1)
    assert torch.allclose(second, predictor(own, TIMES[:, :4], grid=GRID)[:, 0], atol=1e-5)


def test_the_loss_is_of_components_of_frames_with_enough_before_them() -> None:
    predictor = made()
    true = predictor.compared(TOKENS[:, 3:])
    found = predictor.compared(predictor(TOKENS[:, :5], TIMES[:, :6], grid=GRID))
    loss = PredictionLoss(predictor, GRID)(TOKENS, TIMES[:, :6], None)
    assert loss.item() == pytest.approx(smooth_l1_loss(found, true, beta=0.1).item(), rel=1e-5)
    with pytest.raises(ValueError, match=naming("rollout_steps")):
        PredictionLoss(predictor, GRID, rollout_steps=2)


def test_positions_of_another_grid_are_interpolated() -> None:
    predictor = made(grid=(2, 3))
    with torch.no_grad():
        predictor.positions[1].copy_(torch.tensor([[0.0], [1.0]]).expand(2, 12))
        for table in (predictor.positions[0], predictor.positions[2]):
            table.zero_()
    rows = predictor._positions((4, 3)).view(4, 4, 3, 12)
    assert torch.allclose(rows, torch.tensor([0.0, 0.25, 0.75, 1.0])[:, None, None].expand(4, 4, 3, 12), atol=1e-6)


def test_too_few_frames_other_steps_and_wrong_settings_are_refused() -> None:
    predictor = made()
    with pytest.raises(ValueError, match=naming("frames", 3, 2)):
        predictor.context(TOKENS[:, :2], TIMES[:, :2], grid=GRID)
    with pytest.raises(ValueError, match=naming("frames", 3, 2)):
        predictor(TOKENS[:, :2], TIMES[:, :3], grid=GRID)
    context = predictor.context(TOKENS[:, :3], TIMES[:, :3], grid=GRID)
    with pytest.raises(ValueError, match=naming("time", 0.2, 0.4)):
        predictor.step(context, TIMES[:, 4])
    with pytest.raises(ValueError, match=naming("tokens", 10, 9)):
        predictor.context(TOKENS[..., :9], TIMES[:, :6], grid=GRID)
    for settings, facts in (
        ({"num_components": 11}, ("num_components", 10, 11)),
        ({"num_frames": 1}, ("num_frames", 1)),
        ({"grid": (0, 3)}, ("grid", 0)),
    ):
        with pytest.raises(ValueError, match=naming(*facts)):
            MaskedPredictor(DIM, 12, 1, 2, **settings)  # type: ignore[arg-type]


def test_positions_stand_out_beside_tokens_from_the_start() -> None:
    """With those of a vision transformer, a tenth as large as tokens, what moves is learned late or never."""
    torch.manual_seed(0)
    predictor = MaskedPredictor(384, num_frames=3, grid=(4, 4))
    tokens = torch.randn(2000, 384, generator=torch.Generator().manual_seed(0))
    predictor.fit(tokens)
    with torch.no_grad():
        ratio = predictor._positions((4, 4)).std() / predictor.embed(predictor.compared(tokens)).std()
    assert 1 < ratio < 10
