"""What a predictor foresees of one clip, and where it looks for it: numbers for pictures.

Letters: ``T`` frames of the clip, ``C`` of them that are seen, ``P`` patches of a frame, ``D`` numbers of a token,
``A`` numbers in a model action, ``L`` blocks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_whole
from ..data import Trajectory, TrajectoryDataset
from ..models import WorldModel, attention_weights
from ..models.zoo.frame_causal import FrameCausalPredictor
from .forecasters import roll_out
from .token_colors import TokenColors

_BLOCKS = 4  # at most, where nobody says which


@dataclass(frozen=True, eq=False)
class Visualization:
    """A clip, its tokens, and what the model foresaw of it by a rollout.

    Attributes:
        name: where the clip is from.
        frames: (T, height, width, 3) uint8.
        times: (T,) seconds, from the first frame on.
        grid: rows and columns of patches.
        tokens: (T, P, D), of the encoder.
        predicted: (T - C, P, D), of the frames after those that are seen.
        blocks: (L,) numbers of the blocks whose attention is kept.
        attention: (L, P, C, P), of each patch of the first frame that is foreseen to each patch of the frames that are
            seen: the mean over heads, which sums to one over the last two; L = 0 where the predictor has no
            cross-attention.
        query: row and column of the patch whose attention is drawn.
        decoded: (T - C, height, width, 3) uint8, the predicted tokens as pictures; None where the model has no decoder.
    """

    name: str
    frames: NDArray[np.uint8]
    times: NDArray[np.float64]
    grid: tuple[int, int]
    tokens: Tensor
    predicted: Tensor
    blocks: tuple[int, ...]
    attention: Tensor
    query: tuple[int, int]
    decoded: NDArray[np.uint8] | None = None

    @property
    def context_frames(self) -> int:
        """C."""
        return len(self.tokens) - len(self.predicted)

    def colors(self) -> TokenColors:
        """Return the principal components of the encoder's tokens of the clip, as colours."""
        return TokenColors.fit(self.tokens)

    def errors(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the mean absolute error of each predicted frame, and of copying the last that is seen, (T - C,)."""
        true, last = self.tokens[self.context_frames :].double(), self.tokens[self.context_frames - 1].double()
        model, copy = ((found - true).abs().mean((1, 2)).cpu().numpy() for found in (self.predicted.double(), last))
        return model, copy


@torch.no_grad()
def visualize(
    model: WorldModel,
    dataset: TrajectoryDataset,
    trajectory: int = 0,
    *,
    start: int = 0,
    num_frames: int = 12,
    context_frames: int = 4,
    step: int | None = None,
    query: tuple[int, int] | None = None,
    blocks: Sequence[int] | None = None,
) -> Visualization:
    """Let a model see the first frames of a clip and foresee the others by a rollout, one after another.

    Args:
        model: any. One with actions is told those of the data.
        dataset: of videos or trajectories, with frames of the model's size.
        trajectory: its number. For example 3.
        start: the first frame of the clip. For example 40.
        num_frames: of the clip, T. For example 16.
        context_frames: of them that are seen, C. For example 5.
        step: frames of the data from one of the clip's to the next; by default 1, or the frameskip of a model with
            actions, which takes no other. For example 3.
        query: row and column of the patch, from 0, whose attention is drawn; by default where tokens change most from
            the last frame that is seen to the next. For example 5,7.
        blocks: whose attention is drawn, from 0; by default at most four, evenly spread. For example 1,3.

    Raises:
        ValueError: there is no such trajectory, patch or block, it is too short, frames are of another size, or there
            are no actions for a model that needs them.
        OSError: it cannot be read.
    """
    skip = model.frameskip if step is None else step
    for name, value in (("num_frames", num_frames), ("context_frames", context_frames), ("step", skip)):
        check_whole(name, value)
    check_whole("start", start, 0)
    if context_frames >= num_frames:
        raise ValueError(f"context_frames: expected fewer than num_frames, {num_frames}, got {context_frames}")
    if model.normalizer is not None and skip != model.frameskip:
        raise ValueError(f"step: this model's actions lead {model.frameskip} frames on, got {skip}")
    if not 0 <= trajectory < len(dataset):
        raise ValueError(f"trajectory: there are {len(dataset)}, got number {trajectory}")
    film = dataset.trajectory(trajectory)
    numbers = start + skip * np.arange(num_frames)
    if numbers[-1] >= len(film.times):
        raise ValueError(f"{film.provenance}: it has {len(film.times)} frames, and the clip ends at {numbers[-1]}")
    if film.frames is None:
        raise ValueError(f"{film.provenance}: it has no frames")
    frames = film.frames.read(numbers)
    tokens = model.encode(torch.from_numpy(np.asarray(frames))[None])
    rows, columns = model.grid
    C = context_frames
    if query is None:
        changed = (tokens[0, C] - tokens[0, C - 1]).double().square().sum(-1)
        query = divmod(int(changed.argmax()), columns)
    elif len(query) != 2 or not (0 <= query[0] < rows and 0 <= query[1] < columns):
        raise ValueError(f"query: expected a row below {rows} and a column below {columns}, got {query}")
    times = film.times[numbers] - film.times[numbers[0]]
    predicted, chosen, attention = _foreseen(model, film, tokens, numbers, times, C, blocks)
    decoder = model.decoder
    return Visualization(
        name=str(film.provenance),
        frames=frames,
        times=times,
        grid=(rows, columns),
        tokens=tokens[0].float().cpu(),
        predicted=predicted.float().cpu(),
        blocks=chosen,
        attention=attention,
        query=(int(query[0]), int(query[1])),
        decoded=None if decoder is None else decoder(predicted).cpu().numpy(),
    )


def _foreseen(
    model: WorldModel,
    film: Trajectory,
    tokens: Tensor,
    numbers: NDArray[np.int64],
    times: NDArray[np.float64],
    C: int,
    blocks: Sequence[int] | None,
) -> tuple[Tensor, tuple[int, ...], Tensor]:
    """Return the predicted tokens (T - C, P, D), blocks and their attention."""
    actions = None if model.normalizer is None else _actions(model, film, numbers)
    clock = torch.from_numpy(times).to(tokens.device)
    if actions is None:
        context: Any = model.context(tokens[:, :C], clock[None, :C])
        predicted = torch.cat(roll_out(model, context, times[None, C:]))
    else:
        context = model.context(tokens[:, :C], actions=actions[:, : C - 1])
        predicted = model.rollout(context, actions[:, None, C - 1 :])[0, 0]
    predictor = model.predictor
    P = tokens.shape[2]
    if isinstance(predictor, FrameCausalPredictor):
        if blocks is not None:
            raise ValueError("blocks: the frames of this predictor attend to one another; no query attends to them")
        return predicted, (), torch.zeros(0, P, C, P, dtype=torch.float32, device="cpu")
    depth = len(context.shared)
    spread = np.unique(np.linspace(0, depth - 1, min(depth, _BLOCKS)).round().astype(int))
    chosen = tuple(int(i) for i in (spread if blocks is None else blocks))
    ahead = clock[None, C] if actions is None else context.last_time + model.step_seconds
    weights = attention_weights(
        predictor, context, ahead, None if actions is None else actions[:, C - 1], blocks=chosen
    )  # (L, 1, h, P, C * P)
    return predicted, chosen, weights[:, 0].mean(1).unflatten(-1, (C, P)).cpu()


def _actions(model: WorldModel, film: Trajectory, numbers: NDArray[np.int64]) -> Tensor:
    """Return the model's actions between frames, (1, T - 1, A)."""
    assert model.normalizer is not None
    if film.actions is None:
        raise ValueError(f"{film.provenance}: this model needs to be told actions, and there are none")
    between = torch.from_numpy(film.actions[numbers[0] : numbers[-1]]).to(model.device, torch.float32)
    return model.normalizer.to_model(between.unflatten(0, (len(numbers) - 1, model.frameskip)))[None].to(model.dtype)
