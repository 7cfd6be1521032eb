"""Measure what this library makes of a GPU, in less than ten minutes: is it right, and how fast is it for this card.

Checked are rollouts, gradients and tokens: float32 against the CPU, bfloat16 against float64. Measured are encoding,
training and planning at the paper's sizes (ViT-B/14 at 224 pixels: 256 tokens of 768; predictor base), and those of the
packaged predictor, each beside the card's own rate of matrix products in the same minute; and a model of the packaged
size is trained and judged. On a CPU, ``--small`` shows in seconds that the script runs.
"""

import argparse
import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from wmcontrol import TransformersEncoder, WorldModel
from wmcontrol.data import collect, encode
from wmcontrol.data.policies import random as at_random
from wmcontrol.evaluation import RandomTasks, evaluate, planning_spec
from wmcontrol.hardware import fast_dtype, usable_device
from wmcontrol.planners import fast
from wmcontrol.training import FinetuneSettings, PredictionLoss, finetune

from .results import Section, Verdict, command, positive, save
from .speed.subjects import ACTION_DIM, HORIZON, Size, actions, ways
from .timing import name_of, product_rate, seconds

WALL = "wmcontrol/Wall-v0"
# Largest differences, relative to the norm of what is right. Rounding alone, over the 12 blocks of base, made 1e-6 in
# float32 and 0.014 in bfloat16 of rollouts and of gradients, on a CPU.
BOUNDS = {torch.float32: 1e-4, torch.bfloat16: 5e-2}
_RIGHT = 1  # candidates and windows that are computed in float64 on the CPU
_RATE_SECONDS = 0.5
Work = Callable[[], Any]
_Row = tuple[tuple[str, ...], dict[str, Any]]  # cells of a table, and their numbers


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How large everything is, and how long it is measured.

    Args:
        sizes: predictors by name, the first of the encoder's tokens; with the frames and windows of a training step.
        vit: of the encoder, as transformers calls them.
        side: of frames, pixels.
        frames: encoded at once.
        candidates: of a plan.
        lasting: seconds that each way is measured.
        episodes, steps, tasks, protocol: of the model that is trained and judged.
    """

    sizes: Mapping[str, tuple[Size, int, int]]
    vit: Mapping[str, Any]
    side: int
    frames: int
    candidates: int
    lasting: float
    episodes: int
    steps: int
    tasks: int
    protocol: str


PAPER = Scale(
    sizes={
        "base, 256 tokens of 768": (Size(768, 12, 12, 768, (16, 16)), 4, 32),
        "tiny, one token of 128": (Size(192, 4, 3, 128, (1, 1)), 8, 128),
    },
    vit={"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "image_size": 518},
    side=224,
    frames=128,
    candidates=300,
    lasting=3.0,
    episodes=400,
    steps=500,
    tasks=64,
    protocol="mpc",
)
SMALL = Scale(
    sizes={"small, 4 tokens of 16": (Size(24, 2, 2, 16, (2, 2)), 3, 2)},
    vit={"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 28},
    side=28,
    frames=2,
    candidates=4,
    lasting=0.01,
    episodes=10,
    steps=2,
    tasks=1,
    protocol="paper",
)


@dataclass(frozen=True)
class Bench:
    """What is measured, and where.

    Args:
        scale: how large.
        device: where.
        compiled: whether torch.compile, and CUDA graphs on a GPU, are measured too.
        until: the time, as of ``time.perf_counter``, from which on nothing more is begun to be measured.
    """

    scale: Scale
    device: torch.device
    compiled: bool
    until: float

    @property
    def dtypes(self) -> list[torch.dtype]:
        """Number types that are measured."""
        return list(dict.fromkeys([torch.float32, fast_dtype(self.device)]))

    def seconds_of(self, made: Mapping[str, Callable[[], Work]]) -> dict[str, float | str]:
        """Return the seconds of each way, by name; or why it cannot be had here, as what a compiler says."""
        found: dict[str, float | str] = {}
        for name, make in made.items():
            if time.perf_counter() > self.until:
                found[name] = "no time was left"
                continue
            try:
                work = make()
                taken = [seconds(work) for _ in range(3)][2:]  # what is made once, as by a compiler, is made by now
                end = time.perf_counter() + self.scale.lasting
                while time.perf_counter() < end:
                    taken.append(seconds(work))
                found[name] = median(taken)
            except Exception as error:  # whatever compiling, or capturing a graph, ends in
                found[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:100]}"
        return found

    def rows(
        self, name: str, dtype: torch.dtype, operations: float, made: Mapping[str, Callable[[], Work]]
    ) -> Iterator[_Row]:
        """Yield a row of a table for each way, and its numbers, beside the rate of products of matrices of now."""
        rate = product_rate(dtype, min(_RATE_SECONDS, self.scale.lasting), self.device)
        for way, found in self.seconds_of(made).items():
            about = {"what": name, "dtype": name_of(dtype), "way": way, "operations": operations, "rate": rate}
            if isinstance(found, str):
                yield (f"{name}, {name_of(dtype)}", way, found, "", ""), {**about, "failed": found}
                continue
            share = operations / found / rate
            cells = f"{1e3 * operations / rate:.4g}", f"{1e3 * found:.4g}", f"{share:.0%}"
            yield (f"{name}, {name_of(dtype)}", way, *cells), {**about, "seconds": found, "share": share}


_HEADS = ("", "way", "floor, ms", "measured, ms", "of the rate")
_FLOOR = "Floor: the time of its products of matrices at the card's rate for large ones in this number type."


def section(title: str, about: str, rows: Sequence[_Row]) -> Section:
    """Return what was measured in ways."""
    return Section(title, f"{about} {_FLOOR}", _HEADS, [row for row, _ in rows], {"rows": [told for _, told in rows]})


def correctness(bench: Bench) -> Section:
    """Compare rollouts, gradients and tokens with those of the CPU in float64."""
    name, (size, T, _) = next(iter(bench.scale.sizes.items()))
    cpu = torch.device("cpu")
    places = dict.fromkeys([(torch.float32, cpu), (torch.float32, bench.device), (torch.bfloat16, bench.device)])
    rows: list[tuple[str, ...]] = []
    numbers: list[dict[str, Any]] = []
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        right = {
            "rollouts": _rollouts(size, torch.float64, cpu),
            "gradients": {"": _gradients(size, T, torch.float64, cpu)},
            "tokens": {"": _tokens(bench.scale, torch.float64, cpu)},
        }
        for dtype, place in places:
            got = {
                "rollouts": _rollouts(size, dtype, place),
                "gradients": {"": _gradients(size, T, dtype, place)},
                "tokens": {"": _tokens(bench.scale, dtype, place)},
            }
            for what, by_way in got.items():
                for way, found in by_way.items():
                    expected = right[what][way]
                    error = float((found.cpu().double() - expected).norm() / expected.norm())
                    told = {"what": what, "way": way, "dtype": name_of(dtype), "device": place.type, "error": error}
                    numbers.append({**told, "bound": BOUNDS[dtype]})
                    rows.append((f"{what} {way}".strip(), place.type, name_of(dtype), f"{error:.2g}"))
    wrong = [told for told in numbers if not told["error"] <= told["bound"]]
    return Section(
        "Is it right",
        f"{name}, random weights: one candidate of {HORIZON} steps, gradients of one window, and tokens of one frame. "
        "Difference from the CPU in float64, relative to the norm; without TF32.",
        ("", "on", "in", "difference"),
        rows,
        {"rows": numbers},
        [
            Verdict(
                "differences of at most " + ", ".join(f"{bound:g} in {name_of(t)}" for t, bound in BOUNDS.items()),
                ", ".join(f"{told['what']} in {told['dtype']} {told['error']:.2g}" for told in wrong) or "all",
                not wrong,
            )
        ],
    )


def _rollouts(size: Size, dtype: torch.dtype, device: torch.device) -> dict[str, Tensor]:
    model = size.world_model(dtype, device)
    found = ways(model, size.tokens(1, 1, model), actions(1, _RIGHT, HORIZON, model))
    return {way: found[way]() for way in ("cache", "folded")}


def _batch(size: Size, T: int, windows: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Draw tokens (B, T, P, D), times (B, T) and actions (B, T - 1, A) of windows."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randn(windows, T, size.patches, size.dim, generator=generator)
    taken = torch.randn(windows, T - 1, ACTION_DIM, generator=generator)
    times = 0.5 * torch.arange(T, dtype=torch.float64, device=device).expand(windows, T)
    return tokens.to(device, dtype), times, taken.to(device, dtype)


def _gradients(size: Size, T: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the gradients of one window, as training computes them: in bfloat16 by autocast, of float32 weights."""
    half = dtype == torch.bfloat16
    exact = torch.float32 if half else dtype
    predictor = size.predictor().to(device, exact).requires_grad_(True)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=half):
        loss = PredictionLoss(predictor, size.grid)(*_batch(size, T, _RIGHT, exact, device))
    loss.backward()
    return torch.cat([p.grad.flatten() for p in predictor.parameters() if p.grad is not None])


