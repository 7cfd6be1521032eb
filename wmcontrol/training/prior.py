"""Learning an action prior for a model, from the trajectories of a store.

Letters: ``B`` windows, ``T`` frames that the prior looks at, ``H`` model steps ahead, ``P`` patches of a frame, ``D``
numbers of a token, ``A`` numbers in a model action, ``S`` samples.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..checks import check_fields, check_type, choice, number, whole
from ..data import LatentStore
from ..hardware import fast_dtype, usable_device
from ..models import ActionNormalizer, ActionPrior, WorldModel
from ..models.action_prior import MOST
from ..untrusted import AnyJson, Number, Record
from .descent import descend
from .distributed import DistributedContext
from .inputs import base_digest, model_beside, open_store, run, split, token_statistics
from .state import OnLog

_FAR = 0.4  # of the windows have their goal as far away as can be; the others anywhere up to there
_TRIED = 256  # held-out windows that samples are compared with
_SAMPLES = 16
_RESULT = Record(
    {"error": Number(low=0), "mean_action_error": Number(low=0), "seconds": Number(low=0)}, others=AnyJson()
)


@dataclass(frozen=True, kw_only=True)
class PriorSettings:
    """How :func:`fit_prior` trains.

    Args:
        num_steps: optimiser steps. For example 10000.
        batch_size: windows of a step. For example 512.
        learning_rate: at the start; it falls to 0 along a line. For example 1e-3.
        weight_decay: of AdamW. For example 0.01.
        width: of the network. For example 768.
        depth: its residual blocks. For example 3.
        num_train_trajectories: train on only so many trajectories; by default on all that are not held out. For
            example 50.
        seed: of weights, windows and noise. For example 1.
        split_seed: decides which trajectories are held out, as of fine-tuning; by default seed. For example 0.
        dtype: to compute in; auto is bfloat16 where the device has arithmetic for it, else float32. Weights are in
            float32 in any case. For example float32.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    num_steps: int = whole(4000)
    batch_size: int = whole(512)
    learning_rate: float = number(1e-3, "(0, 1)")
    weight_decay: float = number(0.01, "[0, 1]")
    width: int = whole(512, most=MOST["width"])
    depth: int = whole(3, most=MOST["depth"])
    num_train_trajectories: int | None = whole(None)
    seed: int = whole(0, least=0)
    split_seed: int | None = whole(None, least=0)
    dtype: str = choice("auto", ("auto", "float32", "bfloat16"))

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class PriorResult:
    """What fitting a prior gave.

    Attributes:
        model: the model with its prior, on the CPU.
        error: root mean square error of the nearest of 16 samples to what was done in held-out windows, over the steps
            until the goal, in normalised units. Among these trajectories are those that chose when training was best.
        mean_action_error: the same of the mean action, which a planner begins with otherwise.
        seconds: that the steps took, those before a kill included.
        folder: with the model in ``model``; None where none was asked for.
    """

    model: WorldModel
    error: float
    mean_action_error: float
    seconds: float
    folder: Path | None


class HindsightBatch(NamedTuple):
    """Windows whose goal is a frame that was reached."""

    tokens: Tensor  # (B, T, P, D), the newest last
    goal: Tensor  # (B, P, D)
    steps_to_go: Tensor  # (B,) from 1 to H
    actions: Tensor  # (B, H, A), normalised; those after the goal are any


