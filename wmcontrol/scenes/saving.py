"""Scenes as files: films without loss with their labels beside them, and pairs in the layout of GRASP."""

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..checks import check_choice, check_whole
from ..engine import run_parallel
from ..files import atomic_write
from ..runs import open_run
from .datasets import PairDataset, PairDataset3D, SceneDataset, SceneDataset3D
from .records import Pair, SceneKind

TEST_SEED = 20_210  # of the test clips and of the pairs, whatever the seed of the others
PAIR_SECONDS = 3.2
_AT_ONCE = 16  # clips that a process makes before it says that it is done
# Each pixel comes back as it was; what is read often are few frames from somewhere.
_LOSSLESS = {"qp": "0", "preset": "veryfast", "g": "8", "bf": "0"}
Sets = Mapping[str, SceneDataset | SceneDataset3D | PairDataset]


def scene_sets(
    *,
    num_clips: int = 10_000,
    num_test: int = 1_000,
    num_pairs: int = 500,
    seed: int = 0,
    kind: SceneKind = "flat",
    image_size: int | tuple[int, int] = 64,
    num_frames: int = 32,
    frame_rate: float = 15.0,
) -> Sets:
    """Return clips to train on, ``train``, a ``test`` set that is always the same, and ``pairs``; none of nothing.

    Args:
        num_clips: to train on. For example 2000.
        num_test: clips of the test set. For example 200.
        num_pairs: pairs of films. For example 100.
        seed: which clips are trained on; those of the test set and the pairs are always the same. For example 1.
        kind: flat, of :class:`SceneDataset` and :class:`PairDataset`; or solid, of :class:`SceneDataset3D` and
            :class:`PairDataset3D`, which MuJoCo draws. For example solid.
        image_size: side of the frames, pixels, or height and width. For example 128.
        num_frames: of a clip. For example 48.
        frame_rate: frames per second. For example 24.

    Raises:
        ValueError: a number that makes no sense, or ``seed`` is that of the test set; it is named.
    """
    if seed == TEST_SEED:
        raise ValueError(f"seed: {TEST_SEED} is that of the test clips; choose another")
    for name, count in (("num_clips", num_clips), ("num_test", num_test), ("num_pairs", num_pairs)):
        check_whole(name, count, 0)
    check_choice("kind", kind, SceneKind)
    make, make_pairs = (SceneDataset, PairDataset) if kind == "flat" else (SceneDataset3D, PairDataset3D)
    sets: dict[str, SceneDataset | SceneDataset3D | PairDataset] = {}
    for name, count, which in (("train", num_clips, seed), ("test", num_test, TEST_SEED)):
        if count:
            sets[name] = make(which, count, image_size=image_size, num_frames=num_frames, frame_rate=frame_rate)
    if num_pairs:
        frames = round(PAIR_SECONDS * frame_rate)
        sets["pairs"] = make_pairs(
            TEST_SEED, num_pairs, image_size=image_size, num_frames=frames, frame_rate=frame_rate
        )
    return sets


def save_scenes(
    folder: str | Path,
    sets: Sets,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Save clips and pairs, each set in a folder of its name; a killed run goes on.

    ``train/000000.mp4`` is a clip, H.264 without loss, which :func:`wmcontrol.data.open_dataset` reads with all others
    of ``train``. ``train/labels/000000.npz`` has the other arrays of :class:`~wmcontrol.scenes.Clip` by their names.
    So has ``test``.
    ``pairs/P_CATEGORY/000000.mp4`` is a possible film and ``pairs/IP_CATEGORY/000000.mp4`` the impossible one of the
    pair.

    Args:
        folder: where.
        sets: by name, such as :func:`scene_sets` returns.
        jobs: processes that share the work. For example 4.
        progress: is told how many clips and pairs are saved, and of how many.

    Returns:
        The folder.

    Raises:
        ValueError: the folder has other scenes; it says what differs.
        OSError: the folder cannot be written to, or MuJoCo cannot draw here.
    """
    settings = {name: {"type": type(data).__name__, **data.settings()} for name, data in sets.items()}
    with open_run(folder, "scenes", settings) as held:
        writer = _Writer(sets, held)
        total = sum(map(len, sets.values()))
        parts = [
            (name, range(start, min(start + _AT_ONCE, len(data))))
            for name, data in sets.items()
            for start in range(0, len(data), _AT_ONCE)
        ]
        left = [(name, numbers) for name, numbers in parts if not all(map(writer.saved(name), numbers))]
        done = total - sum(len(numbers) for _, numbers in left)

        def tell(count: int, _: int) -> None:
            if progress is not None:
                progress(min(total, done + count * _AT_ONCE), total)

        run_parallel(writer, left, jobs=jobs, name=lambda part: f"{part[0]} {part[1].start}", progress=tell)
        return held


@dataclass(frozen=True)
class _Writer:
    """Saves clips and pairs of some numbers."""

    sets: Sets
    folder: Path

    def __call__(self, part: tuple[str, range]) -> None:
        name, numbers = part
        data, saved = self.sets[name], self.saved(name)
        for number in numbers:
            if saved(number):
                continue
            # The file that says that all of a number is saved comes last.
            *first, last = self._files(name, number)
            made = data[number]
            for path in (*first, last):
                path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(made, Pair):
                save_film(first[0], made.possible.frames, data.frame_rate)
                save_film(last, made.impossible.frames, data.frame_rate)
                continue
            with atomic_write(first[0]) as file:
                np.savez_compressed(
                    file, classes=made.classes, instances=made.instances, depth=made.depth, times=made.times
                )
            save_film(last, made.frames, data.frame_rate)

    def saved(self, name: str) -> Callable[[int], bool]:
        """Return what says whether a number of a set is saved."""
        return lambda number: self._files(name, number)[-1].exists()

    def _files(self, name: str, number: int) -> list[Path]:
        data, folder = self.sets[name], self.folder / name
        if isinstance(data, PairDataset):
            category = data.category(number)
            return [folder / f"{kind}_{category}" / f"{number:06}.mp4" for kind in ("P", "IP")]
        return [folder / "labels" / f"{number:06}.npz", folder / f"{number:06}.mp4"]


def save_film(path: Path, frames: NDArray[np.uint8], frame_rate: float) -> None:
    """Save frames (T, height, width, 3) as an MP4 file that gives each pixel back as it was."""
    import av

    # In memory first: what the video library says of a full disk is a traceback.
    film = io.BytesIO()
    with av.open(film, "w", format="mp4") as container:
        stream = container.add_stream("libx264rgb", rate=Fraction(frame_rate).limit_denominator(1001))
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt, stream.options, stream.thread_type = "rgb24", dict(_LOSSLESS), "NONE"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    with atomic_write(path) as file:
        file.write(film.getvalue())
