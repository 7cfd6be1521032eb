"""Learning from the trajectories of a store how many model steps lie between frames, and which frames cover them all.

Letters: ``B`` pairs of frames, ``F`` frames, ``N`` the most steps that are told apart, ``P`` patches of a frame, ``D``
numbers of a token.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_fields, check_type, number, whole
from ..data import LatentStore
from ..models import Landmarks, StepsToGo, WorldModel
from ..models.landmarks import MOST_LANDMARKS, farthest_points
from ..models.steps_to_go import MOST
from ..untrusted import AnyJson, ListOf, Number, Record
from .descent import cosine, descend
from .distributed import DistributedContext
from .hindsight import HindsightPairs, Pairs, hindsight
from .inputs import base_digest, run
from .state import OnLog

_TRIED = 8192  # held-out pairs that errors are measured on
_TESTED = 2048  # others, which choose the weights that are kept
_BINS = 10  # of the calibration
_COVERED = 20_000  # frames that landmarks are chosen from
_RESULT = Record(
    {"error": Number(low=0), "chance_error": Number(low=0), "calibration": ListOf(AnyJson()), "seconds": Number(low=0)},
    others=AnyJson(),
)


@dataclass(frozen=True, kw_only=True)
class StepsToGoSettings:
    """How :func:`fit_steps_to_go` trains and what it chooses.

    Args:
        num_steps: optimiser steps. For example 6000.
        batch_size: pairs of frames of a step. For example 1024.
        learning_rate: at the start; it falls to 0 along half a cosine. For example 5e-4.
        weight_decay: of AdamW. For example 0.1.
        max_steps: model steps that are told apart; what takes more is "farther". For example 20.
        width: of the network. For example 256.
        depth: its residual blocks. For example 3.
        num_landmarks: frames that are kept as a map, chosen to cover the training data; 0 for none. For example 3000.
        reach: model steps from one landmark to the next at most. Few are told best. For example 1.5.
        seed: of weights and pairs. For example 1.
        split_seed: decides which trajectories are held out, as of fine-tuning; by default seed. For example 0.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    num_steps: int = whole(3000)
    batch_size: int = whole(512)
    learning_rate: float = number(1e-3, "(0, 1)")
    weight_decay: float = number(0.01, "[0, 1]")
    max_steps: int = whole(10, most=MOST["max_steps"])
    width: int = whole(128, most=MOST["width"])
    depth: int = whole(2, most=MOST["depth"])
    num_landmarks: int = whole(1500, least=0, most=MOST_LANDMARKS)
    reach: float = number(2.0, "(0, 1000]")
    seed: int = whole(0, least=0)
    split_seed: int | None = whole(None, least=0)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.reach > self.max_steps:
            raise ValueError(
                f"reach must be at most max_steps, {self.max_steps}, beyond which all is farther; got {self.reach}"
            )


class CalibrationBin(NamedTuple):
    """Held-out pairs of frames for which about as many steps were expected."""

    expected: float  # model steps, on average
    taken: float  # that lay between them, on average; "farther" as N + 1
    size: int  # how many pairs they are


@dataclass(frozen=True)
class StepsToGoResult:
    """What fitting steps to go gave.

    Attributes:
        model: the model with :class:`~wmcontrol.models.StepsToGo`, and :class:`~wmcontrol.models.Landmarks` if some
            were asked for, on the CPU.
        error: cross entropy on held-out pairs, nats.
        chance_error: the same of one who knows only how often each number of steps comes.
        calibration: what was expected and what came, of held-out pairs.
        seconds: that the steps took, those before a kill included.
        folder: with the model in ``model``; None where none was asked for.
    """

    model: WorldModel
    error: float
    chance_error: float
    calibration: tuple[CalibrationBin, ...]
    seconds: float
    folder: Path | None


