"""The console script ``wmcontrol``.

What a command needs is imported when it runs, so that help comes at once.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Never

from .. import __version__


class UsageError(Exception):
    """A mistake of the user's, told in one line."""


class _Parser(argparse.ArgumentParser):
    """A parser that tells a mistake in one line."""

    def error(self, message: str) -> Never:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 2 for a mistake of the user's, 130 when interrupted."""
    arguments = _parser().parse_args(argv)
    try:
        arguments.run(arguments)
    except UsageError as error:
        print(f"wmcontrol: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("wmcontrol: interrupted; what was finished is kept", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="wmcontrol", description="Control with world models, and the environments to try it in.")
    parser.add_argument("--version", action="version", version=f"wmcontrol {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="command", required=True)

    about = "Play one episode of each environment with a scripted policy; save a video of each and a contact sheet."
    demo = commands.add_parser("demo", help="see one episode of each environment", description=about)
    _add_out(demo, Path("outputs/demo"))
    demo.add_argument("--seed", type=_seed, default=0, help="which episodes to play (default: 0)")
    demo.set_defaults(run=_demo)

    bench = commands.add_parser("bench", help="measure speed", description="Measure how fast something runs.")
    subjects = bench.add_subparsers(title="what to measure", metavar="subject", required=True)
    about = (
        "Measure steps per second of the environments on one core, with frames of 64 and 224 pixels, and compare "
        'with gym-pusht and gymnasium-robotics where they are installed (pip install "wmcontrol[oracle]").'
    )
    envs = subjects.add_parser("envs", help="environment steps per second", description=about)
    envs.add_argument(
        "--seconds", type=_seconds, default=2.0, help="how long to measure each environment and size (default: 2)"
    )
    envs.set_defaults(run=_bench_envs)
    about = (
        "Measure time and memory of imagining the next frame of 300 candidates, five steps ahead, with the context "
        "cache and without it, and what share of the machine's rate of matrix products that is. Takes minutes."
    )
    model = subjects.add_parser("model", help="time and memory of imagining", description=about)
    model.set_defaults(run=_bench_model)

    show = commands.add_parser("show", help="draw pictures", description="Draw pictures for the documentation.")
    subjects = show.add_subparsers(title="what to draw", metavar="subject", required=True)
    about = "Draw every environment at several sizes, and everything that may vary from episode to episode."
    envs = subjects.add_parser("envs", help="environments and their variations", description=about)
    _add_out(envs, Path("docs/pictures"))
    envs.set_defaults(run=_show_envs)
    return parser


def _add_out(parser: argparse.ArgumentParser, default: Path) -> None:
    parser.add_argument(
        "--out", type=Path, default=default, metavar="FOLDER", help=f"where to save the files (default: {default})"
    )


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number from 0 up, got {text!r}")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a number of seconds over 0, got {text!r}")
    return seconds


def _folder(path: Path) -> Path:
    """Make a folder, or say why nothing can be saved there, before any work is done."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        trial = path / ".wmcontrol-trial"
        trial.touch()
        trial.unlink()
    except OSError as error:
        raise UsageError(f"cannot save files in {path}: {error.strerror}; choose another folder with --out") from None
    return path


def _demo(arguments: argparse.Namespace) -> None:
    out = _folder(arguments.out)
    from .demo import run_demo

    run_demo(out, arguments.seed)


def _bench_envs(arguments: argparse.Namespace) -> None:
    from .bench_envs import run_bench

    run_bench(arguments.seconds)


def _bench_model(arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from .bench_model import run

    run(Console())


def _show_envs(arguments: argparse.Namespace) -> None:
    out = _folder(arguments.out)
    from .pictures import save_pictures

    save_pictures(out)
