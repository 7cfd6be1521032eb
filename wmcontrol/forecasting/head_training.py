"""Training a head on the tokens of present frames.

Letters: ``N`` crops of labelled frames, ``P`` patches of one, ``D`` numbers of a token.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from ..checks import check_fields, number, whole
from ..data.windows import Shuffled
from ..encoders import Encoder
from ..encoders.files import encoder_digest
from ..hardware import usable_device
from ..runs import open_run
from ..training.descent import cosine, descend
from ..training.state import OnLog, load_state
from .heads import SETTINGS, DenseHead
from .metrics import IGNORED
from .records import LabelledVideos
from .tiles import checked_sides

_TOKENS, _LABELS = "tokens.npy", "labels.npy"
_LOOKED_AT = 1000  # crops, for the mean depth and how much it varies


@dataclass(frozen=True, kw_only=True)
class HeadSettings:
    """How :func:`train_head` trains.

    The paper says nothing of the steps; DINOv2's own linear heads take 40,000 of 16 crops.

    Args:
        num_steps: optimiser steps. For example 40000.
        batch_size: crops of a step. For example 16.
        learning_rate: at the start, from where it falls to 0 along half a cosine. For example 1e-3.
        weight_decay: of the linear layer. For example 1e-4.
        crop: height and width of random crops, pixels; by default as the videos say, whole frames if they say nothing.
            For example 448,448.
        crops_per_frame: crops that are taken of a labelled frame, and encoded once. For example 4.
        frames_per_video: labelled frames that are taken of a video, evenly spread; by default all. For example 5.
        seed: of the weights at the start, of the crops and of their order. For example 1.
    """

    num_steps: int = whole(2000)
    batch_size: int = whole(16)
    learning_rate: float = number(1e-3, "(0, 1]")
    weight_decay: float = number(1e-4, "[0, inf)")
    crop: tuple[int, int] | None = None
    crops_per_frame: int = whole(1)
    frames_per_video: int | None = whole(None)
    seed: int = whole(0, least=0)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "crop", checked_sides("crop", self.crop))


class HeadResult(NamedTuple):
    """What training a head gave.

    Attributes:
        head: on the CPU, in evaluation mode.
        loss: of the last step.
        folder: where it was saved; None where it was not.
    """

    head: DenseHead
    loss: float
    folder: Path | None


@torch.inference_mode(False)
@torch.enable_grad()
def train_head(
    videos: LabelledVideos,
    encoder: Encoder,
    *,
    settings: HeadSettings = HeadSettings(),
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> HeadResult:
    """Train a linear head on the encoder's tokens of labelled frames: cross entropy of classes, squared error of depth.

    Every crop is encoded once, before the first step. Pixels of which nobody knows the label count nothing.

    Args:
        videos: with labels.
        encoder: of the frames.
        settings: of the training.
        folder: for the head and the log; the same call goes on there after a kill. By default nothing is kept on disk.
        device: where to train; ``"auto"`` is a GPU if there is one.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: no frame has labels, a crop is larger than a frame, frames differ in size, the encoder makes a
            single token of a crop; ``folder`` holds another run; or the loss is not finite.
        OSError: a video cannot be read, ``folder`` cannot be written to, or another process writes there.
    """
    if videos.kind is None:
        raise ValueError(f"videos: expected some with labels, got {videos.settings()}")
    place, digest = usable_device(device), encoder_digest(encoder)
    about = {"videos": videos.settings(), "encoder": digest, "settings": asdict(settings)}
    with ExitStack() as stack:
        if folder is None:
            out = Path(stack.enter_context(TemporaryDirectory(prefix="wmcontrol-")))
        else:
            out = stack.enter_context(open_run(folder, "train_head", about))
        if (out / SETTINGS).exists():
            _remove_crops(out)
            state = load_state(out, torch.device("cpu"))
            return HeadResult(DenseHead.load(out), float("nan") if state is None else state["loss"], out)
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(settings.seed)
            head = DenseHead(videos.kind, encoder.dim, videos.class_names, digest)
        crops = _Crops.of(videos, encoder.to(place), settings, out)
        if videos.kind == "depth":
            some = crops.labels[:: max(1, len(crops.labels) // _LOOKED_AT)]
            known = some[some > 0].astype(np.float64)
            if not len(known):
                raise ValueError("videos: no depth is known of any pixel (all are 0)")
            head.mean.fill_(float(known.mean()))
            head.std.fill_(float(known.std()) or 1.0)
        loss = _train(head.to(place), crops, settings, out, place, progress, on_log)
        head.cpu().requires_grad_(False).eval()
        if folder is not None:
            del crops
            head.save(out)
            _remove_crops(out)
        return HeadResult(head, loss, None if folder is None else out)


def _remove_crops(out: Path) -> None:
    """Remove what nothing goes on from once the head is saved; it is large."""
    for name in (_TOKENS, _LABELS):
        (out / name).unlink(missing_ok=True)


class _Crops(NamedTuple):
    """Crops of labelled frames, in files that are not read as a whole."""

    tokens: Any  # (N, P, D) float16
    labels: Any  # (N, height, width) uint8 or float32
    grid: tuple[int, int]

    @staticmethod
    def of(videos: LabelledVideos, encoder: Encoder, settings: HeadSettings, out: Path) -> "_Crops":
        """Encode them, or take those that are in the folder."""
        each = [_spread(video.labelled, settings.frames_per_video) for video in videos]
        count = sum(map(len, each)) * settings.crops_per_frame
        if not count:
            raise ValueError(f"videos: expected some with labels, got none in {videos.settings()}")
        paths = out / _TOKENS, out / _LABELS
        if not all(path.exists() for path in paths):
            _encode_crops(videos, each, count, encoder, settings, out)
        tokens, labels = (np.load(path, mmap_mode="r") for path in paths)
        return _Crops(tokens, labels, encoder.grid(*labels.shape[1:]))


def _spread(labelled: np.ndarray[Any, np.dtype[np.int64]], count: int | None) -> list[int]:
    if count is None or count >= len(labelled):
        return [int(i) for i in labelled]
    return [int(labelled[i]) for i in np.linspace(0, len(labelled) - 1, count).round().astype(int)]


def _encode_crops(
    videos: LabelledVideos, chosen: list[list[int]], count: int, encoder: Encoder, settings: HeadSettings, out: Path
) -> None:
    rng = np.random.default_rng([settings.seed, 1])
    paths = {name: out / f"{name}.partial" for name in (_TOKENS, _LABELS)}
    place = next((t.device for t in (*encoder.parameters(), *encoder.buffers())), torch.device("cpu"))
    files: dict[str, Any] = {}
    row = 0
    for video, numbers in zip(videos, chosen, strict=True):
        if not numbers:
            continue
        frames = np.asarray(video.frames[numbers])
        size = settings.crop or videos.crop or frames.shape[1:3]
        if size[0] > frames.shape[1] or size[1] > frames.shape[2]:
            raise ValueError(f"crop: expected one that fits into {video.name}, {frames.shape[1:3]}, got {size}")
        if tuple(encoder.grid(*size)) == (1, 1):
            raise ValueError(
                f"encoder: expected one that makes a grid of tokens, got one that makes a single token of a crop of "
                f"{size}, from which no map can be drawn; take for example PyramidEncoder(tokens=(8, 8))"
            )
        if files and size != files[_LABELS].shape[1:]:
            raise ValueError(f"{video.name}: frames of {size}, {files[_LABELS].shape[1:]} before; give crop")
        for frame, at in zip(frames, numbers, strict=True):
            label = np.asarray(video.labels[at])
            if label.shape != frame.shape[:2]:
                raise ValueError(f"{video.name}: labels of {label.shape} of frame {at}, which is {frame.shape[:2]}")
            corners = rng.integers(
                [frame.shape[0] - size[0] + 1, frame.shape[1] - size[1] + 1], size=(settings.crops_per_frame, 2)
            )
            parts = [np.s_[top : top + size[0], left : left + size[1]] for top, left in corners]
            found = encoder(torch.from_numpy(np.stack([frame[part] for part in parts])).to(place))
            if not files:
                shapes: dict[str, tuple[Any, Any]] = {
                    _TOKENS: (found.shape[1:], np.float16),
                    _LABELS: (size, label.dtype),
                }
                files = {
                    name: np.lib.format.open_memmap(paths[name], "w+", dtype, (count, *shape))
                    for name, (shape, dtype) in shapes.items()
                }
            files[_TOKENS][row : row + len(parts)] = found.cpu().numpy()
            files[_LABELS][row : row + len(parts)] = [label[part] for part in parts]
            row += len(parts)
    for name, path in paths.items():
        files[name].flush()
        del files[name]
        path.replace(out / name)


def _train(
    head: DenseHead,
    crops: _Crops,
    settings: HeadSettings,
    folder: Path,
    device: torch.device,
    progress: Callable[[int, int], None] | None,
    on_log: OnLog | None,
) -> float:
    """Train it, and return the loss of the last step."""
    decayed = {"params": [head.linear.weight], "weight_decay": settings.weight_decay}
    others = {"params": [head.linear.bias, *head.norm.parameters()], "weight_decay": 0.0}
    order = Shuffled(len(crops.tokens), min(settings.batch_size, len(crops.tokens)), seed=settings.seed)

    def loss_of(step: int) -> Tensor:
        picked = np.sort(order.batch(step))
        tokens, labels = (
            torch.from_numpy(np.asarray(each[picked])).to(device) for each in (crops.tokens, crops.labels)
        )
        return dense_loss(head, tokens, labels, crops.grid)

    loss, _ = descend(
        head.train(),
        torch.optim.AdamW([decayed, others], settings.learning_rate),
        loss_of,
        num_steps=settings.num_steps,
        rate=cosine,
        folder=folder,
        device=device,
        progress=progress,
        on_log=on_log,
    )
    return loss


def dense_loss(head: DenseHead, tokens: Tensor, labels: Tensor, grid: tuple[int, int]) -> Tensor:
    """Return the mean loss of pixels with labels (N, height, width); 0 where none is known.

    Of depth it is the squared error in standard deviations of depth.
    """
    found = head(tokens, grid=grid, size=(labels.shape[1], labels.shape[2]))
    known = labels != (IGNORED if head.kind == "segmentation" else 0)
    count = known.sum().clamp_min(1)
    if head.kind == "segmentation":
        total = cross_entropy(found, labels.long(), ignore_index=IGNORED, reduction="sum")
    else:
        total = ((found[:, 0] - labels) / head.std).square().mul(known).sum()
    return total / count
