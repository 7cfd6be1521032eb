"""What a training run logs, for the trackers that people look at.

A tracker is called with a step and the numbers of the log, and closed at the end; it is made with the run's folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class TensorBoard:
    """Write the numbers of a log into a folder that TensorBoard shows; a run that goes on there replaces its end.

    Args:
        folder: of the run; the log is in tensorboard in it, made at the first line, so that a run which was finished
            leaves it as it is.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        try:
            import torch.utils.tensorboard  # noqa: F401
        except ImportError as error:
            raise ImportError('tracker=tensorboard needs TensorBoard: pip install "wmcontrol[track]"') from error
        self._folder = folder / "tensorboard"
        self._writer: Any = None

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Add a line of the log; of a list, its numbers one by one, counted from 1."""
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            # A run that goes on tells again what came after its state: what is there from this step on is void.
            self._writer = SummaryWriter(self._folder, purge_step=step)
        for name, value in values.items():
            numbers = {f"{name}/{i}": x for i, x in enumerate(value, 1)} if isinstance(value, list) else {name: value}
            for tag, number in numbers.items():
                self._writer.add_scalar(tag, number, step)
        self._writer.flush()  # no line of before a saved state is lost with a kill

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
