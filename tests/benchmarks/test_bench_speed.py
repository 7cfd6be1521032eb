"""``python -m experiments.benchmarks.speed``: operations are counted right, and every part is measured."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from experiments.benchmarks.speed import (
    decisions,
    dino_wm,
    evaluation,
    forecasts,
    full_size,
    growth,
    operators,
    planning,
)
from experiments.benchmarks.speed.__main__ import main
from experiments.benchmarks.speed.subjects import ACTION_DIM, Size, actions, ways
from wmcontrol import CEM, Predictor

SMALL = Size(24, 2, 2, 16, (2, 2))


@pytest.mark.parametrize("size", [SMALL, Size(36, 3, 2, 8, (1, 1), mlp_ratio=1.5)])
@pytest.mark.parametrize(("S", "H", "N"), [(3, 1, 1), (5, 4, 2)])
def test_operations_are_those_of_the_predictors_step_but_for_what_it_need_not_do(
    size: Size, S: int, H: int, N: int
) -> None:
    model = size.world_model(torch.float32, torch.device("cpu"))
    plain = ways(model, size.tokens(1, N, model), actions(1, S, H, model))["cache"]
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        plain()
    w = size.width
    last_keys = S * size.patches * (size.depth * 2 * w * w + size.dim * w)
    embedding_actions = S * H * 2 * ACTION_DIM * w
    assert counter.get_total_flops() == size.operations(S, H, N) + 2 * (last_keys + embedding_actions)


@pytest.mark.parametrize("calls", [1, 3])
def test_products_are_those_of_a_rollout_but_for_keys_of_its_last_frame(calls: int) -> None:
    B, T, P, predictor = 2, 3, 4, Predictor(16, 24, 2, 2).requires_grad_(False)
    with FlopCounterMode(display=False) as counter:
        context = predictor.context(torch.randn(B, T, P, 16), torch.arange(T).expand(B, T) / 5, grid=(2, 2))
        for call in range(calls):
            _, context = predictor.step(context, torch.full((B,), (T + call) / 5))
    last = 2 * B * P * (16 * 24 + predictor.depth * 24 * 2 * 24)
    shapes = forecasts.products(predictor, B, T, P, calls)
    assert counter.get_total_flops() == forecasts.operations(shapes) + last


@pytest.mark.parametrize("N", [1, 3])
def test_all_ways_imagine_the_same(N: int) -> None:
    model = SMALL.world_model(torch.float32, torch.device("cpu"))
    found = ways(model, SMALL.tokens(1, N, model), actions(1, 5, 4, model))
    imagined = [work() for work in found.values()]
    assert imagined[0].shape == (1, 5, 1, 4, 16)
    for other in imagined[1:]:
        torch.testing.assert_close(other, imagined[0], atol=1e-5, rtol=1e-5)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every part in seconds."""
    monkeypatch.setattr(planning, "SUBJECTS", {"small, 4 tokens": SMALL, "small, 1 token": replace(SMALL, grid=(1, 1))})
    monkeypatch.setattr(planning, "CANDIDATES", 8)
    monkeypatch.setattr(dino_wm, "CANDIDATES", 1)
    monkeypatch.setattr(full_size, "ENVIRONMENTS", 2)
    monkeypatch.setattr(full_size, "ALONE", 1)
    few = CEM(num_samples=12, num_iterations=2)
    for module in (decisions, full_size):
        monkeypatch.setattr(module, "CEM", lambda **_: few)
        monkeypatch.setattr(module, "fast", lambda **_: few)
    monkeypatch.setattr(evaluation, "fast", lambda: few)
    monkeypatch.setattr(evaluation, "TASKS", 2)
    for module in (decisions, evaluation):
        monkeypatch.setattr(module, "ENVS", {"wall": "wmcontrol/Wall-v0"})
    for name, value in {"GRID": (2, 2), "DIM": 12, "BATCH": 3, "MEASURED": 8}.items():
        monkeypatch.setattr(forecasts, name, value)
    monkeypatch.setattr(operators, "CANDIDATES", 10)
    monkeypatch.setattr(operators, "REPEATS", 1)
    axes = {"candidates": ((2, 40), growth.Point(horizon=2), "candidates")}
    monkeypatch.setattr(growth, "AXES", axes)
    monkeypatch.setattr(growth, "in_process", lambda function, *arguments: function(*arguments))
    monkeypatch.setattr(growth, "BUDGETS", (2**26,))


def test_all_but_training_is_measured_and_told(small: None, tmp_path: Path) -> None:
    parts = ["planning", "dino_wm", "full_size", "decisions", "evaluation", "forecasts", "operators", "growth"]
    main(["--parts", *parts, "--rounds=1", f"--out={tmp_path}"])
    numbers = {part: json.loads((tmp_path / f"{part}.json").read_text())["numbers"] for part in parts}
    shares = [one["share"] for one in numbers["planning"].values() if "share" in one]
    assert len(shares) >= 6
    assert all(0 < share < 1.2 for share in shares)
    assert all(ratio > 1 for ratio in numbers["dino_wm"]["ratios"].values())
    for told in numbers["decisions"].values():
        assert told["model and planner"] + told["simulator"] + told["outside"] == pytest.approx(1)
        assert 0 < told["outside"] < 1
    for told in numbers["evaluation"].values():
        assert sum(value for name, value in told.items() if name != "all") == pytest.approx(told["all"], rel=0.05)
        assert told["rollouts"] > 0
        assert told["environments"] > 0
    # Two films of 23 frames with 4 windows each: frames 10 to 22, and 1, 4 and 7 and the three after each of them.
    assert numbers["forecasts"]["encoded"] == 2 * len({*range(10, 23), *range(1, 5), *range(4, 8), *range(7, 11)})
    assert min(numbers["forecasts"]["ratios"].values()) >= 1
    assert numbers["operators"]["folded"]["linear maps"] > 0
    few, many = numbers["growth"]["candidates"]
    assert many["operations"] == 20 * few["operations"]
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert "| one plan of 300 x 30 x 5 in at most 1 s on two cores |" in (tmp_path / "report.md").read_text()


def test_an_evaluation_before_goes_the_way_of_the_predictors_step() -> None:
    model = SMALL.world_model(torch.float32, torch.device("cpu"))
    steps = []
    step = model.predictor.step
    model.predictor.step = lambda *args: steps.append(1) or step(*args)
    plans = actions(1, 5, 3, model)
    with torch.no_grad():
        model.rollout(model.context(SMALL.tokens(1, 1, model)), plans)
        assert not steps
        with evaluation._plain_rollouts(model):
            model.rollout(model.context(SMALL.tokens(1, 1, model)), plans)
        assert len(steps) == 3
        model.rollout(model.context(SMALL.tokens(1, 1, model)), plans)
        assert len(steps) == 3
