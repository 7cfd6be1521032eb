"""The maze model against the d4rl package's own."""

import sys
from pathlib import Path

import mujoco
import numpy as np
import pytest

from wmcontrol.envs.pointmaze.mazes import MAZES, model_xml


@pytest.fixture(scope="module")
def maze_model():
    # d4rl imports mujoco-py, whose binaries no registry has; without it the maze's text still becomes a model.
    sys.modules.setdefault("mujoco_py", None)  # type: ignore[arg-type]
    pytest.importorskip("d4rl", reason='d4rl is not installed: pip install "wmcontrol[d4rl]"')
    from d4rl.pointmaze import maze_model

    return maze_model


@pytest.mark.filterwarnings("ignore")  # theirs, not ours
@pytest.mark.parametrize("maze", MAZES)
def test_same_maze_and_same_model(maze: str, maze_model, capsys) -> None:
    name = {"umaze": "U_MAZE", "medium": "MEDIUM_MAZE", "large": "LARGE_MAZE"}[maze]
    text = getattr(maze_model, name)
    assert "\\".join(MAZES[maze]) == text
    with maze_model.point_maze(text).asfile() as file:
        theirs = mujoco.MjModel.from_xml_string(Path(file.name).read_text())
    ours = mujoco.MjModel.from_xml_string(model_xml(maze))
    assert (ours.nq, ours.nv, ours.nu, ours.ngeom, ours.nsite) == (
        theirs.nq,
        theirs.nv,
        theirs.nu,
        theirs.ngeom,
        theirs.nsite,
    )
    skip = {"vis"}
    compared = 0
    for field in dir(theirs):
        theirs_value = getattr(theirs, field)
        if field.startswith("_") or field in skip or not isinstance(theirs_value, np.ndarray):
            continue
        if theirs_value.dtype.kind not in "fiub" or "name" in field or "text" in field or "path" in field:
            continue
        np.testing.assert_array_equal(getattr(ours, field), theirs_value, err_msg=field)
        compared += 1
    assert compared > 100
    for option in ("timestep", "gravity", "iterations", "integrator", "solver", "cone"):
        np.testing.assert_array_equal(getattr(ours.opt, option), getattr(theirs.opt, option), err_msg=option)
