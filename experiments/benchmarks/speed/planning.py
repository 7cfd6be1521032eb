"""Planning at the paper's setting, and what it costs the small predictor: the share of the machine's own rate."""

from statistics import median
from typing import Any

import torch

from ..results import Section, Verdict
from ..timing import fast_dtype, in_turns, name_of, product_rate, ratio
from .subjects import HORIZON, Size, actions, ways

CANDIDATES, ITERATIONS = 300, 30
SUBJECTS = {
    "base, 256 tokens of 768": Size(768, 12, 12, 768, (16, 16)),
    "tiny, one token of 128": Size(192, 4, 3, 128, (1, 1)),
}
_MANY_TOKENS = 4  # candidates that are measured where a frame has many tokens and no GPU is at hand


def paper_setting(rounds: int) -> Section:
    """Measure one iteration of 300 candidates and 5 steps; with many tokens on a CPU, of few candidates, scaled."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    fast = fast_dtype(device)
    rows: list[tuple[str, ...]] = []
    numbers: dict[str, Any] = {}
    verdicts: list[Verdict] = []
    for name, size in SUBJECTS.items():
        few = size.patches > 1 and device.type == "cpu"
        S = _MANY_TOKENS if few else CANDIDATES
        for dtype in dict.fromkeys([torch.float32, fast]):
            # On a GPU as many at once as there is memory for, for the keys and values of the frames imagined.
            budget = None if device.type == "cpu" else int(0.6 * torch.cuda.mem_get_info()[0])
            model = size.world_model(dtype, device, budget)
            found = ways(model, size.tokens(1, 1, model), actions(1, S, HORIZON, model))
            if device.type != "cpu":
                del found["recomputing"]  # its memory is not budgeted
            taken = in_turns(found, rounds)
            rate = product_rate(dtype, 0.5, device)
            scale, needed = CANDIDATES / S, size.operations(CANDIDATES)
            for way, times in taken.items():
                of_iteration = scale * median(times)
                share = needed / of_iteration / rate
                key = f"{name}, {name_of(dtype)}, {way}"
                numbers[key] = {"seconds": of_iteration, "share": share, "rate": rate, "candidates_measured": S}
                gain = ratio(next(iter(taken.values())), times)
                seconds = (f"{needed / rate:.3g}", f"{of_iteration:.3g}")
                cells = (f"{needed / 1e12:.3g}", *seconds, f"{share:.0%}", f"{gain:.1f}x")
                rows.append((key, *cells))
        bytes_read = size.weights() * fast.itemsize
        numbers[f"{name}, weights"] = {"bytes": bytes_read}
        best = numbers[f"{name}, {name_of(fast)}, folded"]
        if size.patches > 1:
            where = "on this GPU" if device.type == "cuda" else f"on a CPU, {S} candidates, scaled"
            verdicts.append(
                Verdict(
                    "at least half of the rate of matrix products at the paper's size",
                    f"{best['share']:.0%} {where}; a whole plan of {ITERATIONS} iterations "
                    f"{ITERATIONS * best['seconds']:.3g} s",
                    best["share"] >= 0.5,
                )
            )
    return Section(
        "Imagining at the paper's setting",
        f"One iteration of {CANDIDATES} candidates x {HORIZON} steps from one frame, {torch.get_num_threads()} "
        "threads. Needed: products of matrices that every candidate's frames take; floor: their time at the rate of "
        "large matrix products in the same number type. `recomputing`: keys and values of all earlier frames anew in "
        "each step; `cache`: `predictor.step`; `folded`: what planners run on.",
        ("predictor", "needed, TFLOP", "floor, s", "measured, s", "of the rate", "gain"),
        rows,
        numbers,
        verdicts,
    )
