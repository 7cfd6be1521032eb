"""Measure how fast training reads windows and clips, and how fast what it reads is made.

Each measurement runs in a process of its own, on one core.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import imageio.v3 as imageio
import numpy as np
import torch

from wmcontrol import PyramidEncoder
from wmcontrol.data import Clips, LatentStore, TrajectoryDataset, collect, encode, open_dataset
from wmcontrol.data.policies import random
from wmcontrol.memory import peak_memory
from wmcontrol.training import ClipSource, WindowSource

from .results import Section, command, positive, save, whole
from .timing import in_process, mean_seconds, one_core

ENV = "wmcontrol/Wall-v0"
FRAMES = 50  # of an episode, as in DINO-WM's set of Wall
BATCH = 256
VIDEO_SIZE = 224


def _collected(episodes: int, image_size: int = 64) -> TrajectoryDataset:
    """Return episodes of random actions in Wall."""
    return collect(ENV, random(ENV, num_frames=FRAMES), episodes, seed=0, keep_pixels=image_size)


def _frames(dataset: TrajectoryDataset, count: int) -> Any:
    """Return the first ``count`` frames."""
    trajectories = (dataset.trajectory(i).frames for i in range(-(-count // FRAMES)))
    return np.concatenate([drawn.read(range(FRAMES)) for drawn in trajectories if drawn is not None])[:count]


def collecting(folder: Path, episodes: int, lasting: float) -> tuple[str, float, str]:
    """Collect states."""
    start = perf_counter()
    collected = _collected(episodes)
    return "collecting, states only", FRAMES * len(collected) / (perf_counter() - start), "frames"


def encoding(folder: Path, episodes: int, lasting: float) -> tuple[str, float, str]:
    """Build the store that the next two read: draw frames, encode and write them."""
    collected = _collected(episodes)
    encoder = PyramidEncoder()
    encoder.fit(torch.from_numpy(_frames(collected, min(5000, FRAMES * episodes))))
    start = perf_counter()
    store = encode(collected, encoder, folder / "stores")
    return "building the store: drawing 64 px, pyramid", len(store.tokens) / (perf_counter() - start), "frames"


def windows(folder: Path, episodes: int, lasting: float) -> tuple[str, float, str]:
    """Read batches of windows with their actions, as fine-tuning does."""
    source = WindowSource(_store(folder).windows(4, 5), BATCH, None, seed=0)
    return (
        "windows of 4 frames from the store, as fine-tuning reads them",
        BATCH / mean_seconds(source.batch, lasting),
        "windows",
    )


def clips(folder: Path, episodes: int, lasting: float) -> tuple[str, float, str]:
    """Read batches of clips of variable frame rate, as pretraining does."""
    source = ClipSource([_store(folder)], [1.0], BATCH, num_frames=8, step_seconds=(0.1, 0.7), seed=0)
    return (
        "clips of 8 frames from the store, as pretraining reads them",
        BATCH / mean_seconds(source.batch, lasting),
        "clips",
    )


def video(folder: Path, episodes: int, lasting: float) -> tuple[str, float, str]:
    """Decode clips of variable frame rate from a video."""
    (folder / "videos").mkdir()
    frames = _frames(_collected(min(20, episodes), VIDEO_SIZE), FRAMES * min(20, episodes))
    imageio.imwrite(folder / "videos" / "wall.mp4", frames, fps=10, codec="libx264")
    read = Clips(open_dataset(folder / "videos"), step_seconds=(0.1, 1.0), seed=0)
    rate = 1 / mean_seconds(lambda step: read[step], lasting)
    return f"clips of 8 frames, decoded from a video of {VIDEO_SIZE} px", rate, "clips"


def _store(folder: Path) -> LatentStore:
    (path,) = (folder / "stores").glob("*/store.json")
    return LatentStore.open(path.parent)


MEASURED: Mapping[str, Callable[[Path, int, float], tuple[str, float, str]]] = {
    measure.__name__: measure for measure in (collecting, encoding, windows, clips, video)
}


def rates(episodes: int, lasting: float) -> Section:
    """Measure one after another."""
    rows, numbers = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for name in MEASURED:
            what, per_second, unit, memory = in_process(_on_one_core, name, Path(folder), episodes, lasting)
            numbers[name] = {"per_second": per_second, "peak_memory": memory}
            rows.append((what, f"{per_second:,.0f} {unit}", f"{memory / 2**20:,.0f} MiB"))
    about = f"{episodes:,} episodes of {FRAMES} frames of Wall, each row in a process of its own, on one core."
    return Section("Data", about, ("", "per second", "peak memory"), rows, numbers)


def _on_one_core(name: str, folder: Path, episodes: int, lasting: float) -> tuple[str, float, str, int]:
    torch.set_num_threads(1)
    with one_core():
        return *MEASURED[name](folder, episodes, lasting), peak_memory()


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("data", __doc__)
    parser.add_argument("--episodes", type=whole, default=2000, help="size of the set that is made and read")
    parser.add_argument("--seconds", type=positive, default=2.0, help="how long each rate of reading is measured")
    args = parser.parse_args(argv)
    save("data", args, {"data": lambda: rates(args.episodes, args.seconds)})


if __name__ == "__main__":
    main()
