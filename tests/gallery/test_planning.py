"""The README's film is drawn of episodes that were really solved."""

from pathlib import Path

import pytest
from PIL import Image

from experiments.gallery import planning
from wmcontrol import PlanningAgent
from wmcontrol.planners import fast


def test_the_film_shows_solved_episodes_side_by_side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make = PlanningAgent.from_model
    monkeypatch.setattr(planning.PlanningAgent, "from_model", lambda model: make(model, fast()))
    monkeypatch.setattr(planning, "TITLES", {"wall": "Wall", "pointmaze": "PointMaze"})
    planning.main(["--out", str(tmp_path / "film.gif"), "--episodes", "1"])
    with Image.open(tmp_path / "film.gif") as film:
        assert film.size == (2 * (168 + 8) + 8, 26 + 168 + 4)
        frames = film.n_frames
        assert frames > planning.STEPS // 2  # frames that are alike are one
        first = film.convert("RGB").tobytes()
        film.seek(frames - 1)
        assert film.convert("RGB").tobytes() != first