@torch.inference_mode(False)
@torch.enable_grad()
def fit_steps_to_go(
    store: LatentStore | str | Path,
    *,
    base: WorldModel | str | Path,
    settings: StepsToGoSettings = StepsToGoSettings(),
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> StepsToGoResult:
    """Teach a model how many model steps lie between two frames, and give it landmarks, for goals beyond one plan.

    The world model stays as it is. :class:`~wmcontrol.HierarchicalAgent` plans far with the model that is returned. Of
    the weights, the moving average is kept that tells held-out pairs best.

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
    check_type("settings", settings, StepsToGoSettings)
    place, data, world, pairs, unseen = hindsight(store, base, settings, device)
    about = {"store": data.identity(), "base": base_digest(world), "settings": asdict(settings)}

    def train_it(out: Path, where: DistributedContext) -> tuple[WorldModel, dict[str, Any]]:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(settings.seed)
            _, num_patches, dim = data.tokens.shape
            network = StepsToGo(
                dim, num_patches, max_steps=settings.max_steps, width=settings.width, depth=settings.depth
            )
        mean, std = pairs.statistics(settings.seed)
        network.mean.copy_(mean)
        network.std.copy_(std)
        network.shares.copy_(torch.from_numpy(pairs.shares))
        network.to(where.device)

        def drawn(source: HindsightPairs, count: int, *seed: int) -> Pairs:
            found = source.draw(count, np.random.default_rng([settings.seed, *seed]))
            return Pairs(*(part.to(where.device) for part in found))

        tested = drawn(unseen, _TESTED, 2)

        _, seconds = descend(
            network,
            torch.optim.AdamW(network.parameters(), settings.learning_rate, weight_decay=settings.weight_decay),
            lambda step: _cross_entropy(network, drawn(pairs, settings.batch_size, 0, step)),
            num_steps=settings.num_steps,
            rate=cosine,
            folder=out,
            device=where.device,
            progress=progress,
            on_log=on_log,
            held_out_loss=lambda kept: _cross_entropy(kept, tested),
        )
        world.steps_to_go = network.requires_grad_(False).eval()
        result = {**_errors(network, drawn(unseen, _TRIED, 1)), "seconds": seconds}
        world.landmarks = None
        if settings.num_landmarks:
            chosen = choose_landmarks(network, data, pairs.frames, settings.num_landmarks, settings.reach)
            world.landmarks = chosen.cpu()
        network.cpu()
        return world, result

    found, result = run(folder, "fit_steps_to_go", about, place, _RESULT, train_it)
    return StepsToGoResult(
        model=found,
        error=result["error"],
        chance_error=result["chance_error"],
        calibration=tuple(CalibrationBin(*each) for each in result["calibration"]),
        seconds=result["seconds"],
        folder=None if folder is None else Path(folder),
    )


def choose_landmarks(
    steps_to_go: StepsToGo, store: LatentStore, frames: NDArray[np.int64], count: int, reach: float
) -> Landmarks:
    """Choose landmarks among frames of a store, by farthest-point sampling of standardised tokens, and connect them."""
    rng = np.random.default_rng(0)
    some = np.sort(rng.choice(frames, min(len(frames), max(_COVERED, 2 * count)), replace=False))
    tokens = store.tokens[torch.from_numpy(some)].float().to(steps_to_go.std.device)
    chosen = farthest_points((tokens - steps_to_go.mean) / steps_to_go.std, count)
    return Landmarks.connected(tokens[chosen], steps_to_go, reach)


def _cross_entropy(network: StepsToGo, pairs: Pairs) -> Tensor:
    return torch.nn.functional.cross_entropy(network.logits(pairs.tokens, pairs.goal), pairs.steps)


@torch.no_grad()
def _errors(network: StepsToGo, pairs: Pairs) -> dict[str, Any]:
    """Return the cross entropy, that of the frequencies alone, and what was expected against what came."""
    error = _cross_entropy(network, pairs)
    shares = torch.bincount(pairs.steps, minlength=network.max_steps + 2) / len(pairs.steps)
    chance = -(shares * shares.clamp_min(1e-12).log()).sum()
    expected = network.expected(pairs.tokens, pairs.goal).double().cpu().numpy()
    taken = pairs.steps.double().cpu().numpy()
    order = np.argsort(expected)
    bins = [(expected[part].mean(), taken[part].mean(), len(part)) for part in np.array_split(order, _BINS)]
    calibration = [[float(one), float(other), count] for one, other, count in bins]
    return {"error": float(error), "chance_error": float(chance), "calibration": calibration}
