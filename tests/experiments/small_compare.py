"""A comparison of seconds, and a way to make it in a process that can be killed: ``python small_compare.py OUT``."""

import sys
from functools import partial
from pathlib import Path

from wmcontrol.experiments import demo
from wmcontrol.experiments.cli import main

small_comparison = partial(
    demo.small_comparison,
    episodes=30,
    num_steps=5,
    batch_size=8,
    num_tasks=4,
    oracle_tasks=2,
    num_iterations=2,
)


def run(out: Path) -> int:
    """Make the demo with these sizes."""
    usual, demo.small_comparison = demo.small_comparison, small_comparison
    try:
        return main(["demo", f"out={out}"])
    finally:
        demo.small_comparison = usual


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1])))
