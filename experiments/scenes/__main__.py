"""``python -m experiments.scenes``: train a predictor on the embedded scenes, and make the tables of its forecasts.

It takes about 50 minutes of one core; killed, the same line goes on.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from wmcontrol import WorldModel
from wmcontrol.cli.progress import progress_bar
from wmcontrol.data import LatentStore, encode
from wmcontrol.encoders import EfficientNetEncoder, Encoder
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
from wmcontrol.models import Predictor
from wmcontrol.runs import open_run
from wmcontrol.scenes import TEST_SEED, SceneDataset
from wmcontrol.training import PretrainSettings, pretrain

from .start import start_by_copying
from .trajectories import SceneTrajectories

HEAD_SEED = 1  # of the clips that heads learn on; the predictor learns on those of seed 0


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """All that decides the tables.

    Args:
        clips: that the predictor learns on, half of them parts of possible films of pairs.
        steps: of the predictor.
        head_clips: of which a head learns on every sixth frame.
        head_steps: of a head.
        test_clips: that are forecast, four frames of each.
        pairs: of films.
    """

    clips: int = 2000
    steps: int = 4500
    head_clips: int = 600
    head_steps: int = 2000
    test_clips: int = 100
    pairs: int = 250

    def training(self) -> PretrainSettings:
        """Return the settings of pretraining."""
        return PretrainSettings(
            num_steps=self.steps,
            batch_size=8,
            num_frames=7,  # as a forecast of three steps after four frames
            step_seconds=(1 / 15, 1 / 3),
            warmup_steps=50,
            weight_decay=0.01,
        )


# Steps of a quarter of a second, which the predictor knows: a film has 12 such frames.
PROTOCOL = SurpriseProtocol(window=8, frame_step=4, contexts=(2, 3, 4, 5), stride=1)


def make_tables(recipe: Recipe, encoder: Encoder, out: Path) -> tuple[Forecast, Surprise]:
    """Train the predictor and the head, forecast and be surprised; what is there in the folder is gone on with.

    Args:
        recipe: how much of all.
        encoder: of the frames.
        out: the folder; the model is in ``predictor/model``, the head in ``head``, the tables in ``tables``.
    """
    clips = SceneTrajectories(SceneDataset(0, recipe.clips, event_share=0.5))
    with progress_bar("encoding", "frames") as progress:
        store = encode(clips, encoder, out / "stores", batch_size=64, progress=progress)
    with progress_bar("training the predictor", "steps") as progress:
        found = pretrain(
            store,
            settings=recipe.training(),
            start=_copying(store),
            folder=out / "predictor",
            progress=progress,
        )
    with progress_bar("training the head", "steps") as progress:
        head = train_head(
            SceneClips(HEAD_SEED, recipe.head_clips),
            encoder,
            settings=HeadSettings(num_steps=recipe.head_steps, learning_rate=1e-2, frames_per_video=6),
            folder=out / "head",
            progress=progress,
        ).head
    return _judge(found.model, head, recipe, out / "tables")


def _copying(store: LatentStore) -> WorldModel:
    """Return a model that copies the last frame."""
    torch.manual_seed(0)
    predictor = Predictor.from_size("tiny", dim=store.tokens.shape[2])
    start_by_copying(predictor, store.tokens[:: max(1, len(store.tokens) // 300)].float())
    return WorldModel(store.encoder, predictor, control_rate=15.0, frame_size=store.frame_size)


def _judge(model: WorldModel, head: DenseHead, recipe: Recipe, out: Path) -> tuple[Forecast, Surprise]:
    clips, pairs = SceneClips(TEST_SEED, recipe.test_clips), ScenePairs(TEST_SEED, recipe.pairs)
    protocol, predictor = ForecastProtocol(windows_per_video=4), model.predictor
    assert isinstance(predictor, Predictor)
    settings = {
        "model": predictor.digest(),
        "clips": clips.settings(),
        "pairs": pairs.settings(),
        "forecast": vars(protocol),
        "surprise": vars(PROTOCOL),
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
            surprised = surprise(model, pairs, protocol=PROTOCOL, progress=progress)
        save_result(surprised, out, "surprise")
    return foreseen, surprised


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.scenes", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("outputs/seeing"), help="the folder (default: %(default)s)")
    for name, value in vars(Recipe()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, help="(default: %(default)s)")
    given = vars(parser.parse_args(argv))
    out = given.pop("out")
    for result in make_tables(Recipe(**given), EfficientNetEncoder(image_size=128), out):
        print(result.table())


if __name__ == "__main__":
    main()
