"""``python -m experiments.scenes``: train a predictor on the embedded scenes, and make the tables of its forecasts.

It takes about 50 minutes of one core, or a GPU where there is one; killed, the same line goes on. Ablations of size,
data, encoder and resolution are the same line with one option changed, and a folder of their own.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from wmcontrol import WorldModel
from wmcontrol.cli.progress import progress_bar
from wmcontrol.data import LatentStore, encode
from wmcontrol.encoders import EfficientNetEncoder, Encoder, PyramidEncoder
from wmcontrol.forecasting import (
    DenseHead,
    Forecast,
    ForecastProtocol,
    HeadSettings,
    Surprise,
    SurpriseProtocol,
    distance_plot,
    forecast,
    how_far,
    save_result,
    surprise,
    train_head,
)
from wmcontrol.forecasting.readers import SceneClips, ScenePairs
from wmcontrol.hardware import usable_device
from wmcontrol.models import Predictor
from wmcontrol.models.predictor import SIZES
from wmcontrol.runs import open_run
from wmcontrol.scenes import TEST_SEED, SceneDataset
from wmcontrol.training import PretrainSettings, pretrain

from .start import start_by_copying
from .trajectories import SceneTrajectories

ENCODERS = ("efficientnet", "pyramid")
HEAD_SEED = 1  # of the clips that heads learn on; the predictor learns on those of seed 0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the tables.

    Args:
        clips: that the predictor learns on, half of them parts of possible films of pairs.
        clip_frames: of each.
        num_frames: that the predictor sees of a clip, and as many has a window of surprise, eight at least.
        size: of the predictor, by name.
        steps: of the predictor, with each encoder.
        batch_size: clips of a step.
        learning_rate: of the predictor.
        head_clips: of which a head learns on every sixth frame.
        head_steps: of a head.
        test_clips: that are forecast, four frames of each.
        pairs: of films.
    """

    clips: int = 2000
    clip_frames: int = 32
    num_frames: int = 7  # as a forecast of three steps after four frames
    size: str = "tiny"
    steps: tuple[int, ...] = (4500,)
    batch_size: int = 8
    learning_rate: float = 5e-3
    head_clips: int = 600
    head_steps: int = 2000
    test_clips: int = 100
    pairs: int = 250

    def training(self, steps: int) -> PretrainSettings:
        """Return the settings of pretraining."""
        return PretrainSettings(
            num_steps=steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            num_frames=self.num_frames,
            step_seconds=(1 / 15, 1 / 3),
            warmup_steps=50,
            weight_decay=0.01,
            compile=usable_device("auto").type == "cuda",
        )

    def surprise(self) -> SurpriseProtocol:
        """Return the windows of films: steps of a quarter of a second, which the predictor knows."""
        window = max(8, self.num_frames)
        return SurpriseProtocol(window=window, frame_step=4, contexts=tuple(range(window - 6, window - 2)), stride=1)


def make_tables(recipe: Recipe, encoders: Sequence[Encoder], out: Path, jobs: int = 1) -> tuple[Forecast, Surprise]:
    """Train the predictor and the head, forecast and be surprised; what is there in the folder is gone on with.

    Args:
        recipe: how much of all.
        encoders: of the frames, one for each number of ``recipe.steps``: the predictor learns on the tokens of each in
            turn, as the paper's does at a second resolution, and is judged with the last.
        out: the folder; the model is in ``predictor/model``, the head in ``head``, the tables in ``tables``.
        jobs: processes that draw and encode what the predictor learns on.

    Raises:
        ValueError: there are not as many numbers of steps as encoders.
    """
    if len(encoders) != len(recipe.steps):
        raise ValueError(f"steps: expected a number for each of {len(encoders)} resolutions, got {recipe.steps}")
    clips = SceneTrajectories(SceneDataset(0, recipe.clips, num_frames=recipe.clip_frames, event_share=0.5))
    model: WorldModel | None = None
    for number, (encoder, steps) in enumerate(zip(encoders, recipe.steps, strict=True), 1):
        with progress_bar("encoding", "frames") as progress:
            store = encode(clips, encoder, out / "stores", batch_size=64, device="auto", jobs=jobs, progress=progress)
        start = _copying(store, recipe.size) if model is None else _model_of(store, model.predictor)
        folder = out / ("predictor" if number == len(encoders) else f"predictor_{number}")
        with progress_bar("training the predictor", "steps") as progress:
            model = pretrain(
                store, settings=recipe.training(steps), start=start, folder=folder, progress=progress
            ).model
    assert model is not None
    with progress_bar("training the head", "steps") as progress:
        head = train_head(
            SceneClips(HEAD_SEED, recipe.head_clips),
            encoders[-1],
            settings=HeadSettings(num_steps=recipe.head_steps, learning_rate=1e-2, frames_per_video=6),
            folder=out / "head",
            progress=progress,
        ).head
    return _judge(model, head, recipe, out / "tables")


