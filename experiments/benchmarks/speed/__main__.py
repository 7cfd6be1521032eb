"""Measure planning and training with a latent world model, beside what this machine can do. A quarter of an hour.

Ratios are measured in turns in one run.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..results import Section, command, save, whole
from ..training import training
from .decisions import decisions
from .dino_wm import against_dino_wm
from .evaluation import evaluation
from .forecasts import forecasts
from .full_size import full_size
from .growth import growth
from .operators import operators
from .planning import paper_setting

PARTS: Mapping[str, Callable[[int, Path], Section]] = {
    "planning": lambda rounds, _: paper_setting(rounds),
    "dino_wm": lambda rounds, _: against_dino_wm(rounds),
    "full_size": lambda rounds, _: full_size(rounds),
    "decisions": lambda rounds, _: decisions(rounds),
    "training": lambda rounds, _: training(0.5 * rounds),
    "evaluation": lambda rounds, _: evaluation(rounds),
    "forecasts": lambda rounds, _: forecasts(rounds),
    "operators": lambda rounds, _: operators(rounds),
    "growth": growth,
}


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("speed", __doc__)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="which")
    parser.add_argument("--rounds", type=whole, default=5, help="how often each is measured; the median counts")
    args = parser.parse_args(argv)
    save("speed", args, {part: partial(PARTS[part], args.rounds, args.out) for part in args.parts})


if __name__ == "__main__":
    main()
