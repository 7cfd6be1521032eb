"""Diffusion Policy's replay buffers (Chi et al., 2023): zarr, in a folder or in one zip file.

Arrays of ``data`` have the rows of all episodes, one after the other; ``meta/episode_ends`` (N,) says where they end.
Row ``t`` of ``data/action`` is what was done at frame ``t``. Push-T's are ``data/img`` (F, height, width, 3),
``data/state`` (F, 5), recorded before each step, and ``data/action`` (F, 2).
"""

import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ..frames import ImageSize
from ..trajectory import Floats, Trajectory
from .column_dataset import ColumnDataset, Roles, find_frames, find_named, find_states, flat_episodes
from .columns import open_columns

_ENDS = "meta/episode_ends"
# Where the position control of Push-T (gains 100 and 20, ten steps of 0.01 s) takes an agent that touches nothing:
# rows are its place and velocity after a control step, columns its place, its velocity and its target before.
_STEP = [
    [1 - 100 * 0.01**2, 0.01 * (1 - 20 * 0.01), 100 * 0.01**2],
    [-100 * 0.01, 1 - 20 * 0.01, 100 * 0.01],
    [0, 0, 1],
]
_CONTROL = np.linalg.matrix_power(np.array(_STEP), 10)


def recognises(path: Path) -> bool:
    """Whether this is a zarr store that has where episodes end."""
    if path.is_dir():
        return (path / _ENDS).is_dir()
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.startswith(f"{_ENDS}/") for name in archive.namelist())
    except (OSError, zipfile.BadZipFile, NotImplementedError):  # the last, of a version that zipfile cannot read
        return False


class DiffusionPolicy(ColumnDataset):
    """Demonstrations for Diffusion Policy, as ``pusht_cchi_v7_replay.zarr`` or its zip file has them.

    Push-T is known by its arrays ``data/img``, ``data/state`` (F, 5) and ``data/action`` (F, 2). States (T, 7) are then
    those of our environment: the five that are recorded, and the agent's velocity, which follows from two of its places
    and the action between them, since it touches nothing that could stop it. On the 206 published demonstrations the
    velocity so found at one frame predicts that at the next to 0.001 pixels/s. Actions (T - 1, 2) are targets in
    pixels: those of ``PushT-v0`` with ``action_mode="absolute"``.

    Of any other task give ``control_rate`` or ``env_id``, which the files do not say. States are ``data/state``,
    ``data/obs`` or what ``states=`` names, such as ``("robot0_eef_pos", "robot0_gripper_width")``.

    Frames are decoded a chunk at a time (161 frames in the published file, 0.07 s).

    Args:
        path: the folder or the zip file.
        camera: the array of ``data`` that frames are taken from; None where one alone has pictures.
        states: the array of ``data`` that states are taken from, or several, one after the other. For example state.
        control_rate: actions per second, Hz.
        env_id, env_settings: the environment, and what it was made with.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: it cannot be read as zarr, or an array, or a part of one, is missing.
        ValueError: lengths that disagree, numbers or codecs that are not read, or a rate that is not known.
    """

    def __init__(
        self,
        path: str | Path,
        camera: str | None = None,
        *,
        states: str | tuple[str, ...] | None = None,
        control_rate: float | None = None,
        env_id: str | None = None,
        env_settings: Mapping[str, Any] = MappingProxyType({}),
        image_size: ImageSize | None = None,
    ):
        columns = open_columns(Path(path))
        if columns.shape(_ENDS) is None:
            raise FileNotFoundError(f"{columns.path / _ENDS} is missing: Diffusion Policy's layout has it")
        shapes = columns.arrays("data")
        roles = Roles(
            find_frames(shapes, camera, columns.path),
            find_named(shapes, ["action", "actions"]),
            find_states(shapes, states, ["state", "obs"], columns.path),
        )
        roles.check(shapes, columns.path)
        columns.use([_ENDS, *(f"data/{name}" for name in roles.names())])
        ends = columns.read(_ENDS, slice(None), columns.path)
        told = control_rate is not None or env_id is not None or states is not None
        sizes = [shapes.get(name, ())[1:] for name in ("state", "action")]
        self._is_pusht = not told and roles.frames == "img" and sizes == [(5,), (2,)]
        if self._is_pusht:
            self.num_derived = 2
            env_id, env_settings = "wmcontrol/PushT-v0", {"action_mode": "absolute"}
        super().__init__(
            "Diffusion Policy",
            columns,
            roles,
            flat_episodes(columns, roles, ends, "data", _ENDS),
            control_rate=control_rate,
            env_id=env_id,
            env_settings=env_settings,
            image_size=image_size,
        )

    def trajectory(self, index: int) -> Trajectory:
        """Return one trajectory, its frames unread."""
        found = super().trajectory(index)
        if not self._is_pusht or found.states is None or found.actions is None:
            return found
        return replace(found, states=np.concatenate([found.states, _velocities(found.states[:, :2], found.actions)], 1))


def _velocities(places: Floats, targets: Floats) -> Floats:
    """Return the agent's velocities (T, 2), pixels/s, from its places (T, 2) and the targets (T - 1, 2) between them.

    A step is linear in place, velocity and target, so a velocity follows from the place one step later; the last one
    from the velocity before it.
    """
    if len(places) == 1:
        return np.zeros((1, 2))  # nothing tells it
    (a, b, c), (d, e, f), _ = _CONTROL
    before = (places[1:] - a * places[:-1] - c * targets) / b
    last = d * places[-2] + e * before[-1] + f * targets[-1]
    return np.concatenate([before, last[None]])