def _encoder(scale: Scale, dtype: torch.dtype, device: torch.device) -> TransformersEncoder:
    """Make a DINOv2 encoder of random weights, by way of a folder as a published model's."""
    import transformers

    torch.manual_seed(0)
    config = transformers.Dinov2WithRegistersConfig(**scale.vit, patch_size=14, num_register_tokens=4)
    with tempfile.TemporaryDirectory() as folder:
        transformers.Dinov2WithRegistersModel(config).save_pretrained(folder)
        encoder = TransformersEncoder(folder, image_size=scale.side)
    return encoder.to(device, dtype)


def _frames(scale: Scale, count: int, device: torch.device) -> Tensor:
    generator = torch.Generator().manual_seed(4)
    shape = count, scale.side, scale.side, 3
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator).to(device)


def _tokens(scale: Scale, dtype: torch.dtype, device: torch.device) -> Tensor:
    tokens: Tensor = _encoder(scale, dtype, device)(_frames(scale, 1, device))
    return tokens


def _operations(work: Work) -> float:
    """Count the floating-point operations of products of matrices; those of fused attention, which is taken apart."""
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        work()
    return float(counter.get_total_flops())


def _modes(bench: Bench, dtype: torch.dtype, patches: int) -> dict[str, dict[str, str]]:
    """Return the ways to compile, by name: the arguments of torch.compile, which takes a minute each time."""
    if not bench.compiled or dtype != bench.dtypes[-1]:
        return {}
    # Graphs save the time of launching kernels, of which only few tokens have less work than that.
    graphs = bench.device.type == "cuda" and patches == 1
    return {"compiled": {}, **({"compiled, CUDA graphs": {"mode": "reduce-overhead"}} if graphs else {})}


