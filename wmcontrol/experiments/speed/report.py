"""Runs the parts of ``wmcontrol bench``, and writes one table."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from ... import __version__
from ..files import whole_file
from ..progress import progress_bar
from .decisions import decisions
from .dino_wm import against_dino_wm
from .evaluation import evaluation
from .full_size import full_size
from .growth import draw, growth
from .operators import operators
from .planning import paper_setting
from .section import Section, Verdict
from .training import training

_MEASURED: dict[str, Sequence[Callable[[int], Section]]] = {
    "planning": (paper_setting,),
    "dino_wm": (against_dino_wm,),
    "full_size": (full_size,),
    "decisions": (decisions,),
    "training": (training,),
    "evaluation": (evaluation, operators),
    "growth": (growth,),
}


def measure(parts: Sequence[str], rounds: int, out: Path) -> Path:
    """Measure parts, those that a run before finished left out, and save ``speed.md`` and ``speed.json``.

    Args:
        parts: names, of ``wmcontrol bench --help``.
        rounds: how often each is measured.
        out: the folder for the results.

    Returns:
        the table's file.
    """
    work = [function for part in parts for function in _MEASURED[part]]
    sections: list[Section] = []
    with progress_bar("measuring", "parts") as progress:
        for number, function in enumerate(work):
            progress(number, len(work))
            kept = out / f"{function.__name__}.json"
            if kept.exists():
                sections.append(_read(kept))
                continue
            sections.append(function(rounds))
            with whole_file(kept) as file:
                file.write_text(json.dumps(asdict(sections[-1]), indent=1) + "\n", encoding="utf-8")
        progress(len(work), len(work))
    for section in sections:
        if section.picture:
            draw(section.numbers, out / section.picture)
    machine = {"threads": torch.get_num_threads(), "torch": torch.__version__, "wmcontrol": __version__}
    if torch.cuda.is_available():
        machine["gpu"] = torch.cuda.get_device_name()
    with whole_file(out / "speed.json") as file:
        file.write_text(
            json.dumps({**machine, "sections": [asdict(one) for one in sections]}, indent=1) + "\n", encoding="utf-8"
        )
    with whole_file(out / "speed.md") as file:
        file.write_text("\n".join(_lines(sections, machine)), encoding="utf-8")
    return out / "speed.md"


def _read(path: Path) -> Section:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Section(**{**found, "verdicts": [Verdict(**verdict) for verdict in found["verdicts"]]})


def _lines(sections: Sequence[Section], machine: dict[str, Any]) -> Iterator[str]:
    yield "# Speed\n"
    yield f"{', '.join(f'{name} {value}' for name, value in machine.items())}. Ratios were measured in turns.\n"
    asked = [verdict for section in sections for verdict in section.verdicts]
    if asked:
        yield "| asked | measured | |"
        yield "|---|---|---|"
        for verdict in asked:
            yield f"| {verdict.asked} | {verdict.found} | {verdict.word} |"
        yield ""
    for section in sections:
        yield from section.lines()
