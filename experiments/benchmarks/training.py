"""Measure steps per second of fine-tuning from a latent store, on the CPU, and what limits them. Takes minutes.

Beside them: the time of reading alone, the share of the machine's rate of matrix products, and what encoding in the
loop would cost. Everything is measured in turns. A step is the trainer's: read a batch, compute loss and gradients,
clip them, AdamW.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from wmcontrol import ActionNormalizer, Encoder, Predictor
from wmcontrol.data import LatentStore
from wmcontrol.training import Batch, PredictionLoss, WindowSource, with_actions

from .latents import noise, noise_store
from .results import Section, Verdict, command, positive, save
from .timing import fast_dtype, mean_seconds, name_of, product_rate, ratio

NUM_FRAMES, FRAMESKIP = 4, 5  # DINO-world, appendix D
ROUNDS = 5
ASKED = 12.0  # steps per second of tiny with one token of 128, batch 256, on two cores
_TOKENS_AT_ONCE = {"tiny": 1024, "base": 32}  # of a frame, times windows: so that a step takes seconds at most
Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


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


@dataclass(frozen=True)
class Row:
    """What one predictor did in one number type."""

    size: str
    tokens: int
    dim: int
    batch_size: int
    numbers: str
    steps_per_second: float
    reading_ms: float  # of a batch, alone
    gflop: float  # of loss and gradients
    share_of_products: float  # of the rate of large matrix products in the same round


class Training:
    """A predictor on its way, whose steps can be computed in several ways."""

    def __init__(self, subject: Subject, store: LatentStore):
        torch.manual_seed(0)
        stats = store.action_statistics()
        actions = ActionNormalizer(
            *(x.tolist() for x in (stats.mean, stats.std, stats.low, stats.high)), frameskip=FRAMESKIP
        )
        self.source = WindowSource(store.windows(NUM_FRAMES, FRAMESKIP), subject.batch_size, actions, seed=0)
        plain = Predictor.from_size(subject.size, dim=subject.dim)
        self.predictor = with_actions(plain, actions.action_dim, "full", seed=0).train()
        self.loss = PredictionLoss(self.predictor, subject.grid)
        self.optimizer = torch.optim.AdamW(self.predictor.parameters(), lr=1e-4, weight_decay=0.4, fused=True)

    def step(self, number: int, dtype: torch.dtype, *, loss: Loss | None = None) -> None:
        """Train a step, computed in a number type."""
        self._follow(self.source.batch(number), dtype, self.loss if loss is None else loss)

    def encoding_step(self, number: int, dtype: torch.dtype, encoder: Encoder, frames: Tensor) -> None:
        """Train a step on frames (B, T, height, width, 3) that are encoded first."""
        batch = self.source.batch(number)._replace(tokens=encoder(frames).float())
        self._follow(batch, dtype, self.loss)

    def _follow(self, batch: Batch, dtype: torch.dtype, loss: Loss) -> None:
        self._gradients(batch, dtype, loss)
        nn.utils.clip_grad_norm_(self.predictor.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()

    def _gradients(self, batch: Batch, dtype: torch.dtype, loss: Loss) -> None:
        with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
            value = loss(batch.tokens, batch.times, batch.actions)
        value.backward()

    def operations(self) -> int:
        """Count the floating-point operations of a step's loss and gradients, masked ones included."""
        one = self.source.batch(0).part(slice(1))
        # Fused attention is not counted on a CPU, the products that it is made of are.
        with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
            self._gradients(one, torch.float32, self.loss)
        self.optimizer.zero_grad()
        return self.source.batch_size * int(counter.get_total_flops())


