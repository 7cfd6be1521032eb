"""Readers of the layouts that trajectories come in, and :func:`open_dataset`, which finds the one for a path."""

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from ...hub import is_on_hub, local_folder
from ..dataset import TrajectoryDataset


@dataclass(frozen=True)
class Layout:
    """A layout that is known: where its reader is, and what a person tells it by.

    The module has ``recognises(path: Path) -> bool``, which looks at names and first bytes, not at the data.
    """

    module: str  # of this package; imported when a path is looked at
    reader: str  # the class in it: TrajectoryDataset(path, **settings)
    telltale: str
    fallback: bool = False  # fits what others fit better: asked only where none of them does

    def load(self) -> Any:
        """Return the module."""
        return import_module(f".{self.module}", __package__)


LAYOUTS = (
    Layout("dino_wm", "DinoWM", "DINO-WM: a folder with states.pth and obses/"),
    Layout("diffusion_policy", "DiffusionPolicy", "Diffusion Policy: zarr, folder or zip, with meta/episode_ends"),
    Layout("lerobot", "LeRobot", "LeRobot: a folder with meta/info.json"),
    Layout(
        "minari",
        "MinariTrajectories",
        "Minari: a folder with data/metadata.json, and main_data.hdf5 or Arrow beside it",
    ),
    Layout("d4rl", "D4RLTrajectories", "D4RL: an HDF5 file with observations, actions and infos/qpos"),
    Layout("lewm", "LeWM", "LeWM and stable-worldmodel: an HDF5 file with ep_len and ep_offset"),
    Layout("robomimic", "Robomimic", "robomimic: an HDF5 file with data/demo_0"),
    Layout(
        "plain",
        "PlainArrays",
        "plain arrays: an HDF5 file, a zarr folder or an npz file with actions, states or pictures",
        fallback=True,
    ),
    Layout(
        "video_actions",
        "VideoActions",
        "videos with actions: a folder with a.mp4, and a.csv, .npz or .parquet beside it",
    ),
    Layout("video_folder", "VideoFolder", "videos without actions: a folder with mp4, mkv, … below it", fallback=True),
)


def open_dataset(path: str | Path, **settings: Any) -> TrajectoryDataset:
    """Open trajectories in whatever layout they lie at ``path``; frames are read when they are asked for.

    Args:
        path: a file or folder; or ``hf://datasets/owner/name`` of the Hugging Face Hub, see :func:`local_path`.
        settings: of the reader that fits, see its class.

    Raises:
        OSError: there is nothing at the path, a file of the layout is missing, or one cannot be read.
        ValueError: no layout fits, or more than one; or what is in the files contradicts itself.
        TypeError: a setting that the reader does not have.
        ImportError: a library that reads the layout is not installed; it says how to install it.
    """
    path = local_path(path, settings.get("camera"))
    reader: Any = reader_of(path)
    names = list(inspect.signature(reader).parameters)[1:]
    for name in settings:
        if name not in names:
            raise TypeError(f"{reader.__name__}, which reads {path}, has no setting {name!r}; it has {names}")
    dataset: TrajectoryDataset = reader(path, **settings)
    return dataset


def local_path(path: str | Path, camera: str | None = None) -> Path:
    """Return where data lie on this machine; those of the Hub are downloaded into its cache first.

    Args:
        path: a path; or ``hf://datasets/owner/name`` with data of LeRobot or Minari. ``@revision`` may follow, and
            ``/folder`` of a set in it.
        camera: whose films are downloaded, of several.

    Raises:
        OSError: there is no such repository or revision, or the Hub cannot be reached.
        ValueError: a path of the Hub that is none, or films of several cameras and none named.
        ImportError: huggingface_hub is not installed.
    """
    if not is_on_hub(path):
        return Path(path)
    folder, films = local_folder(path, ["meta/*"], "dataset"), []
    if (folder / "meta" / "info.json").exists():
        from .lerobot import camera_of

        film = camera_of(folder, camera)
        films = [f"videos/{film}/*", f"videos/*/{film}/*"] if film else []
    return local_folder(path, ["meta/*", "data/*", *films], "dataset")


def reader_of(path: str | Path) -> type[TrajectoryDataset]:
    """Return the class that reads what lies at ``path``.

    Raises:
        OSError, ValueError, ImportError: as :func:`open_dataset`.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder {path}")
    fitting: list[Layout] = []
    not_installed: list[ImportError] = []
    for layout in sorted(LAYOUTS, key=lambda layout: layout.fallback):
        if layout.fallback and fitting:
            break
        try:
            if layout.load().recognises(path):
                fitting.append(layout)
        except ImportError as error:
            not_installed.append(error)
    if not fitting:
        if not_installed:
            raise not_installed[0]
        raise ValueError(f"{path} is in no layout that is known. It {_seen(path)}. Known are:\n{_known(LAYOUTS)}")
    if len(fitting) > 1:
        raise ValueError(
            f"{path} fits more than one layout; use the reader meant, of wmcontrol.data.formats, or separate the files:"
            f"\n{_known(fitting)}"
        )
    reader: type[TrajectoryDataset] = getattr(fitting[0].load(), fitting[0].reader)
    return reader


def _known(layouts: Sequence[Layout]) -> str:
    return "\n".join(f"- {layout.telltale} ({layout.module}.{layout.reader})" for layout in layouts)


def _seen(path: Path) -> str:
    if path.is_file():
        with path.open("rb") as file:
            return f"is a file of {path.stat().st_size} bytes that begins with {file.read(8)!r}"
    names = sorted(item.name + "/" * item.is_dir() for item in path.iterdir())
    if not names:
        return "is an empty folder"
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return f"holds {', '.join(names[:6])}{more}"
