"""Where curves, tables and films of training and evaluation are shown: TensorBoard, Weights & Biases, trackio.

Each is told what goes into the files of a run too, and writes nothing before the first of it, so that a run which was
finished leaves them as they are.
"""

import importlib
import io
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from uuid import uuid4

from .files import atomic_write

_ID = "tracker.txt"
_FRAMES_PER_SECOND = 5


@runtime_checkable
class Tracker(Protocol):
    """What takes curves, tables and films; inherit from it to write your own, and leave out what it does not take.

    On the command line it is made with the run's folder and with the keys of ``tracker``. A run that was killed and
    goes on tells again what came after its last saved state.
    """

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Take the numbers of a step, by name; a value may be a list of numbers."""

    def table(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Take a table: texts by what stands over their columns, the same for all rows."""

    def film(self, name: str, path: Path) -> None:
        """Take a film, an MP4 file."""

    def close(self) -> None:
        """End the run: what was told is on disk, or sent."""


class TensorBoard(Tracker):
    """Write what TensorBoard shows; a run that goes on replaces its end.

    Args:
        folder: of the run; the log is in ``tensorboard`` in it.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: Path):
        self._library = _imported("torch.utils.tensorboard", "TensorBoard", "track")
        self._folder = folder / "tensorboard"
        self._writer: Any = None

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Add numbers to curves; of a list, one curve for each of its numbers."""
        # A run that goes on tells again what came after its state: what is there from this step on is void.
        writer = self._open(purge_step=step)
        for tag, number in _numbers(values).items():
            writer.add_scalar(tag, number, step)
        writer.flush()  # no line of before a saved state is lost with a kill

    def table(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Add a table, among the texts."""
        lines = [[*rows[0]], ["---"] * len(rows[0]), *([*row.values()] for row in rows)]
        self._open().add_text(name, "\n".join(f"| {' | '.join(line)} |" for line in lines))

    def film(self, name: str, path: Path) -> None:
        """Add a film, among the images: as an animated one, which is all that TensorBoard plays."""
        import imageio.v3 as iio
        from tensorboard.compat.proto.summary_pb2 import Summary

        frames = iio.imread(path, plugin="pyav")  # (T, height, width, 3)
        still = io.BytesIO()
        iio.imwrite(still, frames, extension=".gif", duration=1000 / _FRAMES_PER_SECOND, loop=0)
        image = Summary.Image(
            height=frames.shape[1], width=frames.shape[2], colorspace=3, encoded_image_string=still.getvalue()
        )
        self._open().file_writer.add_summary(Summary(value=[Summary.Value(tag=name, image=image)]))

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()

    def _open(self, **settings: Any) -> Any:
        if self._writer is None:
            self._writer = self._library.SummaryWriter(self._folder, **settings)
        return self._writer


class _Experiments(Tracker):
    """What Weights & Biases and trackio, which has most of its interface, share."""

    _library: Any
    _run: Any = None

    def __init__(self, folder: Path, project: str):
        self._folder, self._project = folder, project

    @abstractmethod
    def _begin(self, name: str, identity: str) -> Any:
        """Begin the run, or go on with it, and return it."""

    @abstractmethod
    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        """Add numbers to curves."""

    def _open(self) -> Any:
        if self._run is None:
            file = self._folder / _ID
            if not file.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                with atomic_write(file) as opened:
                    opened.write(uuid4().hex[:8].encode())
            self._run = self._begin(self._folder.resolve().name, file.read_text(encoding="utf-8"))
        return self._run

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        """Add numbers to curves; of a list, one curve for each of its numbers."""
        self._open()
        self._add(step, _numbers(values))

    def table(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        """Add a table."""
        shown = self._library.Table(columns=[*rows[0]], data=[[*row.values()] for row in rows])
        self._open().log({name: shown})

    def film(self, name: str, path: Path) -> None:
        """Add a film."""
        self._open()  # trackio keeps a film with the run that is open
        self._run.log({name: self._library.Video(str(path), format="mp4")})

    def close(self) -> None:
        """End the run."""
        if self._run is not None:
            self._run.finish()


class WandB(_Experiments):
    """Log a run to Weights & Biases; ``WANDB_MODE=offline`` keeps it in the folder, for ``wandb sync``.

    Args:
        folder: of the run, which is called by its name; what is kept here is in ``wandb`` in it.
        project: of Weights & Biases.

    Raises:
        ImportError: wandb is not installed.
    """

    def __init__(self, folder: Path, project: str = "wmcontrol"):
        super().__init__(folder, project)
        self._library = _imported("wandb", "Weights & Biases", "wandb")

    def _begin(self, name: str, identity: str) -> Any:
        run = self._library.init(
            project=self._project, name=name, id=identity, resume="allow", dir=str(self._folder.resolve())
        )
        run.define_metric("*", step_metric="step")  # steps of its own would have to grow from line to line
        return run

    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        self._run.log({"step": step, **values})


class Trackio(_Experiments):
    """Log a run to trackio, which keeps it on this machine: ``trackio show``.

    Args:
        folder: of the run, which is called by its name.
        project: of trackio.

    Raises:
        ImportError: trackio is not installed.
    """

    def __init__(self, folder: Path, project: str = "wmcontrol"):
        super().__init__(folder, project)
        self._library = _imported("trackio", "trackio", "trackio")

    def _begin(self, name: str, identity: str) -> Any:
        return self._library.init(project=self._project, name=f"{name}-{identity}", resume="allow", embed=False)

    def _add(self, step: int, values: Mapping[str, Any]) -> None:
        self._run.log(dict(values), step=step)


def _imported(module: str, name: str, extra: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ImportError(f'this tracker needs {name}: pip install "wmcontrol[{extra}]"') from error


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """Return numbers by name; those of a list are counted from 1."""
    found: dict[str, float] = {}
    for name, value in values.items():
        found |= {f"{name}/{i}": x for i, x in enumerate(value, 1)} if isinstance(value, list) else {name: value}
    return found
