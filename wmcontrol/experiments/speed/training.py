"""Steps per second of training from the store, against encoding in the loop."""

from ..bench_training import measured
from ..bench_training_report import ASKED
from .section import Section, Verdict


def training(rounds: int) -> Section:
    """Measure as ``wmcontrol bench training`` does, so many rounds of half a second."""
    rows, encoding = measured(None, 0.5 * rounds, compiled=False)
    gain = encoding["store_is_faster_by"]
    first = [row for row in rows if (row.size, row.tokens) == (rows[0].size, rows[0].tokens)]
    best = max(first, key=lambda row: row.steps_per_second)
    shown = [
        (
            f"{row.size}, {row.tokens} x {row.dim}, {row.numbers}",
            f"{row.batch_size}",
            f"{row.steps_per_second:.3g}",
            f"{row.gflop:.3g}",
            f"{row.share_of_products:.0%}",
        )
        for row in rows
    ]
    shown.append(("the first, frames encoded in the loop", "", f"{encoding['steps_per_second']:.3g}", "", ""))
    return Section(
        "Training",
        "Windows of 4 frames with actions out of stores of random tokens: read, loss, gradients, clipping, AdamW. "
        "Last column: loss and gradients' operations over the step's time, of the rate of large matrix products.",
        ("predictor", "windows of a step", "steps/s", "GFLOP of a step", "of the rate"),
        shown,
        {"rows": [row.__dict__ for row in rows], "encoding_in_the_loop": encoding},
        [
            Verdict(
                f"{ASKED:g} steps/s of tiny on two cores, 256 windows",
                f"{best.steps_per_second:.1f} ({best.numbers}); {gain:.1f} times those with encoding in the loop",
                best.steps_per_second >= ASKED,
            )
        ],
    )