def encoding(bench: Bench) -> Section:
    """Measure the encoder."""
    scale = bench.scale
    rows: list[_Row] = []
    frames = _frames(scale, scale.frames, bench.device)
    for dtype in bench.dtypes:
        encoder = _encoder(scale, dtype, bench.device)
        operations = scale.frames * _operations(partial(encoder, frames[:1]))

        made: dict[str, Callable[[], Work]] = {"plain": partial(_encoding, encoder, frames)}
        for way, mode in _modes(bench, dtype, frames[0].numel()).items():
            made[way] = partial(_encoding, encoder, frames, mode)
        rows += bench.rows(f"{scale.frames} frames", dtype, operations, made)
    return section(
        "Encoding", f"DINOv2 with registers, {dict(scale.vit)}, frames of {scale.side} pixels on the device.", rows
    )


def _encoding(encoder: TransformersEncoder, frames: Tensor, mode: Mapping[str, str] | None = None) -> Work:
    if mode is not None:
        encoder = copy.deepcopy(encoder)
        encoder.model = torch.compile(encoder.model, **mode)  # type: ignore[call-overload]
    return partial(encoder, frames)


def training(bench: Bench) -> Section:
    """Measure a training step: loss, gradients, AdamW."""
    rows: list[_Row] = []
    for name, (size, T, windows) in bench.scale.sizes.items():
        for dtype in bench.dtypes:
            step = partial(_training_step, size, T, dtype=dtype, device=bench.device)
            operations = windows * _operations(step(1))
            made: dict[str, Callable[[], Work]] = {"plain": partial(step, windows)}
            made |= {way: partial(step, windows, mode=mode) for way, mode in _modes(bench, dtype, size.patches).items()}
            rows += bench.rows(f"{name}, {windows} windows of {T} frames", dtype, operations, made)
    return section("Training", "A step: loss, gradients, AdamW; windows of random tokens on the device.", rows)


def _training_step(
    size: Size,
    T: int,
    windows: int,
    *,
    dtype: torch.dtype,
    device: torch.device,
    mode: Mapping[str, str] | None = None,
) -> Work:
    predictor = size.predictor().to(device).requires_grad_(True).train()
    loss: Any = PredictionLoss(predictor, size.grid)
    if mode is not None:
        loss = torch.compile(loss, **mode)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(predictor.parameters(), lr=1e-4, fused=True)
    batch = _batch(size, T, windows, torch.float32, device)

    def step() -> None:
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            value = loss(*batch)
        value.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def planning(bench: Bench) -> Section:
    """Measure one iteration of a plan: all candidates, five steps."""
    S = bench.scale.candidates
    rows: list[_Row] = []
    for name, (size, _, _) in bench.scale.sizes.items():
        for dtype in bench.dtypes:
            memory = int(0.5 * torch.cuda.mem_get_info()[0]) if bench.device.type == "cuda" else None
            model = size.world_model(dtype, bench.device, memory)
            tokens, plans = size.tokens(1, 1, model), actions(1, S, HORIZON, model)
            found = ways(model, tokens, plans)
            made: dict[str, Callable[[], Work]] = {way: partial(found.__getitem__, way) for way in ("cache", "folded")}
            if bench.compiled and dtype == bench.dtypes[-1]:
                made["cache, compiled"] = partial(_compiled_cache, model, tokens, plans)
            if bench.compiled and bench.device.type == "cuda":  # last: what fails to be captured may leave its traces
                made["folded, CUDA graph"] = partial(_graph, found["folded"])
            rows += bench.rows(f"{name}, {S} candidates", dtype, size.operations(S), made)
    return section(
        "Planning",
        f"One iteration: {S} candidates of {HORIZON} steps from one frame. `cache`: `predictor.step`; `folded`: what "
        "planners run on; a plan of the paper has 30 iterations.",
        rows,
    )


