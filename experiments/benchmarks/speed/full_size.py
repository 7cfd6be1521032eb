"""The packaged predictor at full size: one decision, and 64 environments at once."""

from collections.abc import Callable
from statistics import median
from typing import Any

import torch

from wmcontrol import CEM, GoalDistance, Planner, WorldModel
from wmcontrol.agents import LatentCost
from wmcontrol.planners import fast

from ..results import Section, Verdict
from ..timing import in_turns, ratio

HORIZON, ENVIRONMENTS, ITERATIONS = 5, 64, 3
ALONE = 8  # environments planned for one by one, of the 64


def full_size(rounds: int) -> Section:
    """Measure decisions of the packaged model for Wall, alone and for 64 environments at once."""
    model = WorldModel.load("wall", dtype="auto")
    planners: dict[str, Planner] = {"CEM(std=2.0), 300 x 30": CEM(std=2.0), "fast()": fast()}
    plans: dict[str, Callable[[], Any]] = {name: _decision(model, planner, 1) for name, planner in planners.items()}
    short: dict[str, Planner] = {
        "CEM(std=2.0)": CEM(std=2.0, num_iterations=ITERATIONS),
        "fast()": fast(num_iterations=ITERATIONS),
    }
    for name, planner in short.items():
        plans[f"{name}, {ITERATIONS} iterations, alone"] = _repeated(_decision(model, planner, 1), ALONE)
        plans[f"{name}, {ITERATIONS} iterations, together"] = _decision(model, planner, ENVIRONMENTS)
    taken = in_turns(plans, rounds)
    rows, numbers = [], {}
    for name in planners:
        numbers[name] = {"seconds": median(taken[name])}
        rows.append((f"{name}: one decision", f"{1e3 * median(taken[name]):.0f} ms", ""))
    for name in short:
        alone, together = (taken[f"{name}, {ITERATIONS} iterations, {way}"] for way in ("alone", "together"))
        gain = ratio([seconds * ENVIRONMENTS / ALONE for seconds in alone], together)
        numbers[f"{name}, together"] = {"seconds": median(together), "throughput": gain}
        rows.append(
            (
                f"{name}, {ITERATIONS} iterations: {ENVIRONMENTS} environments at once",
                f"{1e3 * median(together):.0f} ms",
                f"{gain:.1f}x the throughput of one by one",
            )
        )
    first, second = (numbers[f"{name}, together"]["throughput"] for name in short)
    one = numbers["CEM(std=2.0), 300 x 30"]["seconds"]
    decision = numbers["fast()"]["seconds"]
    return Section(
        "The packaged predictor at full size",
        f"Plans of {HORIZON} steps with the packaged model for Wall, one token per frame, {torch.get_num_threads()} "
        "threads; the encoder's time, about a millisecond, is not in them.",
        ("", "time", ""),
        rows,
        numbers,
        [
            Verdict("one plan of 300 x 30 x 5 in at most 1 s on two cores", f"{one:.2f} s", one <= 1),
            Verdict("one plan of fast() in at most 100 ms", f"{1e3 * decision:.0f} ms", decision <= 0.1),
            Verdict(
                f"{ENVIRONMENTS} environments at once at least 3 times the throughput of one by one",
                f"{first:.1f} times with 300 candidates, {second:.1f} times with fast()",
                first >= 3,
            ),
        ],
    )


def _decision(model: WorldModel, planner: Planner, environments: int) -> Callable[[], Any]:
    assert model.normalizer is not None
    generator = torch.Generator().manual_seed(0)
    seen, goal = torch.randn(2, environments, 1, 1, model.encoder.dim, generator=generator).to(model.dtype)
    low, high = model.normalizer.bounds()
    start = torch.zeros(environments, HORIZON, model.normalizer.action_dim)

    def decide() -> None:
        context = model.context(seen)
        cost = LatentCost(model, context, goal[:, 0], GoalDistance("cosine"))
        seeds = [torch.Generator().manual_seed(i) for i in range(environments)]
        planner.plan(cost, start, low=low, high=high, generators=seeds)

    return decide


def _repeated(work: Callable[[], Any], times: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(times):
            work()

    return repeated
