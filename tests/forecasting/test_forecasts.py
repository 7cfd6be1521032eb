"""Forecasts: which frames are seen, floor and ceiling, and numbers that are counted here once more."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from squares import SIDE, Squares

from wmcontrol import ActionConditioned, ActionNormalizer, Predictor, PyramidEncoder, WorldModel
from wmcontrol.forecasting import (
    Case,
    DenseHead,
    ForecastProtocol,
    HeadSettings,
    confusion_matrix,
    distance_plot,
    forecast,
    how_far,
    mean_iou,
    train_head,
)
from wmcontrol.forecasting.tiles import cut, merge, tile_places

SMALL = ForecastProtocol(context_frames=2, step=2, short=1, mid=3, target=8)


class Told(Predictor):
    """Looks the tokens of every time up, or repeats the last frame that it saw; keeps what it was asked."""

    def __init__(self, table: dict[float, torch.Tensor] | None):
        super().__init__(8, 24, 1, 2)
        self.table, self.seen, self.asked = table, [], []

    def context(self, tokens: Any, times: Any, **more: Any) -> Any:
        self.seen.append(times.tolist())
        self.last = tokens[:, -1]
        return super().context(tokens, times, **more)

    def step(self, context: Any, time: Any, *_: Any, **more: Any) -> Any:
        self.asked.append(time.tolist())
        _, context = super().step(context, time, **more)
        found = self.last if self.table is None else torch.stack([self.table[round(t, 3)] for t in time.tolist()])
        return found, context


@pytest.fixture(scope="module")
def heads(encoder: PyramidEncoder) -> dict[str, DenseHead]:
    quick = HeadSettings(num_steps=100, batch_size=8, learning_rate=0.05)
    return {
        kind: train_head(Squares(kind), encoder, settings=quick, device="cpu").head
        for kind in ("segmentation", "depth")
    }


def of(encoder: PyramidEncoder, predictor: Any) -> WorldModel:
    return WorldModel(encoder, predictor, control_rate=10, frame_size=(SIDE, SIDE))


def told(encoder: PyramidEncoder, videos: Squares) -> Told:
    tokens = [(video, encoder(torch.from_numpy(video.frames))) for video in videos]
    return Told(
        {round(float(t), 3): each for video, found in tokens for t, each in zip(video.times, found, strict=True)}
    )


def test_a_rollout_sees_and_asks_for_the_frames_of_the_protocol(
    encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    predictor = told(encoder, Squares("depth"))
    forecast(of(encoder, predictor), heads["depth"], Squares("depth", 1, labelled=[3, 9]), protocol=SMALL)
    assert np.allclose(predictor.seen, [[[0.5, 0.7]], [[0.1, 0.3]]])  # frame 3 has too few before it
    assert np.allclose(predictor.asked, [[0.9], [0.5], [0.7], [0.9]])


@pytest.mark.parametrize("kind", ["segmentation", "depth"])
def test_who_knows_the_future_is_at_the_ceiling_and_who_copies_at_the_floor(
    kind: Any, encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    videos = Squares(kind)
    knows = forecast(of(encoder, told(encoder, videos)), heads[kind], videos, protocol=SMALL, batch=3)
    copies = forecast(of(encoder, Told(None)), heads[kind], videos, protocol=SMALL)
    assert knows.windows.tolist() == [4] * 4
    assert np.allclose(knows.seconds, [0.2, 0.6])
    for case in ("short", "mid"):
        assert knows.score("model", case) == knows.score("present")
        assert (knows.gap_closed(case).value, knows.error_of_copying(case).value) == (1, 0)
        assert copies.score("model", case) == copies.score("copy_last", case) == knows.score("copy_last", case)
        assert (copies.gap_closed(case).value, copies.error_of_copying(case).value) == (0, 1)
    better = 1 if kind == "segmentation" else -1
    values = [better * knows.score("copy_last", case).value for case in ("mid", "short")]
    assert values == sorted(values)
    assert values[-1] < better * knows.score("present").value


def test_there_is_no_way_where_copying_is_as_good_as_the_true_future(
    encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    found = forecast(of(encoder, Told(None)), heads["segmentation"], Squares("segmentation"), protocol=SMALL)
    pixels = {**found.pixels, ("copy_last", "mid"): found.pixels["present", ""]}
    same = replace(found, pixels=pixels)
    assert np.isnan(same.gap_closed("mid").value)
    assert [row.split(" | ")[5] for row in same.table().splitlines()[2:]] == ["0.0 [0.0, 0.0]", "–"]
    assert same.to_json()["cases"][0]["gap_closed"]["value"] == 0


def test_scores_are_counted_over_all_pixels(encoder: PyramidEncoder, heads: dict[str, DenseHead]) -> None:
    found = forecast(of(encoder, Told(None)), heads["segmentation"], Squares("segmentation"), protocol=SMALL)
    matrix, errors = np.zeros((2, 2)), []
    for video in Squares("segmentation"):
        tokens = encoder(torch.from_numpy(video.frames))
        classes = heads["segmentation"](tokens, grid=(4, 4), size=(SIDE, SIDE)).argmax(1)
        matrix += confusion_matrix(classes[2:6], torch.from_numpy(video.labels[8:12]), 2)
        errors.append((tokens[2:6] - tokens[8:12]).abs().mean())
    assert found.score("copy_last", "mid").value == pytest.approx(float(mean_iou(matrix)))
    assert found.token_error("copy_last", "mid").value == pytest.approx(float(np.mean(errors)), rel=1e-5)
    interval = found.score("copy_last", "mid")
    assert interval.low < interval.value < interval.high


def test_frames_are_encoded_once_however_many_windows_have_them(
    encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    counts: list[int] = []
    hook = encoder.register_forward_pre_hook(lambda _, frames: counts.append(len(frames[0])))
    found = forecast(of(encoder, Told(None)), heads["depth"], Squares("depth"), protocol=SMALL, batch=3)
    hook.remove()
    # Of each video frames 0 to 7 are seen, most in two windows or more, and 8 to 11 are forecast.
    assert (sum(counts), found.windows.sum()) == (4 * 12, 4 * 4)


def test_a_direct_forecast_is_what_the_predictor_says_of_that_time(
    model: WorldModel, heads: dict[str, DenseHead]
) -> None:
    videos, protocol = Squares("depth", 1, labelled=[9]), ForecastProtocol(context_frames=3, step=2, target=9)
    found = forecast(model, heads["depth"], videos, protocol=protocol, cases=[Case("far", 4, 1)])
    video = videos[0]
    tokens = model.encode(torch.from_numpy(video.frames)[None])
    times = torch.from_numpy(video.times[[1, 3, 5, 9]])[None]
    expected = model.predictor(tokens[:, [1, 3, 5]], times, grid=(4, 4))[0, -1].detach()
    error = (expected - tokens[0, 9]).abs().mean()
    assert found.token_error("model", "far").value == pytest.approx(float(error), rel=1e-5)


def test_tiles_cover_a_frame_as_the_paper_has_them_and_what_overlaps_is_averaged(
    encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    assert tile_places((448, 896), (448, 448), 300) == [(0, 0), (0, 300), (0, 448)]
    frames = torch.randint(256, (2, 6, 7, 3), dtype=torch.uint8)
    places = tile_places((6, 7), (4, 4), 2)
    tiles = cut(frames, places, (4, 4)).permute(0, 1, 4, 2, 3).double()
    assert torch.equal(merge(tiles, places, (6, 7)), frames.permute(0, 3, 1, 2).double())
    constant = merge(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1, 1).expand(1, 2, 1, 1, 2), [(0, 0), (0, 1)], (1, 3))
    assert constant.flatten().tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match=naming("window", 9)):
        tile_places((8, 8), (9, 8), 3)
    tiled = ForecastProtocol(context_frames=2, step=2, target=8, tile=(12, 12), tile_stride=4)
    videos = Squares("segmentation")
    found = forecast(of(encoder, Told(None)), heads["segmentation"], videos, protocol=tiled, batch=3)
    assert found.pixels["present", ""].sum() == 4 * 4 * SIDE**2
    assert found.score("model", "mid") == found.score("copy_last", "mid")


def test_how_far_goes_through_distances_and_ways(
    encoder: PyramidEncoder, model: WorldModel, heads: dict[str, DenseHead], tmp_path: Path
) -> None:
    found = how_far(model, heads["segmentation"], Squares("segmentation"), protocol=SMALL, calls=(1, 2))
    assert [(case.distance, case.calls) for case in found.cases] == [(d, c) for d in range(1, 7) for c in (1, 2)]
    assert np.allclose(found.seconds[::2], np.arange(1, 7) / 10)
    near, far = (found.token_error("copy_last", f"direct, distance {d}").value for d in (1, 6))
    assert near < far
    distance_plot(found, tmp_path / "far.png")
    assert (tmp_path / "far.png").stat().st_size > 10_000
    predictor = Told(None)
    videos = Squares("segmentation", 1, labelled=[9])
    how_far(of(encoder, predictor), heads["segmentation"], videos, protocol=SMALL, distances=[3], calls=[2])
    assert np.allclose(predictor.asked, [[0.75], [0.9]])  # between two frames


def test_tables_and_json_have_every_case(model: WorldModel, heads: dict[str, DenseHead]) -> None:
    found = forecast(model, heads["segmentation"], Squares("segmentation"), protocol=SMALL)
    lines = found.table().splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| short", "| mid"]
    short = found.to_json()["cases"][0]
    assert short["model"]["value"] == found.score("model", "short").value
    assert set(short["classes"]) == {"ground", "square"}


def test_without_a_head_tokens_alone_are_compared(
    model: WorldModel, encoder: PyramidEncoder, heads: dict[str, DenseHead], tmp_path: Path
) -> None:
    videos = Squares("segmentation")
    found = forecast(model, None, videos, protocol=SMALL)
    with_head = forecast(model, heads["segmentation"], videos, protocol=SMALL)
    assert found.error_of_copying("mid") == with_head.error_of_copying("mid")
    assert (found.kind, found.pixels) == (None, {})
    assert set(found.to_json()["cases"][0]) == {*Case._fields, "seconds", "token_error", "error_of_copying"}
    assert len(found.table().splitlines()[0].split("|")) == len(with_head.table().splitlines()[0].split("|")) - 4
    distance_plot(found, tmp_path / "far.png")
    assert (tmp_path / "far.png").stat().st_size > 5_000


def test_what_cannot_be_forecast_is_refused(
    model: WorldModel, encoder: PyramidEncoder, heads: dict[str, DenseHead]
) -> None:
    videos, head = Squares("depth"), heads["depth"]
    acting = WorldModel(
        encoder,
        ActionConditioned(Predictor(8, 24, 1, 2), 2),
        ActionNormalizer([0, 0], [1, 1], [-1, -1], [1, 1], frameskip=1),
        control_rate=10,
        frame_size=(SIDE, SIDE),
    )
    with pytest.raises(ValueError, match=r"model: .*without actions"):
        forecast(acting, head, videos, protocol=SMALL)
    with pytest.raises(ValueError, match=naming("head", "segmentation", "depth")):
        forecast(model, heads["segmentation"], videos, protocol=SMALL)
    with pytest.raises(ValueError, match=naming("head", "encoder")):
        forecast(model, DenseHead("depth", 8), videos, protocol=SMALL)
    with pytest.raises(ValueError, match=naming("videos", 19)):
        forecast(model, head, videos)
    with pytest.raises(ValueError, match=naming("target", 8, 4)):
        forecast(model, head, videos, protocol=ForecastProtocol(context_frames=2, step=2, target=4))
    with pytest.raises(ValueError, match=naming("tile", 3)):
        ForecastProtocol(tile=3)  # type: ignore[arg-type]
