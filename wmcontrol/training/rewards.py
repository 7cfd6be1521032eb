"""Training a head that predicts rewards from stored tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_number, check_whole
from ..data import LatentStore, held_out_split
from ..data.windows import Shuffled
from ..models import RewardHead
from .descent import cosine, descend
from .inputs import open_store

_VALIDATED = 20_000  # frames that an error is measured on, at most


@dataclass(frozen=True)
class RewardResult:
    """What training a reward head gave.

    Attributes:
        head: of the last step, in evaluation mode.
        error: root mean square error on held-out trajectories, in units of the rewards.
        std: of the rewards there, the error of one who always says their mean.
        train: numbers of the trajectories that were trained on.
        held_out: numbers of those that were not.
    """

    head: RewardHead
    error: float
    std: float
    train: list[int]
    held_out: list[int]

    @property
    def explained(self) -> float:
        """The share of the rewards' variance that the head explains on held-out trajectories, at most 1 (R²)."""
        return 1 - (self.error / self.std) ** 2 if self.std else 0.0


@torch.inference_mode(False)
@torch.enable_grad()
def fit_reward(
    store: LatentStore | str | Path,
    *,
    frameskip: int,
    num_steps: int = 2000,
    batch_size: int = 256,
    learning_rate: float = 1e-3,
    width: int = 128,
    num_frames: int = 1,
    seed: int = 0,
    members: Sequence[int] | None = None,
    folder: str | Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> RewardResult:
    """Train a head that predicts rewards from the tokens of a frame, with AdamW and a cosine schedule, on the CPU.

    What is predicted of a frame is the mean of the rewards of the ``frameskip`` environment steps that led to it, so
    that a model step counts all of them. A tenth of the trajectories is held out by seed, as
    :func:`~wmcontrol.training.finetune` does: with the same seed they are the same.

    Args:
        store: a latent store with rewards, or its folder.
        frameskip: environment steps of a step of the model that is to plan with it.
        num_steps: of training. For example 3000.
        batch_size: frames of a step. For example 128.
        learning_rate: at the start. For example 1e-3.
        width: of the head, a multiple of 4. For example 64.
        num_frames: that the head looks at together, one model step apart: 2 where rewards depend on speeds. The first
            steps of a plan, of which it has not as many, then count nothing.
        seed: decides what is held out, the weights at the start and the order. For example 1.
        members: numbers of the trajectories to train on; by default all that are not held out.
        folder: of one such training, for the state and the log: the same call goes on there after a kill. By default
            nothing is kept on disk.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.

    Raises:
        ValueError: a store without rewards, settings that make no sense, or a loss that is not finite.
        OSError: the store is not there.
    """
    sizes = {"frameskip": frameskip, "num_steps": num_steps, "batch_size": batch_size, "num_frames": num_frames}
    for name, value in sizes.items():
        check_whole(name, value)
    check_number("learning_rate", learning_rate, "(0, 1]")
    data = open_store(store)
    if data.rewards is None:
        raise ValueError(f"store: {data.folder} has no rewards; record them, as wmcontrol.data.record does")
    chosen, held_out = held_out_split(len(data), seed)
    train = chosen if members is None else data.chosen(members)
    if len(both := np.intersect1d(train, held_out)):
        raise ValueError(f"members: trajectories {both.tolist()[:5]} are held out for the error")
    frames, rewards = _targets(data, data.rewards, train, frameskip, num_frames)
    tokens = data.tokens[torch.from_numpy(frames[:: -(-len(frames) // _VALIDATED), -1])].double().flatten(0, 1)
    deviations = tokens.std(0, correction=0)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        head = RewardHead(data.tokens.shape[1], data.tokens.shape[2], width, num_frames)
    head.token_mean.copy_(tokens.mean(0))
    head.token_std.copy_(deviations.clamp_min(1e-3 * float(deviations.max()) + 1e-12))
    head.mean.fill_(float(rewards.mean()))
    head.std.fill_(float(rewards.std()) or 1.0)
    targets = torch.from_numpy(rewards.astype(np.float32))
    order = Shuffled(len(frames), batch_size, seed=seed)

    def loss_of(step: int) -> Tensor:
        picked = order.batch(step)
        predicted = head(data.tokens[torch.from_numpy(frames[picked])])[:, 0]
        loss: Tensor = ((predicted - targets[picked]) / head.std).square().mean()
        return loss

    descend(
        head.train(),
        torch.optim.AdamW(head.parameters(), learning_rate, weight_decay=0.01),
        loss_of,
        num_steps=num_steps,
        rate=cosine,
        folder=None if folder is None else Path(folder),
        device=torch.device("cpu"),
        progress=progress,
        on_log=None,
    )
    head.eval().requires_grad_(False)
    unseen, expected = _targets(data, data.rewards, held_out, frameskip, num_frames)
    stride = max(1, -(-len(unseen) // _VALIDATED))
    unseen, expected = unseen[::stride], expected[::stride]
    parts = [torch.from_numpy(part) for part in np.array_split(unseen, 20) if len(part)]
    found = torch.cat([head(data.tokens[part])[:, 0] for part in parts])
    error = float(np.sqrt(np.mean((found.double().numpy() - expected) ** 2)))
    return RewardResult(head, error, float(expected.std()), train.tolist(), held_out.tolist())


def _targets(
    store: LatentStore,
    rewards: NDArray[np.float64],
    members: NDArray[np.int64],
    frameskip: int,
    num_frames: int,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return frames (N, num_frames), as numbers of the store's, and the mean reward (N,) of the steps to the last."""
    frames, means = [], []
    back = frameskip * np.arange(1 - num_frames, 1)
    for member in members:
        start, T = int(store.offsets[member]), int(store.lengths[member])
        last = np.arange(max(frameskip, -back[0]), T)
        sums = np.cumsum(np.insert(rewards[start : start + T - 1], 0, 0.0))
        frames.append(start + last[:, None] + back)
        means.append((sums[last] - sums[last - frameskip]) / frameskip)
    if not sum(map(len, means)):
        raise ValueError(
            f"{store.folder}: no trajectory has {num_frames} frames that are frameskip = {frameskip} steps apart"
        )
    return np.concatenate(frames), np.concatenate(means)
