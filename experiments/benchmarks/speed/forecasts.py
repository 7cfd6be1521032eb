"""Forecast windows of many tokens, beside the time that their products of matrices alone take.

Letters: ``B`` windows, ``T`` frames that are seen, ``P`` patches of a frame, ``D`` numbers of a token, ``W`` width,
``h`` heads.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

import numpy as np
import torch

from wmcontrol import Predictor, WorldModel
from wmcontrol.forecasting import (
    DenseHead,
    Forecast,
    ForecastProtocol,
    HeadSettings,
    LabelledVideo,
    LabelledVideos,
    forecast,
    train_head,
)

from ..latents import FRAME_SIZE, encoder_of, noise
from ..results import Section, Verdict
from ..timing import in_turns, ratio

SIZE, GRID, DIM = "tiny", (16, 16), 112  # D of efficientnet_lite0
WINDOWS, BATCH = 1000, 16
MEASURED = 32  # of them
_CLASSES = tuple("abcdefgh")
PROTOCOL = ForecastProtocol()
Shape = tuple[int, ...]


class _Noise(LabelledVideos):
    """Two films of noise in which every frame has labels, and whose windows overlap."""

    kind, class_names = "segmentation", _CLASSES

    def __init__(self, windows: int):
        self.count = PROTOCOL.target + windows // 2

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> LabelledVideo:
        frames = noise(self.count).numpy()
        return LabelledVideo(
            f"film {index}", frames, np.arange(self.count) / 15, frames[..., 0] % len(_CLASSES), np.arange(self.count)
        )

    def settings(self) -> dict[str, Any]:
        return {"frames": self.count}


def products(predictor: Predictor, B: int, T: int, P: int, calls: int) -> Iterator[tuple[Shape, Shape]]:
    """Yield the shapes of all products that a rollout of so many calls needs: context, queries, attention and MLP."""
    D, W, h = predictor.dim, predictor.width, predictor.num_heads
    hidden = round(predictor.mlp_ratio * W)

    def seen(frames: int) -> Iterator[tuple[Shape, Shape]]:
        yield (B * frames * P, D), (D, W)
        for _ in range(predictor.depth):
            yield (B * frames * P, W), (W, 2 * W)

    yield from seen(T)
    for call in range(calls):
        if call:
            yield from seen(1)
        N = (T + call) * P
        for _ in range(predictor.depth):
            yield (B * P, W), (W, W)
            yield (B * h, P, W // h), (B * h, W // h, N)
            yield (B * h, P, N), (B * h, N, W // h)
            yield (B * P, W), (W, W)
            yield (B * P, W), (W, hidden)
            yield (B * P, hidden), (hidden, W)
        yield (B * P, W), (W, D)


def operations(shapes: Iterator[tuple[Shape, Shape]]) -> float:
    """Return the floating-point operations of products of these shapes."""
    return 2.0 * sum(math.prod(a) * b[-1] for a, b in shapes)


def forecasts(rounds: int) -> Section:
    """Forecast windows of the paper's two horizons, with a head and without, and do their products alone."""
    torch.manual_seed(0)
    encoder = encoder_of(GRID, DIM)
    encoder.fit(noise(64))
    predictor = Predictor.from_size(SIZE, dim=DIM).requires_grad_(False)
    model = WorldModel(encoder, predictor, control_rate=15.0, frame_size=FRAME_SIZE)
    videos, P = _Noise(MEASURED), GRID[0] * GRID[1]
    head = train_head(videos, encoder, settings=HeadSettings(num_steps=1)).head
    encoded: list[int] = []
    hook = encoder.register_forward_pre_hook(lambda _, frames: encoded.append(len(frames[0])))
    found = forecast(model, None, videos, batch=BATCH)
    hook.remove()
    windows, once = int(found.windows.sum()), _distinct(videos) == sum(encoded)

    def work(head: DenseHead | None) -> Callable[[], Forecast]:
        return lambda: forecast(model, head, videos, batch=BATCH)

    ways: dict[str, Callable[[], Any]] = {
        "products": _multiply(predictor, windows),
        "tokens": work(None),
        "with a head": work(head),
    }
    taken = in_turns(ways, rounds)
    scale = WINDOWS / windows
    times = {way: scale * median(taken[way]) for way in ways}
    ratios = {way: ratio(taken[way], taken["products"]) for way in ways}
    calls = [case.calls for case in PROTOCOL.cases()]
    count = sum(operations(products(predictor, 1, PROTOCOL.context_frames, P, each)) for each in calls)
    return Section(
        "Forecasts",
        f"{WINDOWS:,} windows, {windows} of them measured, of {PROTOCOL.context_frames} frames of {P} tokens of {DIM} "
        f"numbers, {' and '.join(map(str, calls))} calls of the predictor ({SIZE}, float32, {BATCH} windows at once), "
        f"{torch.get_num_threads()} threads. "
        f"Windows overlap; they are of {_distinct(videos)} frames, and {sum(encoded)} were encoded.",
        ("", "time", "of the products' time"),
        [
            (name, f"{times[way]:.0f} s", f"{ratios[way]:.2f}")
            for name, way in (
                (f"products of matrices alone, {1e-9 * count:.1f} GFLOP each window", "products"),
                ("forecast, errors of tokens", "tokens"),
                (f"forecast with a head, {FRAME_SIZE[0]} x {FRAME_SIZE[1]} pixels", "with a head"),
            )
        ],
        {"seconds": times, "ratios": ratios, "operations": count, "encoded": sum(encoded)},
        [
            Verdict(
                f"{WINDOWS:,} forecast windows of {P} tokens within 10 times their products of matrices, each frame "
                "encoded once",
                f"{ratios['with a head']:.1f} times; {'once' if once else 'more than once'}",
                ratios["with a head"] <= 10 and once,
            )
        ],
    )


def _distinct(videos: LabelledVideos) -> int:
    """Return how many frames forecasts of all windows need."""
    found = 0
    for video in videos:
        targets = [int(t) for t in video.labelled if t >= PROTOCOL.target]
        seen = {i for t in targets for case in PROTOCOL.cases() for i in PROTOCOL.context_of(t, case.distance)}
        found += len(seen.union(targets))
    return found


def _multiply(predictor: Predictor, windows: int) -> Callable[[], None]:
    """Return what does the products of all windows, on numbers that are there before."""
    P = GRID[0] * GRID[1]
    shapes: Counter[tuple[Shape, Shape]] = Counter()
    for start in range(0, windows, BATCH):
        for case in PROTOCOL.cases():
            B = min(BATCH, windows - start)
            shapes.update(products(predictor, B, PROTOCOL.context_frames, P, case.calls))
    generator = torch.Generator().manual_seed(0)
    pairs = [
        (torch.randn(a, generator=generator), torch.randn(b, generator=generator), count)
        for (a, b), count in shapes.items()
    ]

    def multiply() -> None:
        for a, b, count in pairs:
            for _ in range(count):
                torch.matmul(a, b)

    return multiply
