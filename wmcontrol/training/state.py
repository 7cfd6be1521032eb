"""A run on disk: what is needed to go on, and the log of what was."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ..files import atomic_write

OnLog = Callable[[int, Mapping[str, Any]], None]
STATE, LOG = "training.pt", "log.jsonl"


def save_state(folder: Path, state: Mapping[str, Any]) -> None:
    """Save a state under another name first, so that the one before it lasts until this one is whole.

    Raises:
        OSError: the disk is full; the state before is still there.
    """
    try:
        with atomic_write(folder / STATE) as file:
            torch.save(dict(state), file)
    except RuntimeError as error:  # what torch's writer makes of a full disk
        raise OSError(f"{folder / STATE} could not be written, the one before it is kept: {error}") from error


def load_state(folder: Path, device: torch.device) -> dict[str, Any] | None:
    """Return the state of a run that was begun in a folder, or None; nothing in the file is run.

    Raises:
        ValueError: the file is broken.
        OSError: it cannot be read.
    """
    path = folder / STATE
    if not path.exists():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location=device, weights_only=True)
    except (OSError, torch.OutOfMemoryError):  # the file may be whole
        raise
    except Exception as error:  # pickle's, zipfile's and torch's, which share no class
        raise ValueError(f"{path} is broken ({type(error).__name__}); remove it to begin again") from error
    if not isinstance(state, dict) or not {"step", "seconds"} <= state.keys():
        raise ValueError(f"{path} is no state of a training; remove it to begin again")
    return state


class Log:
    """Lines of JSON, one for each time that something is told; a run that goes on drops those after its state.

    Args:
        folder: of the run.
        step: the step that the run begins at; lines after it are dropped.
        also: is told every line that is added.
    """

    def __init__(self, folder: Path, step: int, also: OnLog | None = None):
        self._also = also
        self._path = folder / LOG
        if self._path.exists():
            kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _step(line) <= step]
            with atomic_write(self._path) as file:
                file.write("".join(f"{line}\n" for line in kept).encode())

    def __call__(self, step: int, **values: Any) -> None:
        """Add a line.

        Raises:
            OSError: the disk is full; half a line may be there, which a run that goes on drops.
        """
        try:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **values}) + "\n")
        except OSError as error:
            raise OSError(error.errno, f"cannot write {self._path}: {error.strerror or error}") from error
        if self._also is not None:
            self._also(step, values)


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):  # half a line, of a run that was killed
        return float("inf")
