"""``wmcontrol bench data``: how fast training reads, and how fast what it reads is made.

Each measurement runs in a process of its own, on one core.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter

import imageio.v3 as imageio
import numpy as np
import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from ..data import Clips, LatentStore, encode_dataset, open_dataset
from ..data.clip_index import ClipIndex
from ..data.sampling import Shuffled
from ..encoders import PyramidEncoder
from ..memory import peak_memory
from .collecting import collect_into
from .encoding import sample_frames
from .measuring import in_process
from .policies.registry import make_policy

_ENV = "wmcontrol/Wall-v0"
_FRAMES = 50  # of an episode, as in DINO-WM's set of Wall
_BATCH = 256
_STEPS = (0.1, 1.0)  # seconds, of clips
_VIDEO_SIZE = 224


@dataclass(frozen=True)
class Rate:
    """What one process found."""

    what: str
    per_second: float
    unit: str
    memory: int  # peak of the process, bytes


def run(console: Console, episodes: int = 2000, seconds: float = 2.0) -> None:
    """Measure and print a table.

    Args:
        console: where to.
        episodes: size of the set that is made and read.
        seconds: how long each rate of reading is measured.
    """
    table = Table(title=f"{episodes} x {_FRAMES} frames of Wall, on one core", box=SIMPLE, title_justify="left")
    table.add_column("")
    for column in ("per second", "peak memory"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        for name in _MEASURED:
            found = in_process(_on_one_core, name, Path(folder), episodes, seconds)
            rate = f"{found.per_second:,.0f} {found.unit}"
            table.add_row(found.what, rate, f"{found.memory / 2**20:,.0f} MiB")
    console.print(table)


def _on_one_core(name: str, folder: Path, episodes: int, seconds: float) -> Rate:
    torch.set_num_threads(1)
    return _MEASURED[name](folder, episodes, seconds)


def _collecting(folder: Path, episodes: int, seconds: float) -> Rate:
    """Collect the set that the others read."""
    start = perf_counter()
    collect_into(
        folder / "set",
        _ENV,
        make_policy("random", _ENV),
        episodes,
        seed=0,
        env_settings={},
        keep_pixels=None,
        settings={},
    )
    return Rate("collecting, states only", _FRAMES * episodes / (perf_counter() - start), "frames", peak_memory())


def _building(folder: Path, episodes: int, seconds: float) -> Rate:
    """Build the store: draw frames, encode and write them."""
    dataset = open_dataset(folder / "set")
    encoder = PyramidEncoder()
    encoder.fit(torch.from_numpy(sample_frames([dataset], min(5000, _FRAMES * episodes), 0)[0]))
    start = perf_counter()
    store = encode_dataset(dataset, encoder, folder / "stores")
    rate = len(store.tokens) / (perf_counter() - start)
    return Rate("building the store: drawing 64 px, pyramid", rate, "frames", peak_memory())


def _windows(folder: Path, episodes: int, seconds: float) -> Rate:
    """Read shuffled windows with their actions from the store."""
    windows = _store(folder).windows(4, 5)
    order = Shuffled(len(windows), _BATCH, seed=0)
    rate = _BATCH * _per_second(lambda step: windows.batch(order.batch(step)), seconds)
    return Rate("windows of 4 frames from the store", rate, "windows", peak_memory())


def _token_clips(folder: Path, episodes: int, seconds: float) -> Rate:
    """Read clips of variable frame rate from the store."""
    store = _store(folder)
    index = ClipIndex.over(store.times, store.lengths, 8, (0.1, 0.7), seed=0)

    def read(step: int) -> None:
        chosen = index.choose(np.arange(step * _BATCH, (step + 1) * _BATCH))
        rows = store.offsets[chosen.trajectories][:, None] + chosen.frames
        store.tokens.index_select(0, torch.from_numpy(rows.ravel()))

    return Rate("clips of 8 frames from the store", _BATCH * _per_second(read, seconds), "clips", peak_memory())


def _video_clips(folder: Path, episodes: int, seconds: float) -> Rate:
    """Decode clips of variable frame rate from a video."""
    dataset = open_dataset(folder / "set", image_size=_VIDEO_SIZE)
    frames = [dataset.trajectory(i).frames for i in range(min(20, episodes))]
    pictures = np.concatenate([drawn.read(range(_FRAMES)) for drawn in frames if drawn is not None])
    (folder / "videos").mkdir()
    imageio.imwrite(folder / "videos" / "wall.mp4", pictures, fps=10, codec="libx264")
    clips = Clips(open_dataset(folder / "videos"), step_seconds=_STEPS, seed=0)
    rate = _per_second(lambda step: clips[step], seconds)
    return Rate(f"clips of 8 frames from a video of {_VIDEO_SIZE} px", rate, "clips", peak_memory())


def _store(folder: Path) -> LatentStore:
    (path,) = (folder / "stores").glob("*/store.json")
    return LatentStore.open(path.parent)


def _per_second(work: Callable[[int], object], seconds: float) -> float:
    """How often a second some work can be done; its first time does not count."""
    work(0)
    start, count = perf_counter(), 0
    while perf_counter() - start < seconds:
        count += 1
        work(count)
    return count / (perf_counter() - start)


_MEASURED: dict[str, Callable[[Path, int, float], Rate]] = {
    measure.__name__: measure for measure in (_collecting, _building, _windows, _token_clips, _video_clips)
}
