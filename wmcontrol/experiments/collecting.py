"""What the jobs ``collect`` and ``convert`` do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..data import TrajectoryDataset, collect, convert
from ..data.collecting import CollectPolicy
from .progress import progress_bar


def collect_into(
    folder: Path,
    env_id: str,
    policy: CollectPolicy,
    episodes: int,
    *,
    seed: int,
    env_settings: Mapping[str, Any],
    keep_pixels: int | None,
    settings: Mapping[str, Any],
) -> None:
    """Collect episodes into a data set in ``folder``, or go on collecting; see :func:`wmcontrol.data.collect`."""
    with progress_bar("collecting", "episodes") as progress:
        collect(
            env_id,
            policy,
            episodes,
            folder=folder,
            seed=seed,
            env_settings=env_settings,
            keep_pixels=keep_pixels,
            about=settings,
            progress=progress,
        )
    _tell(folder, episodes)


def convert_into(folder: Path, dataset: TrajectoryDataset, source: Path, *, keep_pixels: bool) -> None:
    """Write a data set of any layout into ``folder``, or go on writing it; see :func:`wmcontrol.data.convert`."""
    with progress_bar("converting", "episodes") as progress:
        convert(dataset, folder, keep_pixels=keep_pixels, about={"source": str(source)}, progress=progress)
    _tell(folder, len(dataset))


def _tell(folder: Path, episodes: int) -> None:
    size = sum(file.stat().st_size for file in (folder / "data").iterdir())
    print(f"{episodes} episodes, {size / 1e6:,.1f} MB: {folder}")