class HindsightWindows:
    """All frames of trajectories that have a later one to be a goal.

    Args:
        store: with actions.
        members: numbers of trajectories.
        normalizer: of actions; its frameskip is the time of a model step.
        horizon: H, the farthest goal, in model steps.
        num_frames: T.

    Raises:
        ValueError: no trajectory is long enough for one step.
    """

    def __init__(
        self,
        store: LatentStore,
        members: Sequence[int],
        normalizer: ActionNormalizer,
        *,
        horizon: int,
        num_frames: int,
    ):
        assert store.actions is not None
        frameskip, lengths = normalizer.frameskip, store.lengths[list(members)]
        counts = (lengths - frameskip).clip(0)
        if not counts.sum():
            raise ValueError(f"no trajectory of {store.folder} has the {frameskip + 1} frames that a model step needs")
        self._store, self._normalizer, self._horizon, self._num_frames = store, normalizer, horizon, num_frames
        self._place = np.concatenate([np.arange(count) for count in counts])  # of the newest frame in its trajectory
        self._start = np.repeat(store.offsets[list(members)], counts)
        self._most = ((np.repeat(lengths, counts) - 1 - self._place) // frameskip).clip(max=horizon)
        # Windows near the end of the store reach over it, by actions that come after their goals.
        self._actions = np.pad(store.actions, ((0, horizon * frameskip), (0, 0)))

    def draw(self, count: int, rng: np.random.Generator) -> HindsightBatch:
        """Draw windows at random."""
        frameskip = self._normalizer.frameskip
        chosen = rng.integers(len(self._place), size=count)
        place, start, most = self._place[chosen], self._start[chosen], self._most[chosen]
        steps = np.where(rng.random(count) < _FAR, most, 1 + rng.integers(most))
        back = frameskip * np.arange(self._num_frames - 1, -1, -1)
        seen = start[:, None] + (place[:, None] - back).clip(0)  # before the first frame there is the first
        goal = start + place + frameskip * steps
        taken = (start + place)[:, None] + np.arange(self._horizon * frameskip)
        tokens, goals = (self._store.tokens[torch.from_numpy(rows)].float() for rows in (seen, goal))
        actions = torch.from_numpy(self._actions[taken]).float().unflatten(1, (self._horizon, frameskip))
        return HindsightBatch(tokens, goals, torch.from_numpy(steps), self._normalizer.to_model(actions))


def flow_matching_loss(prior: ActionPrior, batch: HindsightBatch, generator: torch.Generator) -> Tensor:
    """Return the mean square error of the velocity at random points of paths from noise to what was done.

    Only steps until the goal count (arXiv 2210.02747, equation 23, with sigma_min = 0).
    """
    place = generator.device
    noise = torch.empty_like(batch.actions, device=place).normal_(generator=generator).to(batch.actions)
    share = torch.empty_like(batch.actions[:, 0, :1], device=place).uniform_(generator=generator).to(batch.actions)
    due = prior.due(batch.steps_to_go)
    # After the goal there is only noise, in training as in sampling.
    actions = torch.where(due > 0, batch.actions, noise)
    point = noise + share[..., None] * (actions - noise)
    condition = prior.condition(batch.tokens, batch.goal, batch.steps_to_go)
    error = (prior(point, share, condition) - (actions - noise)).square() * due
    loss: Tensor = error.sum() / (due.sum() * prior.action_dim)
    return loss


@torch.inference_mode(False)
def fit_prior(
    store: LatentStore | str | Path,
    *,
    base: WorldModel | str | Path,
    settings: PriorSettings = PriorSettings(),
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> PriorResult:
    """Teach a model which action sequences lead from frames to later frames, as the trajectories of a store show.

    The world model stays as it is. Planning agents of the model that is returned begin their search with samples of the
    prior; see :meth:`wmcontrol.PlanningAgent.from_model`. The prior is the one whose loss on the held-out trajectories
    was least on the way: from few trajectories more steps learn these by heart.

    Args:
        store: a latent store with actions, or its folder: what the model was fine-tuned on, or more of that kind.
        base: the model, with actions and the store's encoder; its folder, or a packaged name.
        settings: of the training.
        folder: for the model, the log and the result; the same call goes on there after a kill. By default nothing is
            kept on disk.
        device: where to train; ``"auto"`` is a GPU if there is one.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: a store without actions or of another encoder, a model without actions, too few or too short
            trajectories; ``folder`` holds another run; or the loss is not finite.
        OSError: the store or model is not there, ``folder`` cannot be written to, or another process writes there.
    """
    check_type("settings", settings, PriorSettings)
    place, data = usable_device(device), open_store(store)
    world = model_beside(base, data)
    normalizer = world.normalizer
    if data.actions is None:
        raise ValueError(f"store: {data.folder} has no actions to learn from")
    if normalizer is None or data.actions.shape[1] != len(normalizer.mean):
        have = None if normalizer is None else len(normalizer.mean)
        raise ValueError(f"base: expected one with actions of {data.actions.shape[1]} numbers, got {have}")
    train, held_out = split(data, settings, settings.num_train_trajectories)
    horizon, num_frames = world.planning.horizon, world.planning.context_frames
    windows, unseen = (
        HindsightWindows(data, part, normalizer, horizon=horizon, num_frames=num_frames) for part in (train, held_out)
    )
    tried = unseen.draw(_TRIED, np.random.default_rng([settings.seed, 1]))
    about = {
        "store": data.identity(),
        "base": base_digest(world),
        "planning": asdict(world.planning),
        "settings": asdict(settings),
    }

    def train_prior(out: Path, where: DistributedContext) -> tuple[WorldModel, dict[str, Any]]:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(settings.seed)
            _, num_patches, dim = data.tokens.shape
            prior = ActionPrior(
                dim,
                num_patches,
                normalizer.action_dim,
                horizon=horizon,
                num_frames=num_frames,
                width=settings.width,
                depth=settings.depth,
            )
        some = windows.draw(4096, np.random.default_rng([settings.seed, 2])).goal
        mean, std = token_statistics(some, data.folder)
        prior.mean.copy_(mean)
        prior.std.copy_(std)
        seconds = _train(prior.to(where.device), windows, unseen, settings, out, where.device, progress, on_log)
        world.prior = prior.cpu().requires_grad_(False).eval()
        error, mean_action_error = _nearest(world.prior, tried)
        return world, {"error": error, "mean_action_error": mean_action_error, "seconds": seconds}

    found, result = run(folder, "fit_prior", about, place, _RESULT, train_prior)
    return PriorResult(
        model=found,
        error=result["error"],
        mean_action_error=result["mean_action_error"],
        seconds=result["seconds"],
        folder=None if folder is None else Path(folder),
    )


def _train(
    prior: ActionPrior,
    windows: HindsightWindows,
    unseen: HindsightWindows,
    settings: PriorSettings,
    folder: Path,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
    on_log: OnLog | None,
) -> float:
    """Train it, and return the seconds that it took."""
    dtype = fast_dtype(device) if settings.dtype == "auto" else getattr(torch, settings.dtype)

    def loss(network: ActionPrior, among: HindsightWindows, *key: int) -> Tensor:
        batch = among.draw(settings.batch_size, np.random.default_rng([settings.seed, *key]))
        drawn = np.random.SeedSequence([settings.seed, 3, *key]).generate_state(1, np.uint64)[0] >> 1
        generator = torch.Generator().manual_seed(int(drawn))
        with torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32):
            return flow_matching_loss(network, HindsightBatch(*(part.to(device) for part in batch)), generator)

    _, seconds = descend(
        prior,
        torch.optim.AdamW(prior.parameters(), settings.learning_rate, weight_decay=settings.weight_decay),
        lambda step: loss(prior, windows, 0, step),
        num_steps=settings.num_steps,
        rate=lambda done: 1 - done,
        folder=folder,
        device=device,
        progress=progress,
        on_log=on_log,
        held_out_loss=lambda network: (loss(network, unseen, 4, 0) + loss(network, unseen, 4, 1)) / 2,
    )
    return seconds


def _nearest(prior: ActionPrior, batch: HindsightBatch) -> tuple[float, float]:
    """Return how far the nearest of many samples, and the mean action, are from what was done, up to the goal."""
    generators = [torch.Generator().manual_seed(row) for row in range(len(batch.goal))]
    samples = prior.sample(batch.tokens, batch.goal, batch.steps_to_go, _SAMPLES, generators)
    due = prior.due(batch.steps_to_go)

    def error(actions: Tensor) -> Tensor:  # (B, S, H, A) -> (B, S)
        squares = (actions - batch.actions[:, None]).square() * due[:, None]
        return squares.sum((2, 3)) / (due.sum((1, 2))[:, None] * prior.action_dim)

    nearest, none = error(samples).amin(1), error(torch.zeros_like(samples[:, :1]))
    return float(nearest.mean().sqrt()), float(none.mean().sqrt())
