"""Surprise: windows and contexts counted by hand, and who knows what can happen."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from squares import SIDE

from wmcontrol import Predictor, PyramidEncoder, WorldModel
from wmcontrol.forecasting import (
    Film,
    FilmPair,
    FilmPairs,
    ModelForecaster,
    Surprise,
    SurpriseProtocol,
    surprise,
)
from wmcontrol.forecasting.surprises import window_surprise

SMALL = SurpriseProtocol(window=4, frame_step=2, contexts=(1, 2), stride=2)
GREY = np.full((12, SIDE, SIDE, 3), 90, np.uint8)


class Still(Predictor):
    """Foresees that nothing changes, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(8, 24, 1, 2)
        self.asked: list[tuple[Any, Any]] = []

    def context(self, tokens: Any, times: Any, **more: Any) -> Any:
        self.last, self.seen = tokens[:, -1], times.tolist()
        return super().context(tokens, times, **more)

    def step(self, context: Any, time: Any, *_: Any, **more: Any) -> Any:
        self.asked.append((self.seen, time.tolist()))
        return self.last, super().step(context, time, **more)[1]


class Flashes(FilmPairs):
    """Grey films; in the impossible one of "flash" a frame turns bright, in that of "glow" all but the first two."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> FilmPair:
        other, category = GREY.copy(), ("flash", "glow")[index % 2]
        other[6 : 7 if category == "flash" else 12] = 200 + index
        times = np.arange(12) / 10
        return FilmPair(category, Film("grey", GREY, times), Film(f"bright {index}", other, times))

    def settings(self) -> dict[str, Any]:
        return {}


@pytest.fixture
def still(encoder: PyramidEncoder) -> WorldModel:
    return WorldModel(encoder, Still(), control_rate=10, frame_size=(SIDE, SIDE))


def test_surprise_of_windows_worked_by_hand(still: WorldModel, encoder: PyramidEncoder) -> None:
    film = Flashes()[0].impossible  # of frames 0, 2, …, 10, number 3 is bright; windows begin at 0 and 2
    found = window_surprise(ModelForecaster(still), film, SMALL)
    grey, bright = encoder(torch.from_numpy(film.frames[[0, 6]]))
    jump = float((grey - bright).abs().mean())
    # Of 3 frames that follow one, the last is bright; of 2 that follow two, too. In the second window the first of 3
    # is; where two were seen it is the last of them, which is taken to stay, and does not in any of 2.
    assert np.allclose(found, jump * np.array([[1 / 3, 1 / 2], [1 / 3, 1]]))
    later = film._replace(frames=np.roll(film.frames, 2, 0))  # bright is number 4: not in the first window
    assert np.allclose(window_surprise(ModelForecaster(still), later, SMALL), jump * np.array([[0, 0], [1 / 3, 1 / 2]]))


def test_frames_of_windows_that_overlap_are_encoded_once(still: WorldModel) -> None:
    counts: list[int] = []
    hook = still.encoder.register_forward_pre_hook(lambda _, frames: counts.append(len(frames[0])))
    surprise(still, Flashes(), protocol=SurpriseProtocol(window=4, frame_step=2, contexts=(1, 2), stride=1))
    hook.remove()
    assert sum(counts) == 4 * 2 * 6  # films of 6 such frames, in three windows


@pytest.mark.parametrize("way", ["rollout", "direct"])
def test_what_is_seen_and_what_is_asked(way: str, encoder: PyramidEncoder) -> None:
    predictor = Still()
    model = WorldModel(encoder, predictor, control_rate=10, frame_size=(SIDE, SIDE))
    film = Film("grey", GREY, np.arange(12) / 10)
    window_surprise(ModelForecaster(model), film, SurpriseProtocol(window=4, frame_step=3, contexts=(2,), way=way))
    assert [np.round(asked, 3).tolist() for _, asked in predictor.asked] == [[0.6], [0.9]]
    assert np.allclose(predictor.seen, [[0.0, 0.3]])


def test_direct_forecasts_are_those_of_the_frames_seen_and_rollouts_go_on(model: WorldModel) -> None:
    rng = np.random.default_rng(0)
    film = Film("noise", rng.integers(256, size=(8, SIDE, SIDE, 3), dtype=np.uint8), np.arange(8) / 10)
    tokens, times = model.encode(torch.from_numpy(film.frames)[None]), torch.from_numpy(film.times)[None]
    forecaster, protocol = ModelForecaster(model), SurpriseProtocol(window=4, frame_step=1, contexts=(2,), way="direct")
    direct = window_surprise(forecaster, film, protocol)
    far = model.predictor(tokens[:, :2], times[:, [0, 1, 3]], grid=(4, 4))[:, -1]
    near = model.predictor(tokens[:, :2], times[:, :3], grid=(4, 4))[:, -1]
    errors = [(near - tokens[:, 2]).abs().mean().item(), (far - tokens[:, 3]).abs().mean().item()]
    assert direct[0, 0] == pytest.approx(np.mean(errors), rel=1e-4)
    rolled = torch.cat([tokens[:, :2], near[:, None]], 1)
    errors[1] = (model.predictor(rolled, times[:, :4], grid=(4, 4))[:, -1] - tokens[:, 3]).abs().mean().item()
    rollout = window_surprise(forecaster, film, replace(protocol, way="rollout"))
    assert rollout[0, 0] == pytest.approx(np.mean(errors), rel=1e-4)
    assert rollout[0, 0] != pytest.approx(direct[0, 0], rel=1e-6)


def test_what_cannot_happen_surprises(still: WorldModel) -> None:
    steps: list[tuple[int, int]] = []
    found = surprise(still, Flashes(), protocol=SMALL, batch=1, progress=lambda *step: steps.append(step))
    assert steps[-1] == (4, 4)
    assert found.categories == ("flash", "glow") * 2
    assert found.contexts == (1, 2, "mean", "smallest")
    assert (found.accuracy().value, found.auroc().value, found.accuracy("glow", 2).value) == (1, 1, 1)
    assert np.allclose(found.mean[..., 2], found.mean[..., :2].mean(-1))
    assert (found.mean[..., 3] <= found.mean[..., :2].min(-1) + 1e-12).all()
    assert found.table().splitlines()[-1].startswith("| mean | 4 | 100.0 [")
    assert found.to_json()["categories"][0]["relative_accuracy"]["smallest"]["value"] == 1


def test_accuracy_is_of_means_auroc_of_the_largest_and_the_mean_is_of_categories() -> None:
    #                    possible, impossible: of the mean over windows, and of the largest
    mean = np.array([[1, 2], [2, 1], [1, 2], [1, 3], [1, 3.0]])[..., None]
    most = np.array([[5, 4], [5, 6], [5, 9], [1, 0], [1, 0.0]])[..., None]
    found = Surprise(("a", "a", "a", "b", "b"), ("mean",), mean, most)
    assert found.accuracy("a").value == pytest.approx(2 / 3)
    assert found.accuracy().value == pytest.approx((2 / 3 + 1) / 2)
    assert found.auroc("a").value == pytest.approx(6 / 9)
    assert found.auroc("b").value == 0
    assert (found.auroc("b").low, found.auroc("b").high) == (0, 0)
    one = Surprise(("a", "a", "a", "b"), ("mean",), mean[:4], most[:4])  # a pair alone says nothing of others
    assert vars(one.auroc("b")) == {"value": 0, "low": 0, "high": 1}
    assert (one.auroc().low, one.auroc().high, one.auroc("a").high) == (0, 1, found.auroc("a").high)
    assert found.accuracy().low < found.accuracy().value < found.accuracy().high < 1
    with pytest.raises(ValueError, match=naming("category", "c", "a", "b")):
        found.accuracy("c")


def test_films_and_settings_that_do_not_fit_are_named(still: WorldModel) -> None:
    with pytest.raises(ValueError, match=naming("grey", 12, 6, 16)):
        surprise(still, Flashes())
    with pytest.raises(ValueError, match=naming("contexts", 16)):
        SurpriseProtocol(contexts=(2, 16))
    with pytest.raises(ValueError, match=naming("way", "sideways")):
        SurpriseProtocol(way="sideways")