def _compiled_cache(model: WorldModel, tokens: Tensor, plans: Tensor) -> Work:
    """Return the plain way with each block compiled."""
    other = copy.deepcopy(model)
    predictor: Any = other.predictor
    for block in predictor.predictor.blocks:
        block.compile()
    return ways(other, tokens, plans)["cache"]


def _graph(work: Work) -> Work:
    """Capture work of the GPU in a graph; what is replayed reads and writes the same memory."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    return graph.replay


def packaged(bench: Bench) -> Section:
    """Train a model of the packaged size on Wall, and judge it."""
    scale, device = bench.scale, bench.device
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        begun = time.perf_counter()
        data = collect(WALL, at_random(WALL), scale.episodes, folder=folder / "set")
        encoder = WorldModel.load("base").encoder
        store = encode(data, encoder, folder / "stores", device=device)
        prepared, begun = time.perf_counter() - begun, time.perf_counter()
        settings = FinetuneSettings(num_steps=scale.steps, warmup_steps=min(200, scale.steps // 2))
        made = finetune(store, base="base", settings=settings, folder=folder / "run", device=device)
        trained, begun = time.perf_counter() - begun, time.perf_counter()
        model = WorldModel.load(folder / "run" / "model", device=device)
        tasks = RandomTasks(WALL, scale.tasks)
        agent = planning_spec(model, fast(), tasks, scale.protocol).agent
        found = evaluate(agent, tasks, scale.protocol)
        judged = time.perf_counter() - begun
    error = made.error.relative_error
    rows = [
        (f"collect and encode {scale.episodes} episodes", f"{prepared:.1f} s"),
        (f"train {scale.steps} steps of 128 windows", f"{trained:.1f} s, {scale.steps / made.seconds:.3g} steps/s"),
        ("held-out error, relative to repeating the last frame", f"{error[0]:.1%} to {error[-1]:.1%}"),
        (f"judge on {scale.tasks} tasks, fast(), protocol {scale.protocol}", f"{judged:.1f} s"),
        ("seconds per decision", f"{found.seconds_per_decision:.3g}"),
        ("success at any time", str(found.success_any)),
    ]
    numbers = {
        "seconds": {"prepared": prepared, "trained": trained, "judged": judged},
        "steps_per_second": scale.steps / made.seconds,
        "relative_error": error.tolist(),
        "seconds_per_decision": found.seconds_per_decision,
        "success_any": vars(found.success_any),
    }
    return Section("A model of the packaged size", f"On {device}, in Wall.", ("", ""), rows, numbers)


PARTS: Mapping[str, Callable[[Bench], Section]] = {
    "correctness": correctness,
    "encoding": encoding,
    "planning": planning,
    "packaged": packaged,
    "training": training,
}


def _timed(part: str, bench: Bench) -> Section:
    begun = time.perf_counter()
    found = PARTS[part](bench)
    return replace(found, numbers={**found.numbers, "elapsed": time.perf_counter() - begun})


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("gpu", __doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which")
    parser.add_argument("--device", default="auto", help="where")
    parser.add_argument("--small", action="store_true", help="small sizes, for seconds on a CPU; its times say nothing")
    parser.add_argument(
        "--compile", action=argparse.BooleanOptionalAction, help="measure torch.compile too; by default on a GPU"
    )
    parser.add_argument("--minutes", type=positive, default=8.0, help="after which nothing more is begun")
    args = parser.parse_args(argv)
    device = usable_device(args.device)
    compiled = device.type == "cuda" if args.compile is None else args.compile
    bench = Bench(SMALL if args.small else PAPER, device, compiled, time.perf_counter() + 60 * args.minutes)
    args.device, args.compile = str(device), compiled
    save("gpu", args, {part: partial(_timed, part, bench) for part in args.parts})


if __name__ == "__main__":
    main()
