"""What ``wmcontrol bench training`` found: a table, and the same in JSON."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from .files import whole_file

ASKED = 12.0  # steps per second of tiny with one token of 128, batch 256, on two cores


@dataclass(frozen=True)
class Row:
    """What one predictor did in one number type."""

    size: str
    tokens: int
    dim: int
    batch_size: int
    numbers: str
    steps_per_second: float
    reading_ms: float  # of a batch, alone
    gflop: float  # of loss and gradients
    share_of_products: float  # of the rate of large matrix products in the same round


def save_report(out: Path, rows: Sequence[Row], encoding: Mapping[str, float], store: str | None) -> Path:
    """Save ``training.md`` and ``training.json`` in a folder, and return the first of them."""
    found = {
        "store": store,
        "threads": torch.get_num_threads(),
        "rows": [asdict(row) for row in rows],
        "encoding_in_the_loop": dict(encoding),
        "asked": ASKED,
    }
    with whole_file(out / "training.json") as file:
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    with whole_file(out / "training.md") as file:
        file.write_text("\n".join(_lines(rows, encoding, store)) + "\n", encoding="utf-8")
    return out / "training.md"


def _lines(rows: Sequence[Row], encoding: Mapping[str, float], store: str | None) -> Iterator[str]:
    yield "# Training from a latent store\n"
    yield (
        f"Windows of 4 frames with actions out of {store or 'stores of random tokens'}, {torch.get_num_threads()} "
        "threads. A step reads a batch, computes loss and gradients, clips them and lets AdamW follow. The last column "
        "is loss and gradients' share of the machine's rate of large matrix products in that number type, in the same "
        "seconds. Medians.\n"
    )
    heads = ("size", "tokens", "batch", "numbers", "steps/s", "windows/s", "reading, ms", "of matrix products")
    yield f"| {' | '.join(heads)} |"
    yield "|---|---|---|---|---:|---:|---:|---:|"
    for row in rows:
        speed = row.steps_per_second
        cells = (
            row.size,
            f"{row.tokens} x {row.dim}",
            str(row.batch_size),
            row.numbers,
            f"{speed:.1f}" if speed >= 10 else f"{speed:.2f}",
            f"{speed * row.batch_size:,.0f}",
            f"{row.reading_ms:.2f}",
            f"{row.share_of_products:.0%}",
        )
        yield f"| {' | '.join(cells)} |"
    asked = [row for row in rows if (row.size, row.tokens, row.dim, row.batch_size) == ("tiny", 1, 128, 256)]
    if asked:
        best = max(asked, key=lambda row: row.steps_per_second)
        verdict = "met" if best.steps_per_second >= ASKED else "not met"
        yield (
            f"\ntiny, one token of 128, batch 256: at least {ASKED:g} steps/s asked on two cores, "
            f"{best.steps_per_second:.1f} measured ({best.numbers}): {verdict}."
        )
    yield (
        f"\nWith frames encoded in the loop in place of tokens read, the first of these makes "
        f"{encoding['steps_per_second']:.2f} steps/s; from the store it is {encoding['store_is_faster_by']:.2f} times "
        "as fast. Reading or drawing frames is not counted."
    )
