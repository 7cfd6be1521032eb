"""Forecasting: heads of present frames, applied to tokens that a predictor foresees.

Source: arXiv 2507.19468, section 4.1 and appendix C. Letters: ``N`` videos, ``T`` frames of one, ``B`` windows at once,
``K`` tiles of a frame, ``P`` patches of a tile, ``D`` numbers of a token, ``C`` classes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..checks import check_whole
from ..models import WorldModel
from .forecast_result import Forecast, Method, way_of
from .forecasters import Forecaster, Window, encode_frames, forecaster_of, read_frames
from .heads import DenseHead
from .metrics import confusion_matrix, squared_errors
from .protocols import Case, ForecastProtocol
from .records import LabelledVideo, LabelledVideos
from .tiles import cut, merge, tile_places

_NUMBERS = 2**25  # scores of pixels that are computed at once


def forecast(
    model: WorldModel | Forecaster,
    head: DenseHead | None,
    videos: LabelledVideos,
    *,
    protocol: ForecastProtocol | None = None,
    cases: Sequence[Case] | None = None,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Forecast:
    """Forecast the labels of frames from frames before them, by a head that was trained on present frames.

    All frames of a video are encoded once. Scores are of all pixels of all windows; intervals are over videos.

    Args:
        model: without actions; or another :class:`Forecaster`, such as a baseline.
        head: trained by :func:`~wmcontrol.forecasting.train_head` on tokens of the model's encoder; None: only tokens
            are compared.
        videos: with labels of the head's kind.
        protocol: which frames are seen and forecast; by default that of the videos.
        cases: ways to forecast; by default the protocol's horizons.
        batch: windows at once.
        progress: called with the videos done, and of how many.

    Raises:
        ValueError: a model with actions, a head of other tokens or labels, or no video that is long enough.
        OSError: a video cannot be read.
    """
    protocol = videos.protocol if protocol is None else protocol
    cases = protocol.cases() if cases is None else list(cases)
    check_whole("batch", batch)
    forecaster = forecaster_of(model)
    _check(forecaster, head, videos)
    reach = max(case.distance for case in cases) + protocol.step * (protocol.context_frames - 1)
    if reach > protocol.target:
        raise ValueError(
            f"target: expected {reach} or more, as many frames as are between first and last, got {protocol.target}"
        )
    if head is not None:
        head = head.to(forecaster.device).eval()
    found = []
    for index in range(len(videos)):
        found.append(_of_video(forecaster, head, videos[index], protocol, cases, batch))
        if progress is not None:
            progress(index + 1, len(videos))
    counted = [each for each in found if each.windows]
    if not counted:
        raise ValueError(f"videos: none has a frame with labels that {protocol.target} frames come before")
    seconds = np.mean([each.seconds for each in counted], 0)
    return Forecast(
        kind=None if head is None else head.kind,
        class_names=() if head is None else head.class_names,
        cases=tuple(cases),
        seconds=tuple(seconds.tolist()),
        windows=np.array([each.windows for each in counted]),
        pixels={key: np.stack([each.pixels[key] for each in counted]) for key in counted[0].pixels},
        tokens={key: np.stack([each.tokens[key] for each in counted]) for key in counted[0].tokens},
    )


def how_far(
    model: WorldModel | Forecaster,
    head: DenseHead | None,
    videos: LabelledVideos,
    *,
    protocol: ForecastProtocol | None = None,
    distances: Sequence[int] | None = None,
    calls: Sequence[int] = (1, 2, 3),
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Forecast:
    """Forecast the same frames from ever further away, directly and by rollouts, as the paper's figure 3.

    Args:
        model: as for :func:`forecast`.
        head: as for :func:`forecast`.
        videos: as for :func:`forecast`.
        protocol: which frames are seen, by default as the videos' protocol says; its horizons do not matter.
        distances: frames from the last that is seen to the one that is forecast; by default all that the protocol's
            target has room for.
        calls: of the predictor: 1 is direct, 2 and 3 are rollouts through one and two frames between.
        batch: windows at once.
        progress: called with the videos done, and of how many.

    Returns:
        A case for each distance and each way, see :func:`~wmcontrol.forecasting.distance_plot`.

    Raises:
        ValueError: as :func:`forecast`.
        OSError: as :func:`forecast`.
    """
    protocol = videos.protocol if protocol is None else protocol
    room = protocol.target - protocol.step * (protocol.context_frames - 1)
    far = range(1, room + 1) if distances is None else distances
    for name, values in (("distances", far), ("calls", calls)):
        for value in values:
            check_whole(name, value)
    cases = [Case(f"{way_of(count)}, distance {distance}", distance, count) for distance in far for count in calls]
    return forecast(model, head, videos, protocol=protocol, cases=cases, batch=batch, progress=progress)


class _Counts(NamedTuple):
    windows: int
    seconds: list[float]
    pixels: dict[tuple[str, str], NDArray[np.float64]]
    tokens: dict[tuple[str, str], NDArray[np.float64]]


def _check(forecaster: Forecaster, head: DenseHead | None, videos: LabelledVideos) -> None:
    if head is None:
        return
    head.check_encoder(forecaster.encoder)
    if (head.kind, head.class_names) != (videos.kind, tuple(videos.class_names)):
        raise ValueError(
            f"head: it says {head.kind} of classes {list(head.class_names)[:5]}, the videos have {videos.kind} of "
            f"{list(videos.class_names)[:5]}; train one on videos of that kind"
        )


def _of_video(
    forecaster: Forecaster,
    head: DenseHead | None,
    video: LabelledVideo,
    protocol: ForecastProtocol,
    cases: Sequence[Case],
    batch: int,
) -> _Counts:
    """Count what is right and wrong in one video."""
    targets = np.asarray(video.labelled)
    targets = targets[targets >= protocol.target]
    few = protocol.windows_per_video
    if few is not None and few < len(targets):
        targets = targets[np.linspace(0, len(targets) - 1, few).round().astype(int)]
    if not len(targets):
        return _Counts(0, [], {}, {})
    seen = {case.distance: [protocol.context_of(int(t), case.distance) for t in targets] for case in cases}
    needed = np.unique([*targets, *(i for rows in seen.values() for row in rows for i in row)])
    place = {int(frame): row for row, frame in enumerate(needed)}
    sizes: Any = video.frames[needed[:1].tolist()].shape[1:3]
    size = (int(sizes[0]), int(sizes[1]))
    tiles = tile_places(size, protocol.tile, protocol.tile_stride)
    grid = forecaster.encoder.grid(*(protocol.tile or size))
    into_tiles = partial(cut, places=tiles, window=protocol.tile)
    tokens = encode_frames(forecaster, video.frames, needed, into_tiles, batch)
    counts = _Counter(head, video, grid, size, protocol.tile or size, tiles)
    clock, numbers = np.asarray(video.times, np.float64), np.arange(len(video.times))
    ahead = {case: float(np.mean(clock[targets] - clock[targets - case.distance])) for case in cases}
    for start in range(0, len(targets), batch):
        now = targets[start : start + batch]
        true = tokens[[place[int(t)] for t in now]]  # (B, K, P, D)
        counts.add("present", "", now, true, true)
        for distance, alike in groupby(sorted(cases, key=lambda case: case.distance), key=lambda case: case.distance):
            frames = np.array(seen[distance][start : start + batch])  # (B, context_frames)
            rows = torch.tensor([[place[int(i)] for i in row] for row in frames], dtype=torch.int64, device="cpu")
            given = tokens[rows.to(tokens.device)]  # (B, context_frames, K, P, D)
            read = partial(read_frames, video.frames, frames)
            window = Window(given, clock[frames], grid, read, into_tiles)
            chosen, asked = list(alike), []
            for case in chosen:
                steps = now[:, None] - distance + distance * np.arange(1, case.calls + 1) / case.calls
                asked.append(np.interp(steps, numbers, clock))
            for case, predicted in zip(chosen, forecaster.foresee(window, asked), strict=True):
                counts.add("model", case.name, now, predicted[:, -1], true)
                counts.add("copy_last", case.name, now, given[:, -1], true)
    return _Counts(len(targets), [ahead[case] for case in cases], counts.pixels, counts.tokens)


class _Counter:
    """Adds up what is right and wrong in one video, by method and case."""

    def __init__(
        self,
        head: DenseHead | None,
        video: LabelledVideo,
        grid: tuple[int, int],
        size: tuple[int, int],
        tile: tuple[int, int],
        tiles: list[tuple[int, int]],
    ):
        self._head, self._video, self._grid, self._size, self._tile, self._tiles = head, video, grid, size, tile, tiles
        self._labels: dict[int, Tensor] = {}
        self.pixels: dict[tuple[str, str], NDArray[np.float64]] = {}
        self.tokens: dict[tuple[str, str], NDArray[np.float64]] = {}

    @torch.no_grad()
    def add(self, method: Method, case: str, targets: NDArray[np.int64], tokens: Tensor, true: Tensor) -> None:
        """Count tokens (B, K, P, D) that are to be those of frames."""
        wrong = (tokens.double() - true.double()).abs()
        error = np.array([float(wrong.sum()), wrong.numel()])
        self.tokens[method, case] = self.tokens.get((method, case), 0) + error
        if self._head is not None:
            self.pixels[method, case] = self.pixels.get((method, case), 0) + self._count(self._head, targets, tokens)

    def _count(self, head: DenseHead, targets: NDArray[np.int64], tokens: Tensor) -> NDArray[np.float64]:
        """Return the confusion matrix of frames with these tokens, or the sum of squared errors and the pixels."""
        outputs = len(head.class_names) or 1
        at_once = max(1, _NUMBERS // (len(self._tiles) * outputs * self._tile[0] * self._tile[1]))
        total: Any = 0
        for part, some in zip(
            np.split(targets, range(at_once, len(targets), at_once)), tokens.split(at_once), strict=True
        ):
            tiles = head(some.flatten(0, 1), grid=self._grid, size=self._tile)
            found = merge(tiles.unflatten(0, (len(part), len(self._tiles))), self._tiles, self._size)
            labels = torch.stack([self._label(int(t)) for t in part]).to(found.device)
            if head.kind == "segmentation":
                total = total + confusion_matrix(found.argmax(1), labels, outputs).astype(np.float64)
            else:
                total = total + np.array(squared_errors(found[:, 0], labels), np.float64)
        counted: NDArray[np.float64] = total
        return counted

    def _label(self, frame: int) -> Tensor:
        if frame not in self._labels:
            label = np.array(self._video.labels[frame])
            if label.shape != self._size:
                raise ValueError(f"{self._video.name}: labels of frame {frame} are {label.shape}, it is {self._size}")
            self._labels[frame] = torch.from_numpy(label)
        return self._labels[frame]
