"""Learning from the trajectories of a store how unlikely it is to get from one frame to another: by contrast.

Letters: ``B`` pairs of frames, ``E`` numbers of an embedding.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..checks import check_fields, check_type, number, whole
from ..data import LatentStore
from ..models import TemporalEmbedding, WorldModel
from ..models.temporal_embedding import MOST
from ..untrusted import AnyJson, Number, Record
from .descent import cosine, descend
from .distributed import DistributedContext
from .hindsight import HindsightPairs, hindsight
from .inputs import base_digest, run
from .state import OnLog

_TRIED = 4  # batches of held-out pairs that the loss is measured on
_RESULT = Record(
    {"error": Number(low=0), "chance_error": Number(low=0), "accuracy": Number(low=0), "seconds": Number(low=0)},
    others=AnyJson(),
)


@dataclass(frozen=True, kw_only=True)
class TemporalEmbeddingSettings:
    """How :func:`fit_temporal_embedding` trains.

    Args:
        num_steps: optimiser steps. For example 12000.
        batch_size: pairs of frames of a step; each frame is told from the later frames of all of them. For example 512.
        learning_rate: at the start; it falls to 0 along half a cosine. For example 5e-4.
        weight_decay: of AdamW. For example 0.1.
        max_steps: model steps that lie between the frames of a pair at most. Distances farther than one gets within
            them are not told apart. For example 60.
        size: numbers of an embedding. For example 64.
        width: of the network. For example 256.
        depth: its layers. For example 2.
        num_frames: frames of the training data that are kept, for subgoals to be chosen from; 0 for none. For example
            4000.
        seed: of weights and pairs. For example 1.
        split_seed: decides which trajectories are held out, as of fine-tuning; by default seed. For example 0.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    num_steps: int = whole(6000)
    batch_size: int = whole(1024, least=2, most=2**14)
    learning_rate: float = number(1e-3, "(0, 1)")
    weight_decay: float = number(0.01, "[0, 1]")
    max_steps: int = whole(20, most=1000)
    size: int = whole(32, most=MOST["size"])
    width: int = whole(512, most=MOST["width"])
    depth: int = whole(3, most=MOST["depth"])
    num_frames: int = whole(16_000, least=0, most=MOST["num_frames"])
    seed: int = whole(0, least=0)
    split_seed: int | None = whole(None, least=0)

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class TemporalEmbeddingResult:
    """What fitting a temporal embedding gave.

    Attributes:
        model: the model with :class:`~wmcontrol.models.TemporalEmbedding`, on the CPU.
        error: cross entropy of telling, on held-out trajectories, which frame of a batch comes after another, nats.
        chance_error: the same of one who guesses: the logarithm of the size of a batch.
        accuracy: how often it is the nearest one, from 0 to 1.
        seconds: that the steps took, those before a kill included.
        folder: with the model in ``model``; None where none was asked for.
    """

    model: WorldModel
    error: float
    chance_error: float
    accuracy: float
    seconds: float
    folder: Path | None


@torch.inference_mode(False)
@torch.enable_grad()
def fit_temporal_embedding(
    store: LatentStore | str | Path,
    *,
    base: WorldModel | str | Path,
    settings: TemporalEmbeddingSettings = TemporalEmbeddingSettings(),
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> TemporalEmbeddingResult:
    """Teach a model a temporal distance: which frames come soon after one another in trajectories, and which do not.

    The world model stays as it is. With :class:`~wmcontrol.TemporalDistance` as objective agents plan by the distance.
    Of the weights, the moving average is kept that tells held-out pairs best.

    Args:
        store: a latent store, or its folder: what the model was fine-tuned on, or more of that kind.
        base: the model, with actions and the store's encoder; its folder, or a packaged name.
        settings: of the training.
        folder: for the model, the log and the result; the same call goes on there after a kill. By default nothing is
            kept on disk.
        device: where to train; ``"auto"`` is a GPU if there is one.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: a store of another encoder, a model without actions, too few or too short trajectories; ``folder``
            holds another run; or the loss is not finite.
        OSError: the store or model is not there, ``folder`` cannot be written to, or another process writes there.
    """
    check_type("settings", settings, TemporalEmbeddingSettings)
    place, data, world, pairs, unseen = hindsight(store, base, settings, device)
    about = {"store": data.identity(), "base": base_digest(world), "settings": asdict(settings)}

    def train_it(out: Path, where: DistributedContext) -> tuple[WorldModel, dict[str, Any]]:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(settings.seed)
            _, num_patches, dim = data.tokens.shape
            network = TemporalEmbedding(
                dim, num_patches, size=settings.size, width=settings.width, depth=settings.depth
            )
        mean, std = pairs.statistics(settings.seed)
        network.mean.copy_(mean)
        network.std.copy_(std)
        network.to(where.device)

        def batch(source: HindsightPairs, *seed: int) -> Tensor:
            found = source.later(settings.batch_size, np.random.default_rng([settings.seed, *seed]))
            return source.tokens(np.stack(found)).to(where.device)

        tried = [batch(unseen, 1, i) for i in range(_TRIED)]
        _, seconds = descend(
            network,
            torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay),
            lambda step: _contrast(_distances(network, batch(pairs, 0, step))),
            num_steps=settings.num_steps,
            rate=cosine,
            folder=out,
            device=where.device,
            progress=progress,
            on_log=on_log,
            held_out_loss=lambda kept: torch.stack([_contrast(_distances(kept, each)) for each in tried]).mean(),
        )
        network.requires_grad_(False).eval()
        kept = min(settings.num_frames, len(pairs.frames))
        chosen = np.random.default_rng([settings.seed, 3]).choice(len(pairs.frames), kept, replace=False)
        world.temporal_embedding = network.keep(pairs.tokens(np.sort(chosen))).requires_grad_(False).eval().cpu()
        distances = [_distances(network, each) for each in tried]
        nearest = [
            found.argmin(1).cpu() == torch.arange(len(found), dtype=torch.int64, device="cpu") for found in distances
        ]
        result = {
            "error": float(torch.stack([_contrast(found) for found in distances]).mean()),
            "chance_error": math.log(settings.batch_size),
            "accuracy": float(torch.stack(nearest).float().mean()),
            "seconds": seconds,
        }
        return world, result

    found, result = run(folder, "fit_temporal_embedding", about, place, _RESULT, train_it)
    return TemporalEmbeddingResult(
        model=found,
        error=result["error"],
        chance_error=result["chance_error"],
        accuracy=result["accuracy"],
        seconds=result["seconds"],
        folder=None if folder is None else Path(folder),
    )


def _distances(network: TemporalEmbedding, frames: Tensor) -> Tensor:
    """Return the distances (B, B) of each of the first to each of the later frames (2, B, P, D)."""
    first, later = network.embed(frames)
    return torch.cdist(first, later)


def _contrast(distances: Tensor) -> Tensor:
    """Return the cross entropy of telling which later frame belongs to a first one, and the other way round."""
    target = torch.arange(len(distances), dtype=torch.int64, device=distances.device)
    cross_entropy = torch.nn.functional.cross_entropy
    return (cross_entropy(-distances, target) + cross_entropy(-distances.T, target)) / 2
