"""The picture of landmarks shows them where the store's frames have the agent, and the path."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.gallery import landmarks
from wmcontrol import WorldModel
from wmcontrol.data import collect, encode, policies
from wmcontrol.models import Landmarks
from wmcontrol.training import StepsToGoSettings, fit_steps_to_go

ORANGE = (230, 159, 0)


def near(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    return np.abs(picture.astype(int) - color).max(2) < 40


def test_the_picture_shows_the_landmarks_of_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_id = "wmcontrol/Wall-v0"
    base = WorldModel.load("wall")
    data = collect(env_id, policies.random(env_id, num_frames=20), 12, seed=0)
    store = encode(data, base.encoder, tmp_path / "stores")
    settings = StepsToGoSettings(num_steps=2, num_landmarks=60, width=8)
    model = fit_steps_to_go(store, base=base, settings=settings, folder=tmp_path / "run").model
    assert model.landmarks is not None
    nearest = landmarks.nearest_frames(model.landmarks.tokens, store)
    np.testing.assert_array_equal(store.tokens[torch.from_numpy(nearest)].float(), model.landmarks.tokens)
    out = tmp_path / "out.png"
    landmarks.main([str(tmp_path / "run" / "model"), str(store.folder), "--seed", "3", "--out", str(out)])
    assert capsys.readouterr().out == f"{out}\n"
    with Image.open(out) as picture:
        assert picture.size == (landmarks.WIDTH, landmarks.SIDE)
        assert near(np.asarray(picture.convert("RGB")), ORANGE).sum() > 100  # at least the goal's star
    object.__setattr__(store, "states", None)
    with pytest.raises(ValueError, match=store.folder.name):
        landmarks.save_landmarks(model, store, 0, out)


def test_landmarks_have_their_steps_as_colours_and_the_path_is_a_line() -> None:
    tokens = torch.arange(3, dtype=torch.float32)[:, None, None]
    known = Landmarks(1, 1, num_landmarks=3, num_edges=1, reach=2.0)
    known.tokens.copy_(tokens)
    known.edges.copy_(torch.tensor([[0, 1]]))
    places = np.array([[100.0, 500.0], [300.0, 500.0], [500.0, 500.0]])
    ends = np.array([[100.0, 100.0], [500.0, 100.0]])
    white = np.full((landmarks.SIDE, landmarks.SIDE, 3), 255, np.uint8)
    figure = landmarks.drawn(white, known, places, np.array([1.0, 5.0, np.inf]), [1], ends)
    figure.canvas.draw()
    picture = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    assert picture[500, 100].tolist() == [68, 1, 84]  # the ends of viridis
    assert near(picture, ORANGE)[500, 300]  # a landmark of the path
    assert picture[500, 500].max() < 30
    assert picture[500, 200].max() < 255  # an edge
    assert picture[500, 400].min() == 255
    assert near(picture, ORANGE)[300, 200]  # half way from the start to the landmark
    assert near(picture, ORANGE)[100, 500]
