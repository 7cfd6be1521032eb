"""Writing trajectories as a Minari data set: HDF5, lossless, in batches, so that a kill loses one batch at most.

On the way each batch is a file in ``parts``; at the end they are merged into ``data``, which
``minari.MinariDataset(folder / "data")`` opens. An episode's observations are a Dict with ``state`` (T, n) float64
and, where frames were given, ``pixels`` (T, height, width, 3) uint8, each frame compressed by itself; ``time`` (T,)
stands beside them, in seconds, where times do not follow from the control rate. Rewards are zero and every episode ends
by truncation. Its attributes hold ``provenance`` and, as Minari keeps the options of a reset,
``options/variation/...``, the looks that differ between episodes; those that all share stand in ``metadata.json``.

The same trajectories give the same bytes, however they were batched and whatever was killed.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict, Unpack

import numpy as np
from numpy.typing import ArrayLike

from ...files import atomic_write, sync_folder
from ...untrusted import AnyJson, Integer, ListOf, MapOf, Nullable, Number, Record, Text, read_json
from ..trajectory import Floats, Trajectory
from .hdf5_file import import_h5py
from .minari_merge import Progress, check_room, write_main_file, write_metadata
from .minari_parts import Common, Shapes, list_parts, read_part, write_part

_SETTINGS = Record(
    {
        "env_id": Nullable(Text()),
        "control_rate": Nullable(Number(above=0)),
        "action_bounds": Nullable(ListOf(ListOf(Number()), 2, 2)),
        "settings": MapOf(AnyJson()),
    }
)
_FINISHED = Record({"total_episodes": Integer(low=1)}, others=AnyJson())
_TIME_TOLERANCE = 1e-9  # s


class _Settings(TypedDict):
    env_id: str | None
    control_rate: float | None
    action_bounds: tuple[ArrayLike, ArrayLike] | None
    settings: Mapping[str, Any]


class MinariWriter:
    """Writes trajectories into a folder, and goes on where an earlier run with the same settings stopped.

    Args:
        folder: where; it is made if need be.
        env_id: the Gymnasium id of the environment that made them, or None.
        control_rate: environment actions per second, Hz; None for trajectories with times of their own.
        action_bounds: the lowest and highest action of the environment, both (A,), or None.
        settings: whatever else decides what is written (a policy, a seed, a source), as JSON has it; kept with the
            data.

    Raises:
        FileExistsError: the folder holds a finished data set.
        ValueError: it holds an unfinished one with other settings; it says what differs.
        TypeError: settings that JSON cannot hold.
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: str | Path, **asked: Unpack[_Settings]):
        import_h5py()  # missing, it shall be missed before the work is done
        self.folder = Path(folder)
        self._settings = _normal(asked)
        self._data, self._parts = self.folder / "data", self.folder / "parts"
        self._merging = self.folder / "data.tmp"
        if self._data.exists() and not (self._parts / "settings.json").exists():
            raise FileExistsError(f"{self._data} is a finished data set; remove it, or write into another folder")
        self._parts.mkdir(parents=True, exist_ok=True)
        self._agree_on_settings()
        self._shapes: Shapes | None = None
        if self._data.exists():  # killed after the merge, before the parts were removed
            self.written = read_json(self._data / "metadata.json", _FINISHED)["total_episodes"]
            return
        if self._merging.exists():  # killed in the merge
            shutil.rmtree(self._merging)
        parts, self.written = list_parts(self._parts)
        if parts:
            self._shapes = Shapes.read(self._shapes_file)

    written: int
    """Episodes that are safe on disk; the next one to add has this number."""

    def add(self, trajectories: Sequence[Trajectory]) -> None:
        """Write one batch: all of it is safe when this returns, and nothing of it is there when it raises.

        Frames are kept where a trajectory has them; one whose frames shall be drawn again from its states is given
        without them.

        Raises:
            ValueError: a trajectory that has other numbers, or frames of another size, than those before it.
            OSError: the disk is full.
        """
        if self._data.exists():
            raise ValueError(f"{self._data} is finished; nothing can be added to it")
        if not trajectories:
            return
        shapes = self._shapes or Shapes.of(trajectories[0])
        for trajectory in trajectories:
            its = Shapes.of(trajectory)
            if its != shapes:
                raise ValueError(f"{trajectory.provenance}: the set has {shapes}, this trajectory {its}")
        bounds = self._settings["action_bounds"]
        if bounds is not None and shapes.action != len(bounds[0]):
            raise ValueError(f"action_bounds are of {len(bounds[0])} numbers, actions have {shapes.action}")
        if self._shapes is None:
            with atomic_write(self._shapes_file) as file:
                file.write(shapes.to_json().encode())
        write_part(self._parts, self.written, trajectories, [not self._is_regular(t.times) for t in trajectories])
        self._shapes = shapes
        self.written += len(trajectories)

    def finish(self, progress: Progress | None = None) -> Path:
        """Merge what was added into the data set, and return its folder.

        Args:
            progress: called with the episodes merged so far, and all of them.

        Raises:
            ValueError: nothing was added.
            OSError: the disk is full; the parts are still there, so that a later run can finish.
        """
        if not self._data.exists():
            self._merge(progress)
        self._remove_parts()
        return self._data

    def _merge(self, progress: Progress | None) -> None:
        parts, _ = list_parts(self._parts)
        if not parts or self._shapes is None:
            raise ValueError(f"there are no episodes in {self.folder} to finish")
        shapes = self._shapes
        check_room(self.folder, parts, self.written)
        common = Common.of(parts)
        episodes = (episode for part in parts for episode in read_part(part, shapes))
        try:
            self._merging.mkdir()
            main = self._merging / "main_data.hdf5"
            lengths = write_main_file(main, episodes, shapes, common, self.written, progress)
            write_metadata(self._merging, self._settings, shapes, common, lengths)
            sync_folder(self._merging)
            self._merging.replace(self._data)
        except BaseException:
            shutil.rmtree(self._merging, ignore_errors=True)
            raise
        sync_folder(self.folder)

    def _remove_parts(self) -> None:
        """Remove the parts and last of all the settings, by which a run knows that it may do so."""
        for path in sorted(self._parts.iterdir(), key=lambda path: path.name == "settings.json"):
            path.unlink()
        self._parts.rmdir()

    @property
    def _shapes_file(self) -> Path:
        return self._parts / "shapes.json"

    def _is_regular(self, times: Floats) -> bool:
        rate = self._settings["control_rate"]
        return rate is not None and bool(np.abs(times - np.arange(len(times)) / rate).max() <= _TIME_TOLERANCE)

    def _agree_on_settings(self) -> None:
        path = self._parts / "settings.json"
        if not path.exists():
            with atomic_write(path) as file:
                file.write(json.dumps(self._settings, indent=1).encode())
            return
        before = read_json(path, _SETTINGS, fix="remove the folder to begin again")
        differences = [
            f"{name}: {was} there, {now} here" for name, was, now in _differences(before, self._settings) if was != now
        ]
        if differences:
            raise ValueError(
                f"{self.folder} holds an unfinished data set with other settings ({'; '.join(differences)}); go on "
                "with those, remove the folder, or write into another"
            )


def _normal(asked: _Settings) -> dict[str, Any]:
    """Return the settings as they come back from JSON."""
    bounds = asked["action_bounds"]
    plain = {**asked, "settings": dict(asked["settings"])}
    if bounds is not None:
        plain["action_bounds"] = [np.asarray(bound, float).ravel().tolist() for bound in bounds]
    rate = asked["control_rate"]
    if rate is not None and not (np.isfinite(rate) and rate > 0):
        raise ValueError(f"control_rate must be a number of actions per second, or None; got {rate!r}")
    try:
        normal: dict[str, Any] = json.loads(json.dumps(plain))
    except TypeError as error:
        raise TypeError(f"settings must be what JSON can hold: {error}; got {asked['settings']!r}") from None
    return normal


def _differences(before: dict[str, Any], now: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (name, value before, value now) of all settings, those in ``settings`` by their own names."""
    flat = [{**{k: v for k, v in d.items() if k != "settings"}, **d["settings"]} for d in (before, now)]
    return [(name, flat[0].get(name), flat[1].get(name)) for name in dict.fromkeys([*flat[0], *flat[1]])]
