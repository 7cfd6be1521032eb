"""Which operators a rollout's time goes to, before and after."""

from collections.abc import Callable
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile

from wmcontrol import WorldModel

from ..results import Section
from .subjects import HORIZON, actions, ways

CANDIDATES, REPEATS = 300, 10
_KINDS = {
    "linear maps": ("aten::addmm", "aten::mm", "mkldnn::_linear_pointwise"),
    "concatenation and copies": ("aten::cat", "aten::copy_", "aten::repeat_interleave", "aten::index_select"),
    "attention's products and sums": ("aten::bmm", "aten::_softmax", "aten::sum", "aten::addcmul_"),
    "activations and norms": ("aten::gelu", "aten::native_layer_norm"),
}
_OTHER = "the rest: other numbers, views, Python"


def operators(rounds: int) -> Section:
    """Profile rollouts of 300 candidates of the packaged predictor, by kinds of operators."""
    model = WorldModel.load("wall", dtype="auto")
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randn(1, 1, 1, model.encoder.dim, generator=generator).to(model.dtype)
    found = ways(model, tokens, actions(1, CANDIDATES, HORIZON, model))
    taken: dict[str, list[dict[str, float]]] = {"cache": [], "folded": []}
    for number in range(1 + rounds):
        for way, profiles in taken.items():
            shares = _profiled(found[way])
            if number:
                profiles.append(shares)
    numbers = {way: {kind: median(each[kind] for each in all_) for kind in all_[0]} for way, all_ in taken.items()}
    rows = []
    for kind in sorted(numbers["cache"], key=lambda kind: -numbers["cache"][kind]):
        before, after = (numbers[way][kind] for way in ("cache", "folded"))
        rows.append((kind, f"{before:.2f}", f"{after:.2f}"))
    return Section(
        "Where a rollout's time goes",
        f"Milliseconds of a rollout of {CANDIDATES} candidates x {HORIZON} steps with the packaged model for Wall, by "
        f"operators, {torch.get_num_threads()} threads, medians of {rounds} profiles, which add some. Before: "
        "`predictor.step`; after: folded.",
        ("operators", "before, ms", "after, ms"),
        rows,
        numbers,
    )


def _profiled(work: Callable[[], object]) -> dict[str, float]:
    work()
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        for _ in range(REPEATS):
            work()
    kinds = dict.fromkeys([*_KINDS, _OTHER], 0.0)
    of_operator = {name: kind for kind, names in _KINDS.items() for name in names}
    for event in profiled.key_averages():
        kinds[of_operator.get(event.key, _OTHER)] += event.self_cpu_time_total / 1e3 / REPEATS
    return kinds
