"""The keys that say how data are read, shared by all jobs that read any; quick to import."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UsageError
from .keys import key

if TYPE_CHECKING:
    from ..data import TrajectoryDataset


def camera_key() -> Any:
    """Define the key that names a camera."""
    return key(
        "which camera frames are taken from, where the data have several",
        default=None,
        example="observation.images.top",
    )


def control_rate_key() -> Any:
    """Define the key of the control rate."""
    return key("actions per second, Hz, of data that do not say", default=None, over=0, example="50")


def reader_key() -> Any:
    """Define the key of all other settings of readers."""
    return key(
        "further settings of what reads the data, such as env_id, maze or image_size; wmcontrol.data.formats has all",
        default={},
        example="{env_id:wmcontrol/PushT-v0}",
    )


def reader_settings(config: Any) -> dict[str, Any]:
    """Return the settings of the reader that a job's keys ask for.

    Raises:
        UsageError: one is there twice.
    """
    named = {name: getattr(config, name) for name in ("camera", "control_rate", "image_size") if hasattr(config, name)}
    given = {name: value for name, value in named.items() if value is not None}
    twice = sorted(set(given) & set(config.reader))
    if twice:
        raise UsageError(f"reader: {twice[0]} has a key of its own, and is there twice; leave it out of reader")
    return {**config.reader, **given}


def open_data(path: Path, settings: Mapping[str, Any]) -> "TrajectoryDataset":
    """Open a data set.

    Raises:
        UsageError: its reader has no such setting.
        OSError, ValueError, ImportError: as :func:`~wmcontrol.data.open_dataset`.
    """
    from ..data import open_dataset

    try:
        return open_dataset(path, **settings)
    except TypeError as error:
        raise UsageError(f"data: {error}") from error
