"""Folders of results: what made them is in ``run.json``, one process writes there, and a killed run goes on."""

import json
import platform
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .files import atomic_write, exclusive_lock
from .untrusted import AnyJson, MapOf, Record, Text, read_json

RECORD = "run.json"
_LOCK = "lock"
_SCHEMA = Record({"kind": Text(), "settings": MapOf(AnyJson())}, others=AnyJson())
_PACKAGES = ("wmcontrol", "torch", "numpy", "gymnasium")


class OtherRunError(ValueError):
    """A folder holds the results of another run."""


@contextmanager
def open_run(folder: str | Path, kind: str, settings: Mapping[str, Any]) -> Iterator[Path]:
    """Hold a folder for the results of a run; it is made if need be, with ``run.json`` in it.

    A folder with results of the same kind and settings is gone on with, and its record is left as it was. A record with
    nothing beside it is that of a run which failed before it left anything, and is replaced.

    Args:
        folder: for the results, wherever it lies.
        kind: what makes them, such as ``"finetune"``.
        settings: all that decides what comes out: plain values, paths, and lists and mappings of these.

    Raises:
        OtherRunError: the folder holds results of another kind or other settings, each of which is named with both
            values.
        ValueError: its record is broken.
        OSError: nothing can be written there, or another process does.
        TypeError: a setting is something else.
    """
    folder = Path(folder)
    plain: dict[str, Any] = json.loads(json.dumps(settings, default=_plain, allow_nan=False))
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        if (folder / RECORD).exists() and any(path.name not in (RECORD, _LOCK) for path in folder.iterdir()):
            record = read_run(folder)
            if record["kind"] != kind:
                raise OtherRunError(f"{folder} holds results of {record['kind']}, not of {kind}; choose another folder")
            changes = ", ".join(differences(record["settings"], plain))
            if changes:
                raise OtherRunError(f"{folder} holds results of other settings: {changes}; choose another folder")
        else:
            record = {
                "kind": kind,
                "started": datetime.now().astimezone().isoformat(timespec="seconds"),
                "settings": plain,
                "seeds": {name: value for name, value in flattened(plain).items() if name.endswith("seed")},
                "versions": {**{name: version(name) for name in _PACKAGES}, "python": platform.python_version()},
            }
            with atomic_write(folder / RECORD) as file:
                file.write((json.dumps(record, indent=2) + "\n").encode())
        yield folder


def read_run(folder: str | Path) -> dict[str, Any]:
    """Return what is in ``run.json``: ``kind``, ``settings``, and besides ``started``, ``seeds`` and ``versions``.

    Raises:
        OSError: there is no such file.
        ValueError: it is not a record; it names the file and the field.
    """
    record: dict[str, Any] = read_json(Path(folder) / RECORD, _SCHEMA, fix="it may have been edited")
    return record


def differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Say of each setting that differs its full name and both values."""
    old, new = flattened(there), flattened(here)
    differ = [name for name in {**new, **old} if (name in new, new.get(name)) != (name in old, old.get(name))]

    def said(settings: Mapping[str, Any], name: str) -> str:
        return repr(settings[name]) if name in settings else "not said"

    return [f"{name} is {said(old, name)} there and {said(new, name)} here" for name in differ]


def flattened(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return settings by their full names, with a point between a name and those inside it."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            flat |= flattened(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a setting must be a plain value, a path, or a list or mapping of these, got {value!r}")
