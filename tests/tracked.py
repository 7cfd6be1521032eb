"""What a tracker was told."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from wmcontrol.trackers import Tracker


class Told(Tracker):
    """Keep it."""

    def __init__(self, folder: Path | None = None) -> None:
        self.numbers: dict[str, list[tuple[int, Any]]] = {}
        self.tables: dict[str, list[Mapping[str, str]]] = {}
        self.films: dict[str, Path] = {}

    def __call__(self, step: int, values: Mapping[str, Any]) -> None:
        for name, value in values.items():
            self.numbers.setdefault(name, []).append((step, value))

    def table(self, name: str, rows: Sequence[Mapping[str, str]]) -> None:
        self.tables[name] = list(rows)

    def film(self, name: str, path: Path) -> None:
        self.films[name] = path


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows: of each curve, steps and numbers."""
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    found = accumulators.EventAccumulator(str(folder))
    found.Reload()
    return {tag: [(e.step, e.value) for e in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
