"""``python -m experiments.assets``: make the packaged models anew; killed, the same line goes on."""

import argparse
import sys
from pathlib import Path

from .make import make_assets
from .recipe import RECIPE, with_training_seed


def main() -> int:
    """Make them, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m experiments.assets",
        description="Make the packaged models anew, from nothing: a base without actions, and one model for each "
        "environment. All settings are in experiments/assets/recipe.py. It takes hours. Killed, it goes on where it "
        "stopped when the same line is run again; what is finished is not made again, unless what it was made of has "
        "changed.",
    )
    parser.add_argument("--only", nargs="+", metavar="MODEL", help="make only these models; by default all")
    parser.add_argument("--out", type=Path, default=Path("outputs/assets"), help="the folder to work in")
    parser.add_argument(
        "--into",
        type=Path,
        help="for finished models; by default models, or models_of_seed_N, in the folder to work in",
    )
    parser.add_argument(
        "--training-seed", type=int, default=0, help="of fine-tuning and priors; 0 is the packaged models'"
    )
    given = parser.parse_args()
    if given.training_seed < 0:
        parser.error(f"--training-seed must not be negative, got {given.training_seed}")
    recipe = with_training_seed(RECIPE, given.training_seed) if given.training_seed else RECIPE
    try:
        models = f"models_of_seed_{given.training_seed}" if given.training_seed else "models"
        make_assets(recipe, given.out, given.into or given.out / models, given.only)
    except (ValueError, OSError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
