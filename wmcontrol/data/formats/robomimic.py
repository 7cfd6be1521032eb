"""robomimic's HDF5 files (arXiv 2108.03298), which robosuite, MimicGen and LIBERO write too.

``data/demo_N/obs/<key>``, ``data/demo_N/actions`` (T, A) and ``data/demo_N/states`` (T, n), the simulator's, have a row
for each step: row ``t`` of ``actions`` is what was done at observation ``t``. The attribute ``env_args`` of ``data`` is
JSON: what the environment was made with, its ``control_freq`` among it. ``mask/<filter key>`` has names of demos.
"""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ...untrusted import AnyJson, Nullable, Number, Record, parse_json
from ..frames import ImageSize
from .column_dataset import ColumnDataset, Roles, find_frames, find_named, find_states, grouped_episodes
from .columns import Columns, join, natural, open_columns
from .hdf5_file import is_hdf5, open_hdf5

_ENV_ARGS = Record({}, {"env_kwargs": Record({}, {"control_freq": Nullable(Number(above=0))}, AnyJson())}, AnyJson())


def recognises(path: Path) -> bool:
    """Whether this is an HDF5 file with demos.

    Raises:
        OSError: it is an HDF5 file, but not a whole one.
    """
    if not is_hdf5(path):
        return False
    root = open_hdf5(path)
    return "data" in root and any(name.startswith("demo_") for name in root["data"])


class Robomimic(ColumnDataset):
    """A file of robomimic's, as ``image.hdf5`` or LIBERO's ``…_demo.hdf5``.

    Frames are ``obs/<camera>_image``, or what else in ``obs`` has pictures. States are the simulator's, ``states``, or
    those that are named in ``states=``, such as ``("obs/robot0_eef_pos", "obs/object")``.

    Args:
        path: the file.
        camera: such as ``"agentview"``; None where there is one.
        states: the array that states are taken from, or several, one after the other.
        filter_key: some of the demos, as the file has them in ``mask``, such as ``"train"``; None: all.
        control_rate: actions per second, Hz, where the file's ``env_args`` have no ``control_freq``.
        env_id, env_settings: the environment as Gymnasium knows it, which the file does not say.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.

    Raises:
        OSError: it cannot be read.
        ValueError: no such camera or filter key, arrays that disagree, or no rate.
    """

    def __init__(
        self,
        path: str | Path,
        camera: str | None = None,
        *,
        states: str | tuple[str, ...] | None = None,
        filter_key: str | None = None,
        control_rate: float | None = None,
        env_id: str | None = None,
        env_settings: Mapping[str, Any] = MappingProxyType({}),
        image_size: ImageSize | None = None,
    ):
        columns = open_columns(Path(path))
        groups = [join("data", name) for name in _demos(columns, filter_key)]
        shapes = columns.arrays(groups[0], depth=1)
        seen = {name: shape for name, shape in shapes.items() if not name.startswith("next_obs/")}
        roles = Roles(
            find_frames(seen, camera, columns.path),
            "actions",
            find_states(seen, states, ["states"], path),
            rewards=find_named(seen, ["rewards"]),
        )
        roles.check(shapes, columns.path)
        columns.use(join(group, name) for group in groups for name in roles.names())
        if control_rate is None:
            text = columns.attribute("env_args", "data")
            told = parse_json(text, _ENV_ARGS, f"{path}: env_args") if isinstance(text, str) else {}
            control_rate = told.get("env_kwargs", {}).get("control_freq")
        super().__init__(
            "robomimic",
            columns,
            roles,
            grouped_episodes(columns, roles, groups),
            control_rate=control_rate,
            env_id=env_id,
            env_settings=env_settings,
            image_size=image_size,
        )


def _demos(columns: Columns, filter_key: str | None) -> list[str]:
    """Return the names of the demos, in the order of their numbers."""
    every = columns.episodes("data")
    if not every:
        raise ValueError(f"{columns.path}: there is not a single demo in data")
    if filter_key is None:
        return every
    keys = sorted(columns.members("mask")) if "mask" in columns.members("") else []
    if filter_key not in keys:
        raise ValueError(f"{columns.path} has no filter key {filter_key!r}; it has {keys}")
    columns.use([f"mask/{filter_key}"])
    names = np.asarray(columns.read(f"mask/{filter_key}", slice(None), columns.path))
    if names.dtype.kind != "S":
        raise ValueError(f"{columns.path}: mask/{filter_key} must have names of demos, got {names.dtype}")
    chosen = {name.decode("utf-8", "replace") for name in names.ravel().tolist()}
    if not chosen or chosen - set(every):
        wrong = min(chosen - set(every), default="none")
        raise ValueError(f"{columns.path}: mask/{filter_key} must name demos of data, got {wrong}")
    return sorted(chosen, key=natural)
