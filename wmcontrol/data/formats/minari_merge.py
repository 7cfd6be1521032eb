"""The two files of a Minari data set in HDF5, as Minari 0.5 has them."""

import copy
import errno
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np

from ... import ENV_IDS
from ...files import atomic_write
from .hdf5_file import import_h5py
from .minari_parts import LEVEL, Common, Episode, Shapes

Progress = Callable[[int, int], None]

MINARI_VERSION = "0.5.4"  # whose layout this is; the first that knows of lossless images
_OVERHEAD = 6000  # bytes that HDF5 needs for an episode besides its numbers


def check_room(folder: Path, parts: Sequence[Path], total: int) -> None:
    """Raise an OSError unless the disk has room for a data set of ``total`` episodes that these parts make."""
    needed = sum(part.stat().st_size for part in parts) + _OVERHEAD * total
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(
            errno.ENOSPC,
            f"{folder} needs {needed / 1e6:.0f} MB to merge its parts, and {free / 1e6:.0f} are free; nothing is lost, "
            "make room and run again",
        )


def write_main_file(
    path: Path, episodes: Iterable[Episode], shapes: Shapes, common: Common, total: int, progress: Progress | None
) -> list[int]:
    """Write all episodes, and return how many frames each has.

    Raises:
        OSError: the disk is full.
    """
    lengths = []
    try:
        with import_h5py().File(path, "w") as file:
            for number, episode in enumerate(episodes):
                _write_episode(file.create_group(f"episode_{number}"), number, episode, shapes, common)
                lengths.append(len(episode.times))
                if progress is not None:
                    progress(number + 1, total)
            file.flush()
        with path.open("rb+") as written:
            os.fsync(written.fileno())
    except (OSError, RuntimeError) as error:  # h5py raises either when a disk is full
        raise OSError(
            getattr(error, "errno", None) or errno.EIO,
            f"cannot merge into {path}: {error}; the parts are still there, make room and run again",
        ) from error
    return lengths


def _write_episode(group: Any, number: int, episode: Episode, shapes: Shapes, common: Common) -> None:
    T = len(episode.times)
    attributes = {"id": number, "total_steps": T - 1, "provenance": episode.provenance}
    # Looks that all share stand in the metadata once: most sets vary nothing, and an attribute takes long to read.
    own = {name: value for name, value in episode.variation.items() if name not in common.variation}
    attributes |= {f"options/variation/{name}": value for name, value in own.items()}
    for name, value in attributes.items():
        group.attrs[name] = value
    observations = group.create_group("observations")
    if episode.states is not None:
        observations.create_dataset("state", data=episode.states)
    if common.timed:
        observations.create_dataset("time", data=episode.times)
    if episode.frames is not None and shapes.image is not None:
        pixels = observations.create_dataset(
            "pixels",
            shape=(T, *shapes.image),
            dtype=np.uint8,
            chunks=(1, *shapes.image),
            compression="gzip",
            compression_opts=LEVEL,
        )
        for t, stream in enumerate(episode.frames):
            pixels.id.write_direct_chunk((t, 0, 0, 0), stream)
    actions = np.zeros((T - 1, 0)) if episode.actions is None else episode.actions
    group.create_dataset("actions", data=actions)
    # Never written to, these read as zeros and take no room.
    group.create_dataset("rewards", shape=(T - 1,), dtype=np.float64)
    group.create_dataset("terminations", shape=(T - 1,), dtype=np.bool_)
    group.create_dataset("truncations", data=np.arange(1, T) == T - 1)


def write_metadata(
    folder: Path, settings: dict[str, Any], shapes: Shapes, common: Common, lengths: Sequence[int]
) -> None:
    """Write what Minari wants to know of a set, and under ``wmcontrol`` what we do, lengths of episodes included."""
    subspaces = {}
    if shapes.state is not None:
        subspaces["state"] = _box((shapes.state,), "float64", -np.inf, np.inf)
    if common.timed:
        subspaces["time"] = _box((), "float64", -np.inf, np.inf)
    if shapes.image is not None:
        subspaces["pixels"] = _box(shapes.image, "uint8", 0, 255)
    actions = (shapes.action or 0,)
    low, high = settings["action_bounds"] or (np.full(actions, -np.inf), np.full(actions, np.inf))
    env_id = settings["env_id"]
    metadata = {
        "total_episodes": len(lengths),
        "total_steps": sum(lengths) - len(lengths),
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "observation_space": json.dumps({"type": "Dict", "subspaces": subspaces}),
        "action_space": json.dumps(_box(actions, "float64", low, high)),
        "dataset_id": _dataset_id(env_id),
        "minari_version": MINARI_VERSION,
        "dataset_size": round((folder / "main_data.hdf5").stat().st_size / 1e6, 1),
        "wmcontrol": {"format": 1, **settings, "variation": common.variation, "lengths": list(lengths)},
    }
    if env_id in ENV_IDS:
        spec = copy.deepcopy(gym.spec(env_id))
        spec.kwargs |= settings["settings"].get("env_settings", {})
        metadata["env_spec"] = spec.to_json()
    with atomic_write(folder / "metadata.json") as file:
        file.write(json.dumps(metadata).encode())


def _box(shape: tuple[int, ...], dtype: str, low: Any, high: Any) -> dict[str, Any]:
    """Return a Box as Minari writes it."""
    bounds = {
        name: np.broadcast_to(np.asarray(value, dtype), shape).tolist()
        for name, value in (("low", low), ("high", high))
    }
    return {"type": "Box", "dtype": dtype, "shape": list(shape), **bounds}


def _dataset_id(env_id: str | None) -> str:
    """Return a name that Minari takes, such as wmcontrol/Wall/trajectories-v0."""
    name = re.sub(r"-v\d+$", "", env_id or "").rpartition("/")[2]
    return "/".join(["wmcontrol", *filter(None, [re.sub(r"\W", "_", name)]), "trajectories-v0"])
