"""The picture of ways shows frames of a store from the start of a task to its goal."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from experiments.gallery import ways
from wmcontrol import WorldModel
from wmcontrol.data import collect, encode, policies
from wmcontrol.training import TemporalEmbeddingSettings, fit_temporal_embedding


def test_a_row_shows_the_way_of_each_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_id = "wmcontrol/Wall-v0"
    base = WorldModel.load("wall")
    data = collect(env_id, policies.random(env_id, num_frames=20), 12, seed=0)
    store = encode(data, base.encoder, tmp_path / "stores")
    settings = TemporalEmbeddingSettings(num_steps=2, num_frames=60, width=8, batch_size=16)
    model = fit_temporal_embedding(store, base=base, settings=settings, folder=tmp_path / "run").model
    out = tmp_path / "out.png"
    ways.main([str(tmp_path / "run" / "model"), str(store.folder), "--seeds", "3", "4", "--out", str(out)])
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    red = (pixels[..., 0] > 200) & (pixels[..., 1:].max(2) < 80)  # the dot
    half = len(pixels) // 2
    for row in (red[:half], red[half:]):
        columns = [part.any() for part in np.array_split(row, ways.SHOWN, 1)]
        shown = sum(columns)
        assert 2 <= shown <= ways.SHOWN
        assert columns == [True] * shown + [False] * (ways.SHOWN - shown)
    assert model.temporal_embedding is not None
    model.temporal_embedding = None
    with pytest.raises(ValueError, match="fit_temporal_embedding"):
        ways.save_ways(model, store, [0], out)