def _copying(store: LatentStore, size: str) -> WorldModel:
    """Return a model that copies the last frame."""
    torch.manual_seed(0)
    predictor = Predictor.from_size(size, dim=store.tokens.shape[2])
    start_by_copying(predictor, store.tokens[:: max(1, len(store.tokens) // 300)].float())
    return _model_of(store, predictor)


def _model_of(store: LatentStore, predictor: Any) -> WorldModel:
    return WorldModel(store.encoder, predictor, control_rate=15.0, frame_size=store.frame_size)


def encoder_of(name: str, image_size: int) -> Encoder:
    """Return an encoder with a token for every 16 x 16 pixels of frames of a size, which it brings them to.

    The pyramid has as many tokens of frames as they are.

    Args:
        name: of ``ENCODERS``.
        image_size: side of the frames, pixels, a multiple of 16, at least 32.

    Raises:
        ValueError: the size is none.
    """
    if image_size < 32 or image_size % 16:
        raise ValueError(f"image_size: expected a multiple of 16 from 32 up, got {image_size}")
    if name == "efficientnet":
        return EfficientNetEncoder(image_size=image_size)
    side = image_size // 16
    return PyramidEncoder(96, tokens=(side, side), blurs=(1 / 48, 1 / 24, 1 / 12, 1 / 6))


def _judge(model: WorldModel, head: DenseHead, recipe: Recipe, out: Path) -> tuple[Forecast, Surprise]:
    model = model.to(usable_device("auto"))
    clips, pairs = SceneClips(TEST_SEED, recipe.test_clips), ScenePairs(TEST_SEED, recipe.pairs)
    protocol, predictor = ForecastProtocol(windows_per_video=4), model.predictor
    assert isinstance(predictor, Predictor)
    settings = {
        "model": predictor.digest(),
        "clips": clips.settings(),
        "pairs": pairs.settings(),
        "forecast": vars(protocol),
        "surprise": vars(recipe.surprise()),
    }
    with open_run(out, "scenes", settings):
        with progress_bar("forecasting", "clips") as progress:
            foreseen = forecast(model, head, clips, protocol=protocol, progress=progress)
        save_result(foreseen, out, "forecast")
        with progress_bar("forecasting from afar", "clips") as progress:
            far = how_far(model, head, clips, protocol=protocol, distances=(1, 2, 3, 4, 6, 9), progress=progress)
        save_result(far, out, "how_far")
        distance_plot(far, out / "how_far.png")
        with progress_bar("watching pairs", "pairs") as progress:
            surprised = surprise(model, pairs, protocol=recipe.surprise(), progress=progress)
        save_result(surprised, out, "surprise")
    return foreseen, surprised


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scenes", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/seeing"), help="the folder (default: %(default)s)")
    parser.add_argument("--encoder", choices=ENCODERS, default=ENCODERS[0], help="(default: %(default)s)")
    parser.add_argument(
        "--image-size",
        type=int,
        nargs="+",
        default=[128],
        help="pixels that the encoder sees, 16 of which are a token's side; several are trained on in turn, each for "
        "its --steps (default: %(default)s)",
    )
    parser.add_argument("--jobs", type=int, default=1, help="processes that encode clips (default: %(default)s)")
    for name, value in vars(Recipe()).items():
        kind = {"nargs": "+"} if isinstance(value, tuple) else {"choices": SIZES} if isinstance(value, str) else {}
        parser.add_argument(
            f"--{name.replace('_', '-')}",
            type=int if isinstance(value, tuple) else type(value),
            default=value,
            help="(default: %(default)s)",
            **kind,
        )
    given = vars(parser.parse_args(argv))
    out, encoder, sizes, jobs = (given.pop(name) for name in ("out", "encoder", "image_size", "jobs"))
    recipe = Recipe(**{**given, "steps": tuple(given["steps"])})
    for result in make_tables(recipe, [encoder_of(encoder, size) for size in sizes], out, jobs):
        print(result.table())


if __name__ == "__main__":
    main()
