"""What the commands ``pretrain`` and ``finetune`` have in common: settings out of keys, and where they train."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

from .files import folder_to_save_in
from .progress import Report, progress_bar
from .track import FOLDER, TensorBoard, check_tensorboard

Settings = TypeVar("Settings")


def settings_from(kind: type[Settings], config: Any) -> Settings:
    """Return the settings that a command's keys say."""
    names = {field.name for field in fields(kind)} & {field.name for field in fields(config)}  # type: ignore[arg-type]
    return kind(**{name: getattr(config, name) for name in names})


def is_first() -> bool:
    """Whether this is the first of the processes that ``torchrun`` started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def training_folder(job: str, config: Any) -> Iterator[tuple[Path, Report, TensorBoard | None]]:
    """Give the folder to train in, and what to tell of it: a progress bar, and TensorBoard's log where asked for."""
    if config.tensorboard:
        check_tensorboard()
    out = config.out or Path("outputs") / job / hashlib.sha256(repr(config).encode()).hexdigest()[:12]
    board = TensorBoard(folder_to_save_in(out) / FOLDER) if config.tensorboard else None
    try:
        with progress_bar("training", "steps") as progress:
            yield out, progress, board
    finally:
        if board is not None:
            board.close()
