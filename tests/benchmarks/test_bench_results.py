"""What benchmarks share: folders that a killed run goes on in, tables, timing; and what they may import."""

import ast
import json
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
import torch

from experiments.benchmarks.results import Section, Verdict, command, positive, save, whole
from experiments.benchmarks.timing import in_process, mean_seconds, product_rate, ratio, watching
from wmcontrol.memory import peak_memory

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "experiments" / "benchmarks").rglob("*.py"))


def test_what_was_measured_is_kept_when_a_run_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    calls = []

    def first() -> Section:
        calls.append("first")
        verdicts = [Verdict("much", "little", met=False)]
        return Section("First", "about", ("", "ms"), [("a", "1")], {"a": 1}, verdicts, "first.png")

    def second() -> Section:
        calls.append("second")
        if calls.count("second") == 1:
            raise ValueError("killed")
        return Section("Second", "about", ("", "ms"), [("b", "2")], {}, [Verdict("some", "some", met=True)])

    measured = {"first": first, "second": second}
    args = command("toy", "A toy.").parse_args([f"--out={tmp_path / 'out'}"])
    with pytest.raises(ValueError, match="killed"):
        save("toy", args, measured)
    save("toy", args, measured)
    assert calls == ["first", "second", "second"]
    text = (tmp_path / "out" / "report.md").read_text()
    assert text in capsys.readouterr().out
    assert "| much | little | not met |\n| some | some | met |" in text
    assert "| a | 1 |\n\n![First](first.png)" in text
    assert json.loads((tmp_path / "out" / "first.json").read_text())["numbers"] == {"a": 1}


def test_a_folder_with_results_of_other_settings_is_refused(tmp_path: Path) -> None:
    parser = command("toy", "A toy.")
    parser.add_argument("--rounds", type=whole, default=5)
    measured = {"first": lambda: Section("First", "about", ("",), [])}
    save("toy", parser.parse_args([f"--out={tmp_path}"]), measured)
    with pytest.raises(ValueError, match=r"rounds.*5.*3"):
        save("toy", parser.parse_args([f"--out={tmp_path}", "--rounds=3"]), measured)


@pytest.mark.parametrize("words", [["--rounds=0"], ["--rounds=1.5"], ["--seconds=0"], ["--seconds=inf"], ["--fly"]])
def test_mistakes_are_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    parser = command("toy", "A toy.")
    parser.add_argument("--rounds", type=whole)
    parser.add_argument("--seconds", type=positive)
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    assert words[0].partition("=")[0] in capsys.readouterr().err


def test_watched_methods_are_timed_and_given_back() -> None:
    class Sleeper:
        def nap(self) -> str:
            return "rested"

    original = Sleeper.nap
    with watching({"naps": (Sleeper, "nap")}) as noted:
        assert Sleeper().nap() == "rested"
    assert noted["naps"] > 0
    assert Sleeper.nap is original


def test_a_mean_counts_every_call_and_needs_at_least_one() -> None:
    calls: list[int] = []
    assert mean_seconds(calls.append, 0.02) * len(calls) >= 0.9 * 0.02
    assert calls == list(range(len(calls)))
    assert mean_seconds(lambda _: None, 0) > 0


def test_ratios_are_medians_over_rounds() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 1.0, 1.0]) == 4.0


def test_the_rate_of_products_is_that_of_the_best() -> None:
    assert product_rate(torch.float32, 0.0) > 1e9


def test_a_new_process_is_not_as_large_as_the_one_that_started_it() -> None:
    block = torch.ones(2**27)  # half a GiB
    assert peak_memory() > 2**29
    assert in_process(peak_memory) < 2**29
    assert block.sum() == 2**27


def imports(file: Path) -> Iterator[tuple[str, str | None]]:
    """Yield what a file imports of the library: the module, and the name, if it is one."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None) for alias in node.names if alias.name.split(".")[0] == "wmcontrol")
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from ((node.module, alias.name) for alias in node.names if node.module.split(".")[0] == "wmcontrol")


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(ROOT)))
def test_benchmarks_use_what_the_library_offers_to_everybody(file: Path) -> None:
    """A package offers what ``__all__`` lists; of modules beside the packages, all that has no underscore is public."""
    for module, name in imports(file):
        if module == "wmcontrol" and name is None:
            continue
        assert not any(part.startswith("_") for part in [*module.split("."), name or "_"]), f"{module}.{name}"
        offered = getattr(import_module(module), "__all__", None)
        if offered is None:
            assert module.count(".") == 1, f"{module} is inside a package that does not offer it"
        else:
            assert name in offered, f"{module} does not offer {name}"


def test_nothing_of_the_library_imports_experiments() -> None:
    for file in sorted((ROOT / "wmcontrol").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and not node.level:
                assert (node.module or "").split(".")[0] != "experiments", file
