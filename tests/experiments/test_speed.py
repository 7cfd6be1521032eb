"""``wmcontrol bench``: operations are counted right, parts are told and kept, and misses are told as misses."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from wmcontrol.experiments.cli import main
from wmcontrol.experiments.measuring import in_process
from wmcontrol.experiments.speed import decisions, dino_wm, evaluation, full_size, growth, operators, planning, report
from wmcontrol.experiments.speed.clock import watching
from wmcontrol.experiments.speed.section import Section, Verdict
from wmcontrol.experiments.speed.subjects import ACTION_DIM, Size, actions, ways
from wmcontrol.experiments.speed.timing import ratio
from wmcontrol.memory import peak_memory
from wmcontrol.planners import CEM

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
    monkeypatch.setattr(operators, "CANDIDATES", 10)
    axes = {"candidates": ((2, 40), growth.Point(horizon=2), "candidates")}
    monkeypatch.setattr(growth, "AXES", axes)
    monkeypatch.setattr(growth, "BUDGETS", (2**26,))


def test_all_but_training_is_measured_and_told(small: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = "planning,dino_wm,full_size,decisions,evaluation,growth"
    assert main(["bench", f"parts={parts}", "rounds=1", f"out={tmp_path}"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == (tmp_path / "speed.md").read_text().strip()
    found = json.loads((tmp_path / "speed.json").read_text())
    sections = {section["title"]: section for section in found["sections"]}
    assert len(sections) == 7
    shares = [
        one["share"] for one in sections["Imagining at the paper's setting"]["numbers"].values() if "share" in one
    ]
    assert len(shares) >= 6
    assert all(0 < share < 1.2 for share in shares)
    ratios = sections["Against DINO-WM's way of planning"]["numbers"]["ratios"].values()
    assert all(ratio > 1 for ratio in ratios)
    for told in sections["What a decision costs beside model and simulator"]["numbers"].values():
        assert told["model and planner"] + told["simulator"] + told["outside"] == pytest.approx(1)
        assert 0 < told["outside"] < 1
    for told in sections["Where an evaluation's seconds go"]["numbers"].values():
        assert sum(value for name, value in told.items() if name != "all") == pytest.approx(told["all"], rel=0.05)
        assert told["rollouts"] > 0
    assert sections["Where a rollout's time goes"]["numbers"]["folded"]["linear maps"] > 0
    few, many = sections["Growth"]["numbers"]["candidates"]
    assert many["operations"] == 20 * few["operations"]
    assert (tmp_path / "growth.png").stat().st_size > 10_000
    assert "| one plan of 300 x 30 x 5 in at most 1 s on two cores |" in printed


def test_what_was_measured_is_kept_when_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    calls = []

    def first(rounds: int) -> Section:
        calls.append("first")
        return Section("First", "about", ("", "ms"), [("a", "1")], {"a": 1}, [Verdict("much", "little", met=False)])

    def second(rounds: int) -> Section:
        calls.append("second")
        if calls.count("second") == 1:
            raise ValueError("killed")
        return Section("Second", "about", ("", "ms"), [("b", str(rounds))], {}, [Verdict("some", "some", met=True)])

    monkeypatch.setattr(report, "_MEASURED", {"planning": (first,), "growth": (second,)})
    words = ["bench", "parts=planning,growth", "rounds=2", f"out={tmp_path}"]
    assert main(words) == 1
    assert main(words) == 0
    assert calls == ["first", "second", "second"]
    printed = capsys.readouterr().out
    assert "| much | little | not met |" in printed
    assert "Asked: some. Measured: some. **Met.**" in printed
    assert "| b | 2 |" in printed


def test_a_part_that_is_not_there_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "parts=planing"]) == 2
    assert "planning" in capsys.readouterr().err


def test_watched_methods_are_timed_and_given_back() -> None:
    class Sleeper:
        def nap(self) -> str:
            return "rested"

    original = Sleeper.nap
    with watching({"naps": (Sleeper, "nap")}) as noted:
        assert Sleeper().nap() == "rested"
    assert noted["naps"] > 0
    assert Sleeper.nap is original


def test_ratios_are_medians_over_rounds() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 1.0, 1.0]) == 4.0


def test_a_new_process_is_not_as_large_as_the_one_that_started_it() -> None:
    block = torch.ones(2**27)  # half a GiB
    assert peak_memory() > 2**29
    assert in_process(peak_memory) < 2**29
    assert block.sum() == 2**27
