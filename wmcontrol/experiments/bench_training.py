"""``wmcontrol bench training``: steps per second of fine-tuning from a latent store, and what limits them.

Everything is measured in turns, several times over, and medians are told: another program beside it then slows all
alike. A step is the trainer's: read a batch, compute loss and gradients, clip them, AdamW.
"""

import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ..data import LatentStore
from ..models import ActionNormalizer, Predictor
from ..models.hardware import fast_dtype
from ..training import Batch, PredictionLoss, WindowSource, with_actions
from ..training.optimizer import make_optimizer
from .bench_training_report import Row, save_report
from .bench_training_store import random_frames, random_store
from .errors import UsageError
from .progress import Report, progress_bar
from .speed.timing import product_rate

NUM_FRAMES, FRAMESKIP = 4, 5  # DINO-world, appendix D
ROUNDS = 5
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
_TOKENS_AT_ONCE = {"tiny": 1024, "base": 32}  # of a frame, times windows: so that a step takes seconds at most


@dataclass(frozen=True)
class Subject:
    """A predictor, and the tokens that it is trained on."""

    size: str
    grid: tuple[int, int]
    dim: int

    @property
    def batch_size(self) -> int:
        """Windows of a step: 256 if they fit."""
        return min(256, max(1, _TOKENS_AT_ONCE[self.size] // (self.grid[0] * self.grid[1])))


SUBJECTS = (
    Subject("tiny", (1, 1), 128),
    Subject("tiny", (4, 4), 128),
    Subject("tiny", (8, 8), 128),
    Subject("base", (2, 2), 768),
)


def run(out: Path, store: Path | None = None, *, seconds: float = 3.0, compiled: bool = True) -> Path:
    """Measure, and save a table and the same in JSON; arguments and errors are those of :func:`measured`.

    Args:
        out: the folder for them.
        store, seconds, compiled: see there.

    Returns:
        the table's file.
    """
    rows, encoding = measured(store, seconds, compiled=compiled)
    return save_report(out, rows, encoding, str(store) if store else None)


def measured(store: Path | None, seconds: float, *, compiled: bool) -> tuple[list[Row], dict[str, float]]:
    """Measure, and return the rows and what encoding in the loop costs.

    Args:
        store: with actions; without one, stores of random tokens are made for all of ``SUBJECTS``, and removed.
        seconds: how long each rate is measured, over all rounds; a step more often than not takes longer for some.
        compiled: measure ``torch.compile`` too, on the first subject.

    Raises:
        UsageError: the store cannot be trained on with actions.
    """
    with ExitStack() as stack:
        if store is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            found = {subject: random_store(folder / str(i), subject) for i, subject in enumerate(SUBJECTS)}
        else:
            given = LatentStore.open(store)
            if given.actions is None:
                raise UsageError(f"store: {store} has no actions; training with them is what is measured")
            found = {Subject(size, given.grid, given.tokens.shape[2]): given for size in _TOKENS_AT_ONCE}
        with progress_bar("measuring", "rounds") as progress:
            return _measure(found, seconds / ROUNDS, compiled, progress)


class _Training:
    """A predictor on its way, whose steps can be computed in several ways."""

    def __init__(self, subject: Subject, store: LatentStore, frames: Tensor | None):
        torch.manual_seed(0)
        stats = store.action_statistics()
        actions = ActionNormalizer(
            *(x.tolist() for x in (stats.mean, stats.std, stats.low, stats.high)), frameskip=FRAMESKIP
        )
        self.source = WindowSource(
            store.windows(NUM_FRAMES, FRAMESKIP),
            subject.batch_size,
            actions,
            seed=0,
        )
        plain = Predictor.from_size(subject.size, dim=subject.dim)
        self.predictor = with_actions(plain, actions.action_dim, "full", seed=0).train()
        self.loss = PredictionLoss(self.predictor, subject.grid)
        self.optimizer = make_optimizer(self.predictor, "adamw", 1e-4, 0.4)
        self.frames = frames  # (B, T, height, width, 3), for encoding in the loop
        self.encoder = None if frames is None else store.encoder

    def step(self, number: int, dtype: torch.dtype, *, loss: Loss | None = None, encode: bool = False) -> None:
        """Train a step, computed in a number type; if asked for, on frames that are encoded first."""
        batch = self.source.batch(number)
        if encode:
            assert self.encoder is not None
            assert self.frames is not None
            batch = batch._replace(tokens=self.encoder(self.frames).float())
        self.gradients(batch, dtype, self.loss if loss is None else loss)
        nn.utils.clip_grad_norm_(self.predictor.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def gradients(self, batch: Batch, dtype: torch.dtype, loss: Loss) -> None:
        """Compute a batch's gradients."""
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            value = loss(batch.tokens, batch.times, batch.actions)
        value.backward()

    def operations(self) -> int:
        """Count the floating-point operations of a step's loss and gradients, masked ones included."""
        one = self.source.batch(0).part(slice(1))
        # Fused attention is not counted on a CPU, the products that it is made of are.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            self.gradients(one, torch.float32, self.loss)
        self.optimizer.zero_grad()
        return self.source.batch_size * int(counter.get_total_flops())


def _measure(
    stores: Mapping[Subject, LatentStore], seconds: float, compiled: bool, progress: Report
) -> tuple[list[Row], dict[str, float]]:
    """Return what each subject does in each way, and seconds of a step of the first with its encoder in the loop."""
    fast = fast_dtype(torch.device("cpu"))
    first = next(iter(stores))
    ways: dict[tuple[Subject, str], Callable[[int], object]] = {}
    trainings: dict[Subject, _Training] = {}
    for subject, store in stores.items():
        frames = None
        if subject == first:
            frames = random_frames((subject.batch_size, NUM_FRAMES), store.frame_size)
        training = trainings[subject] = _Training(subject, store, frames)
        for dtype in dict.fromkeys([torch.float32, fast]):
            ways[subject, _name(dtype)] = partial(training.step, dtype=dtype)
        ways[subject, "reading"] = training.source.batch
        if subject == first:
            ways[subject, "encoding"] = partial(training.step, dtype=fast, encode=True)
            if compiled:
                loss = torch.compile(training.loss)
                ways[subject, f"{_name(fast)}, compiled"] = partial(training.step, dtype=fast, loss=loss)
    operations = {subject: training.operations() for subject, training in trainings.items()}
    for work in ways.values():
        work(0)  # what is made once, as by torch.compile, is made now
    taken: dict[tuple[Subject, str], list[float]] = {measured: [] for measured in ways}
    products: dict[str, list[float]] = {_name(dtype): [] for dtype in (torch.float32, fast)}
    for number in range(ROUNDS):
        for name in products:
            products[name].append(product_rate(getattr(torch, name), seconds))
        for measured, work in ways.items():
            taken[measured].append(_seconds(work, seconds))
        progress(number + 1, ROUNDS)
    rows = []
    for (subject, way), times in taken.items():
        if way in ("reading", "encoding"):
            continue
        rates = products[way.removesuffix(", compiled")]
        shares = [operations[subject] / time / rate for time, rate in zip(times, rates, strict=True)]
        rows.append(
            Row(
                size=subject.size,
                tokens=subject.grid[0] * subject.grid[1],
                dim=subject.dim,
                batch_size=subject.batch_size,
                numbers=way,
                steps_per_second=1 / median(times),
                reading_ms=1e3 * median(taken[subject, "reading"]),
                gflop=operations[subject] / 1e9,
                share_of_products=median(shares),
            )
        )
    ratios = [a / b for a, b in zip(taken[first, "encoding"], taken[first, _name(fast)], strict=True)]
    encoding = {"steps_per_second": 1 / median(taken[first, "encoding"]), "store_is_faster_by": median(ratios)}
    return rows, encoding


def _seconds(work: Callable[[int], object], seconds: float) -> float:
    """Return how long some work takes: the mean of so many seconds, at least once."""
    start, count = perf_counter(), 0
    while not count or perf_counter() - start < seconds:
        count += 1
        work(count)
    return (perf_counter() - start) / count


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
