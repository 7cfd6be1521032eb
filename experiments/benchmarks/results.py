"""What a benchmark finds: tables, in Markdown and in JSON, in a folder where a killed run goes on."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import torch

from wmcontrol.files import atomic_write
from wmcontrol.runs import open_run


@dataclass(frozen=True)
class Verdict:
    """Something that was asked, and what came."""

    asked: str
    found: str
    met: bool


@dataclass(frozen=True)
class Section:
    """What one measurement found.

    Args:
        title: of it.
        about: what was done, in a sentence or two.
        heads: of the table's columns.
        rows: of the table, as they are shown.
        numbers: the same for programs.
        verdicts: what was asked and what came.
        picture: name of a figure in the folder of the report.
    """

    title: str
    about: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Mapping[str, Any] = field(default_factory=dict)
    verdicts: Sequence[Verdict] = ()
    picture: str | None = None

    @staticmethod
    def read(path: Path) -> "Section":
        """Return what a run before has saved."""
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Section(**{**found, "verdicts": [Verdict(**verdict) for verdict in found["verdicts"]]})

    def lines(self) -> list[str]:
        """Return it in Markdown."""
        found = [f"## {self.title}", "", self.about, ""]
        found += [f"| {' | '.join(self.heads)} |", "|---" + "|---:" * (len(self.heads) - 1) + "|"]
        found += [f"| {' | '.join(row)} |" for row in self.rows]
        if self.picture:
            found += ["", f"![{self.title}]({self.picture})"]
        return [*found, ""]


def command(name: str, about: str | None) -> argparse.ArgumentParser:
    """Return the command line of a benchmark; ``about`` is its module's docstring."""
    parser = argparse.ArgumentParser(
        prog=f"python -m experiments.benchmarks.{name}",
        description=about,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    folder = Path("outputs/benchmarks") / f"{name}-{datetime.now():%Y-%m-%d_%H-%M-%S}"
    parser.add_argument("--out", type=Path, default=folder, help="folder for the results; a killed run goes on in it")
    return parser


def whole(text: str) -> int:
    """Take a whole number from 1 up."""
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 up, got {value}")
    return value


def positive(text: str) -> float:
    """Take a number over 0."""
    if not 0 < (value := float(text)) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number over 0, got {value}")
    return value


def save(name: str, args: argparse.Namespace, measured: Mapping[str, Callable[[], Section]]) -> None:
    """Measure what the folder does not hold yet, save ``report.md`` and ``NAME.json`` of each section, and print it.

    Args:
        name: of the benchmark.
        args: of its command line; those of a run before in the same folder must be the same.
        measured: the sections, by name, in their order.

    Raises:
        ValueError: the folder holds results of other settings.
    """
    settings = {key: value for key, value in vars(args).items() if key != "out"}
    machine = f"{torch.get_num_threads()} threads, PyTorch {torch.__version__}"
    if torch.cuda.is_available():
        machine += f", {torch.cuda.get_device_name()}"
    with open_run(args.out, f"benchmarks.{name}", settings) as folder:
        sections = []
        for number, (key, measure) in enumerate(measured.items(), 1):
            kept = folder / f"{key}.json"
            if not kept.exists():
                print(f"measuring {key} ({number} of {len(measured)})", file=sys.stderr, flush=True)
                found = json.dumps(asdict(measure()), indent=1) + "\n"
                with atomic_write(kept) as file:
                    file.write(found.encode())
            sections.append(Section.read(kept))
        verdicts = [verdict for section in sections for verdict in section.verdicts]
        asked = [f"| {one.asked} | {one.found} | {'met' if one.met else 'not met'} |" for one in verdicts]
        table = ["| asked | measured | |", "|---|---|---|", *asked, ""] if asked else []
        lines = [f"# Benchmark: {name}", "", f"{machine}.", "", *table, *(line for s in sections for line in s.lines())]
        with atomic_write(folder / "report.md") as file:
            file.write("\n".join(lines).encode())
    print("\n".join(lines))
    print(folder / "report.md")
