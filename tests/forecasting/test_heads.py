"""Heads: numbers worked by hand, training, and what is kept."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file, save_file
from squares import SIDE, Squares

from wmcontrol import PyramidEncoder
from wmcontrol.forecasting import DenseHead, HeadSettings, confusion_matrix, dense_loss, mean_iou, train_head
from wmcontrol.runs import OtherRunError
from wmcontrol.training import descent

QUICK = HeadSettings(num_steps=150, batch_size=8, learning_rate=0.05)


def by_hand(kind: Any) -> DenseHead:
    """Tokens of one number, 2 on average with a variance of 4 - 1e-5: normalised, (token - 2) / 2."""
    head = DenseHead(kind, 1, ("a", "b") if kind == "segmentation" else ()).eval()
    head.norm.running_mean.fill_(2.0)
    head.norm.running_var.fill_(4.0 - head.norm.eps)
    with torch.no_grad():
        head.linear.weight.copy_(torch.tensor([[1.0], [0.0]])[: len(head.linear.weight)])
        head.linear.bias.copy_(torch.tensor([0.0, 0.5])[: len(head.linear.weight)])
    return head


def test_scores_are_normalised_projected_and_upsampled_between_the_centres_of_patches() -> None:
    head = by_hand("segmentation")
    tokens = torch.tensor([[[2.0], [10.0]]])  # one row of two patches, normalised 0 and 4
    found = head(tokens, grid=(1, 2), size=(1, 4))
    assert found.shape == (1, 2, 1, 4)
    assert torch.allclose(found[0, 0, 0], torch.tensor([0.0, 1.0, 3.0, 4.0]))
    assert torch.allclose(found[0, 1, 0], torch.full((4,), 0.5))


def test_losses_leave_out_pixels_without_a_label() -> None:
    tokens = torch.tensor([[[2.0], [10.0]]])
    classes = dense_loss(by_hand("segmentation"), tokens, torch.tensor([[[1, 255, 0, 255]]], dtype=torch.uint8), (1, 2))
    # Scores (0, 0.5) of class 1 and (3, 0.5) of class 0.
    assert classes.item() == pytest.approx((np.log1p(np.exp(-0.5)) + np.log1p(np.exp(-2.5))) / 2)
    head = by_hand("depth")
    head.mean.fill_(1.0)
    head.std.fill_(2.0)  # depths 1, 3, 7, 9
    depth = dense_loss(head, tokens, torch.tensor([[[0.0, 4.0, 0.0, 5.0]]]), (1, 2))
    assert depth.item() == pytest.approx((0.5**2 + 2.0**2) / 2)


def test_tokens_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=naming(4, 1)):
        by_hand("depth")(torch.zeros(1, 3, 1), grid=(2, 2), size=(4, 4))
    with pytest.raises(ValueError, match="class_names"):
        DenseHead("depth", 4, ["a"])


def test_a_head_learns_where_the_square_is(encoder: PyramidEncoder) -> None:
    head = train_head(Squares("segmentation"), encoder, settings=QUICK, device="cpu").head
    assert not head.training  # 0.47 is what one who sees no square anywhere would have
    head.check_encoder(encoder)
    video = Squares("segmentation", 5)[4]
    tokens = encoder(torch.from_numpy(video.frames))
    found = head(tokens, grid=(4, 4), size=(SIDE, SIDE)).argmax(1)
    assert mean_iou(confusion_matrix(found, torch.from_numpy(video.labels), 2)) > 0.75


def test_a_head_learns_depth_in_metres(encoder: PyramidEncoder) -> None:
    videos = Squares("depth")
    head = train_head(videos, encoder, settings=QUICK, device="cpu").head
    video = videos[0]
    found = head(encoder(torch.from_numpy(video.frames)), grid=(4, 4), size=(SIDE, SIDE))[:, 0].numpy()
    assert np.sqrt(np.mean((found - video.labels) ** 2)) < 0.85 * video.labels.std()


def test_a_killed_run_goes_on_to_the_same_head(
    encoder: PyramidEncoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wmcontrol.forecasting import head_training

    settings = HeadSettings(num_steps=12, batch_size=4, crop=(8, 8), crops_per_frame=2, frames_per_video=3)
    whole = train_head(Squares("segmentation"), encoder, settings=settings, device="cpu").head
    monkeypatch.setattr(descent, "_SAVE_SECONDS", -1)

    def stop(step: int, of: int) -> None:
        if step == 7:
            raise KeyboardInterrupt

    given: dict[str, Any] = {"settings": settings, "device": "cpu", "folder": tmp_path}
    with pytest.raises(KeyboardInterrupt):
        train_head(Squares("segmentation"), encoder, progress=stop, **given)
    assert len(np.load(tmp_path / "tokens.npy")) == 4 * 3 * 2
    monkeypatch.setattr(head_training, "_encode_crops", None)  # each is encoded once
    first = train_head(Squares("segmentation"), encoder, **given)
    for (name, tensor), again in zip(whole.state_dict().items(), first.head.state_dict().values(), strict=True):
        assert torch.equal(tensor, again), name
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("head.json", "head.safetensors", "log.jsonl", "run.json", "training.pt")
    ]
    assert train_head(Squares("segmentation"), encoder, **given).loss == first.loss  # which only reads it
    with pytest.raises(OtherRunError, match=naming("settings.seed", 0, 1)):
        train_head(Squares("segmentation"), encoder, settings=HeadSettings(seed=1), device="cpu", folder=tmp_path)


def test_heads_come_back_from_files_and_broken_ones_are_named(encoder: PyramidEncoder, tmp_path: Path) -> None:
    head = by_hand("segmentation")
    head.encoder = "abc"
    head.save(tmp_path)
    again = DenseHead.load(tmp_path)
    tokens = torch.randn(2, 4, 1)
    assert torch.equal(again(tokens, grid=(2, 2), size=(3, 3)), head(tokens, grid=(2, 2), size=(3, 3)))
    assert (again.class_names, again.encoder, again.training) == (("a", "b"), "abc", False)
    with pytest.raises(ValueError, match="encoder"):
        again.check_encoder(encoder)
    about = json.loads((tmp_path / "head.json").read_text())
    (tmp_path / "head.json").write_text(json.dumps({**about, "dim": 3}))
    with pytest.raises(ValueError, match=naming("head.safetensors", "linear.weight", "(2, 3)")):
        DenseHead.load(tmp_path)
    (tmp_path / "head.json").write_text(json.dumps({**about, "kind": "normals"}))
    with pytest.raises(ValueError, match=naming("head.json", "kind", "normals")):
        DenseHead.load(tmp_path)


@pytest.mark.parametrize(
    ("name", "value"), [("std", math.inf), ("std", 0.0), ("norm.running_var", -1.0), ("norm.running_mean", -math.inf)]
)
def test_a_head_that_computes_no_numbers_is_named(name: str, value: float, tmp_path: Path) -> None:
    by_hand("depth").save(tmp_path)
    tensors = load_file(tmp_path / "head.safetensors")
    tensors[name].fill_(value)
    save_file(tensors, tmp_path / "head.safetensors")
    with pytest.raises(ValueError, match=naming("head.safetensors", name)):
        DenseHead.load(tmp_path)


def test_what_a_kill_at_the_very_end_left_is_removed(encoder: PyramidEncoder, tmp_path: Path) -> None:
    given: dict[str, Any] = {"settings": HeadSettings(num_steps=2, crop=(8, 8)), "device": "cpu", "folder": tmp_path}
    train_head(Squares("depth"), encoder, **given)
    (tmp_path / "tokens.npy").write_bytes(b"large")
    train_head(Squares("depth"), encoder, **given)
    assert not (tmp_path / "tokens.npy").exists()


@pytest.mark.parametrize(
    ("settings", "facts"),
    [({"crop": (20, 8)}, ("crop", "video 0", 20)), ({"crop": 3}, ("crop", 3)), ({"num_steps": 0}, ("num_steps", 0))],
)
def test_settings_that_do_not_fit_are_named(encoder: PyramidEncoder, settings: Any, facts: Any) -> None:
    with pytest.raises(ValueError, match=naming(*facts)):
        train_head(Squares("depth"), encoder, settings=HeadSettings(**settings), device="cpu")


def test_an_encoder_of_a_single_token_is_refused_before_frames_are_encoded(
    monkeypatch: pytest.MonkeyPatch, encoder: PyramidEncoder
) -> None:
    monkeypatch.setattr(PyramidEncoder, "grid", lambda *_: (1, 1))
    monkeypatch.setattr(PyramidEncoder, "forward", lambda *_: pytest.fail("a frame was encoded"))
    with pytest.raises(ValueError, match=naming("encoder", "(8, 8)", "single")):
        train_head(Squares("depth"), encoder, settings=HeadSettings(crop=(8, 8)), device="cpu")


def test_videos_without_labels_are_refused(encoder: PyramidEncoder) -> None:
    with pytest.raises(ValueError, match="labels"):
        train_head(Squares("depth", labelled=[]), encoder, device="cpu")
