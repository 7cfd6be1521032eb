"""A comparison of seconds, and a way to make it in a process that can be killed: ``python small_compare.py OUT``."""

import sys
from functools import partial
from pathlib import Path

from wmcontrol.compare import compare, presets

small_comparison = partial(
    presets.demo,
    num_episodes=30,
    num_steps=5,
    batch_size=8,
    num_tasks=4,
    oracle_tasks=2,
    num_iterations=2,
    prior_steps=5,
)


def run(out: Path) -> int:
    """Make it."""
    compare(small_comparison(), out, jobs=2)
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
