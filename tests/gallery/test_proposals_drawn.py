"""The picture of proposals shows them, and the plan, over the frame."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.gallery import proposals
from wmcontrol import WorldModel
from wmcontrol.models import ActionPrior


def test_the_picture_shows_proposals_and_the_plan_of_each_task(tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.prior = ActionPrior(model.encoder.dim, 1, 10, width=8, depth=1)
    model.save(tmp_path / "model")
    proposals.main([f"wall={tmp_path / 'model'}", "--out", str(tmp_path / "out.png"), "--tasks", "2"])
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (2 * (320 + 8) + 8, 320 + 2 * 8)
        drawn = np.asarray(picture.convert("RGB")).astype(int)
    plan = (np.abs(drawn - proposals.COLORS[0]).max(2) < 30).sum(0)
    assert plan[:328].sum() > 20
    assert plan[328:].sum() > 20


def test_thin_lines_are_fainter_than_the_plans() -> None:
    frame = np.full((320, 320, 3), 255, np.uint8)
    across = np.stack([np.linspace(10, 300, 5), np.full(5, 100.0)], 1)
    paths = np.stack([across[None], across[None] + [0, 100]])  # (2, 1, 5, 2)
    drawn = proposals.draw(frame, paths).astype(int)
    assert 255 > drawn[100, 150, 0] > drawn[200, 150, 0] == 0
    assert (drawn[50] == 255).all()


def test_a_model_without_a_prior_is_named() -> None:
    with pytest.raises(SystemExit, match="base"):
        proposals.pictures("wall", "base", 1)