def training(lasting: float, store: Path | None = None, *, compiled: bool = False) -> Section:
    """Measure steps of fine-tuning.

    Args:
        lasting: seconds of each rate, over all rounds; a step more often than not takes longer for some.
        store: with actions; without one, stores of noise are made for all of ``SUBJECTS``, and removed.
        compiled: measure ``torch.compile`` too, on the first subject.

    Raises:
        ValueError: the store cannot be trained on with actions.
    """
    with tempfile.TemporaryDirectory() as folder:
        if store is None:
            found = {subject: noise_store(Path(folder), subject.grid, subject.dim) for subject in SUBJECTS}
        else:
            given = LatentStore.open(store)
            if given.actions is None:
                raise ValueError(f"{store} has no actions; training with them is what is measured")
            found = {Subject(size, given.grid, given.tokens.shape[2]): given for size in _TOKENS_AT_ONCE}
        rows, encoding, gain = _measure(found, lasting / ROUNDS, compiled)
    verdicts = []
    asked = [row for row in rows if (row.size, row.tokens, row.dim, row.batch_size) == ("tiny", 1, 128, 256)]
    if asked:
        best = max(asked, key=lambda row: row.steps_per_second)
        verdicts.append(
            Verdict(
                f"{ASKED:g} steps/s of tiny on two cores, 256 windows of one token of 128",
                f"{best.steps_per_second:.1f} ({best.numbers})",
                best.steps_per_second >= ASKED,
            )
        )
    return Section(
        "Training from a latent store",
        f"Windows of {NUM_FRAMES} frames with actions out of {store or 'stores of noise'}, {torch.get_num_threads()} "
        "threads: read, loss, gradients, clipping, AdamW. Last column: loss and gradients' operations over the step's "
        "time, of the rate of large matrix products in that number type in the same seconds. Medians. With frames "
        f"encoded in the loop in place of tokens read, the first predictor makes {encoding:.2f} steps/s; from the "
        f"store it is {gain:.2f} times as fast. Reading or drawing frames is not counted.",
        ("predictor", "windows of a step", "steps/s", "reading, ms", "GFLOP of a step", "of the rate"),
        [
            (
                f"{row.size}, {row.tokens} x {row.dim}, {row.numbers}",
                f"{row.batch_size}",
                f"{row.steps_per_second:.3g}",
                f"{row.reading_ms:.2f}",
                f"{row.gflop:.3g}",
                f"{row.share_of_products:.0%}",
            )
            for row in rows
        ],
        {
            "rows": [asdict(row) for row in rows],
            "encoding_in_the_loop": {"steps_per_second": encoding, "store_is_faster_by": gain},
        },
        verdicts,
    )


def _measure(stores: Mapping[Subject, LatentStore], lasting: float, compiled: bool) -> tuple[list[Row], float, float]:
    """Return what each subject does in each way, and the first's steps per second with its encoder in the loop.

    The last number is how many times as fast it is from the store.
    """
    fast = fast_dtype(torch.device("cpu"))
    types = {name_of(dtype): dtype for dtype in (torch.float32, fast)}
    trainings = {subject: Training(subject, store) for subject, store in stores.items()}
    operations = {subject: one.operations() for subject, one in trainings.items()}
    first = next(iter(stores))
    ways: dict[tuple[Subject, str], Callable[[int], object]] = {}
    for subject, one in trainings.items():
        for name, dtype in types.items():
            ways[subject, name] = partial(one.step, dtype=dtype)
        ways[subject, "reading"] = one.source.batch
    frames = noise(first.batch_size, NUM_FRAMES, size=stores[first].frame_size)
    encoder = stores[first].encoder
    ways[first, "encoding"] = partial(trainings[first].encoding_step, dtype=fast, encoder=encoder, frames=frames)
    if compiled:
        loss = torch.compile(trainings[first].loss)
        ways[first, f"{name_of(fast)}, compiled"] = partial(trainings[first].step, dtype=fast, loss=loss)
    for work in ways.values():
        work(0)  # what is made once, as by torch.compile, is made now
    taken: dict[tuple[Subject, str], list[float]] = {way: [] for way in ways}
    products: dict[str, list[float]] = {name: [] for name in types}
    for _ in range(ROUNDS):
        for name, dtype in types.items():
            products[name].append(product_rate(dtype, lasting))
        for way, work in ways.items():
            taken[way].append(mean_seconds(work, lasting))
    rows = []
    for (subject, name), times in taken.items():
        if name in ("reading", "encoding"):
            continue
        rates = products[name.removesuffix(", compiled")]
        rows.append(
            Row(
                size=subject.size,
                tokens=subject.grid[0] * subject.grid[1],
                dim=subject.dim,
                batch_size=subject.batch_size,
                numbers=name,
                steps_per_second=1 / median(times),
                reading_ms=1e3 * median(taken[subject, "reading"]),
                gflop=operations[subject] / 1e9,
                share_of_products=median(operations[subject] / s / r for s, r in zip(times, rates, strict=True)),
            )
        )
    encoding = taken[first, "encoding"]
    return rows, 1 / median(encoding), ratio(encoding, taken[first, name_of(fast)])


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("training", __doc__)
    parser.add_argument("--store", type=Path, help="latent store with actions; without it, stores of noise are made")
    parser.add_argument("--seconds", type=positive, default=3.0, help="how long each rate is measured")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile too, on the first predictor")
    args = parser.parse_args(argv)
    measured = {"training": lambda: training(args.seconds, args.store, compiled=args.compile)}
    save("training", args, measured)


if __name__ == "__main__":
    main()
