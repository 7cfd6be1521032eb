"""``wmcontrol bench model``: time and memory of imagining, with the context cache and without it.

Each measurement runs in a process of its own, so that its peak memory is its own too. Without the cache, every step
of every candidate recomputes the keys and values of all frames before it, as a model without one has to.
"""

from dataclasses import dataclass
from statistics import median
from time import perf_counter

import torch
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from torch.utils.flop_counter import FlopCounterMode

from ..models.action import ActionConditioned
from ..models.hardware import fast_dtype
from ..models.predictor import Predictor
from .measuring import in_process, peak_memory

HORIZON = 5
CANDIDATES = 300  # of the paper's planner
_ACTION_DIM = 10
_STEP_SECONDS = 0.5
_REPEATS = 3


@dataclass(frozen=True)
class Subject:
    """A predictor and what it looks at."""

    size: str
    dim: int
    grid: tuple[int, int]
    candidates: int  # measured; per frame, so that other numbers of candidates compare


@dataclass(frozen=True)
class Measured:
    """What one process found, per predicted frame."""

    seconds: float
    bytes: float
    flops: float


SUBJECTS = (Subject("tiny", 128, (1, 1), CANDIDATES), Subject("base", 768, (16, 16), 4))


def run(console: Console, subjects: tuple[Subject, ...] = SUBJECTS) -> None:
    """Measure all subjects and print a table."""
    dtypes = list(dict.fromkeys([torch.float32, fast_dtype(torch.device("cpu"))]))
    table = Table(
        title=f"Per frame of {CANDIDATES} candidates x {HORIZON} steps",
        box=SIMPLE,
        title_justify="left",
    )
    for column in ("size", "tokens", "numbers", "frames by", "ms", "MB", "of peak", "gain"):
        table.add_column(column, justify="left" if column in ("size", "numbers", "frames by") else "right")
    for subject in subjects:
        for dtype in dtypes:
            rate = in_process(_matmul_rate, dtype)
            found = {name: in_process(_measure, subject, name, dtype) for name in ("recomputing", "cache")}
            for name, one in found.items():
                table.add_row(
                    subject.size,
                    str(subject.grid[0] * subject.grid[1]),
                    str(dtype).removeprefix("torch."),
                    name,
                    f"{1e3 * one.seconds:.3f}",
                    f"{one.bytes / 2**20:.3f}",
                    f"{one.flops / one.seconds / rate:.0%}",
                    "" if name == "recomputing" else f"{found['recomputing'].seconds / one.seconds:.1f}x",
                )
    console.print(table)
    for subject in subjects:
        if subject.candidates != CANDIDATES:
            console.print(f"{subject.size} was measured with {subject.candidates} candidates.")
    console.print(f"{torch.get_num_threads()} threads; 'of peak': against the best product of large matrices.")


def _matmul_rate(dtype: torch.dtype) -> float:
    """Return the machine's floating-point operations per second in products of large matrices."""
    best = 0.0
    for n in (512, 1024, 2048):
        a, b = torch.randn(2, n, n).to(dtype)
        end = perf_counter() + 1
        while (start := perf_counter()) < end:
            a @ b
            best = max(best, 2 * n**3 / (perf_counter() - start))
    return best


def _measure(subject: Subject, way: str, dtype: torch.dtype) -> Measured:
    torch.manual_seed(0)
    model = ActionConditioned(Predictor.from_size(subject.size, dim=subject.dim), _ACTION_DIM)
    model.to(dtype).eval().requires_grad_(False)
    patches, S = subject.grid[0] * subject.grid[1], subject.candidates
    tokens = torch.randn(1, 1, patches, subject.dim, dtype=dtype)
    actions = torch.randn(1, S, HORIZON, _ACTION_DIM, dtype=dtype)
    imagine = _with_cache if way == "cache" else _recomputing
    with torch.no_grad():
        imagine(model, tokens, actions[:, :1], subject.grid)
        before = peak_memory()
        with FlopCounterMode(display=False) as counter:
            imagine(model, tokens, actions, subject.grid)
        peak = peak_memory() - before
        seconds = []
        for _ in range(_REPEATS):
            start = perf_counter()
            imagine(model, tokens, actions, subject.grid)
            seconds.append(perf_counter() - start)
    frames = S * HORIZON
    return Measured(median(seconds) / frames, peak / frames, counter.get_total_flops() / frames)


def _with_cache(model: ActionConditioned, tokens: torch.Tensor, actions: torch.Tensor, grid: tuple[int, int]) -> None:
    zero = torch.zeros(1, 1, dtype=torch.float64)
    context = model.context(tokens, zero, grid=grid).branch(actions.shape[1])
    for h in range(HORIZON):
        _, context = model.step(context, zero[:, 0] + (h + 1) * _STEP_SECONDS, actions[:, :, h])


def _recomputing(model: ActionConditioned, tokens: torch.Tensor, actions: torch.Tensor, grid: tuple[int, int]) -> None:
    S = actions.shape[1]
    frames = tokens.expand(S, -1, -1, -1).contiguous()
    times = _STEP_SECONDS * torch.arange(HORIZON + 1, dtype=torch.float64).expand(S, -1)
    for h in range(HORIZON):
        context = model.context(frames, times[:, : h + 1], grid=grid)
        new, _ = model.step(context, times[:, h + 1], actions[0, :, h])
        frames = torch.cat([frames, new[:, None]], 1)
