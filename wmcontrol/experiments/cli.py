"""The console script ``wmcontrol JOB key=value …``.

What a job needs is imported when it runs, so that help comes at once.
"""

import os
import sys
import traceback
from collections.abc import Sequence

from .. import __version__
from .errors import UsageError, did_you_mean, shortened
from .help import general_help, job_help
from .jobs import JOBS, load_job
from .overrides import read_overrides

# What a job raises where something outside of it is wrong: a value, a file, a package that is not installed.
_ORDINARY = (ValueError, OSError, ImportError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0: done; 1: a job failed; 2: a mistake of the user's; 130: interrupted. All but the first say why in one line, which
    ``WMCONTROL_TRACEBACK=1`` in the environment precedes with a traceback.
    """
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except UsageError as error:
        return _told("wmcontrol", error)
    except KeyboardInterrupt:
        print("wmcontrol: interrupted; what was finished is kept", file=sys.stderr)
        return 130


def _main(words: list[str]) -> int:
    asks_help = any(word in ("-h", "--help") for word in words)
    sweep = any(word in ("-m", "--multirun") for word in words)
    words = [word for word in words if word not in ("-h", "--help", "-m", "--multirun")]
    if words == ["--version"]:
        print(f"wmcontrol {__version__}")
        return 0
    if not words and asks_help:
        print(general_help(), end="")
        return 0
    if not words:
        raise UsageError("say which job to run; wmcontrol --help lists them")
    name, words = _job_name(words)
    if asks_help:
        print(job_help(load_job(name)), end="")
        return 0
    return _run(name, words, sweep)


def _job_name(words: list[str]) -> tuple[str, list[str]]:
    """Split the name of a job from what follows: the first word of names of two is a job's name too."""
    first, *rest = words
    groups = {name.split()[0] for name in JOBS if " " in name}
    if first in groups and rest and "=" not in rest[0] and not rest[0].startswith("-"):
        name = f"{first} {rest[0]}"
        if name not in JOBS:
            raise did_you_mean("job", name, [job for job in JOBS if job.startswith(f"{first} ")])
        return name, rest[1:]
    if first.startswith("-"):
        raise UsageError(f"unknown option {shortened(first)!r}; wmcontrol --help lists the options")
    if first not in JOBS:
        raise did_you_mean("job", first, sorted(JOBS))
    return first, rest


def _run(name: str, words: list[str], sweep: bool) -> int:
    """Run a job, or every combination of a sweep, of which one that fails does not stop the others."""
    job = load_job(name)
    command = f"wmcontrol {name}"
    try:
        combinations = read_overrides(job.config, words, sweep)
    except UsageError as error:
        return _told(command, error)
    codes = [0]
    for i, combination in enumerate(combinations, start=1):
        if sweep:
            command = " ".join(["wmcontrol", name, *combination.words])
            print(f"[{i}/{len(combinations)}] {command}", file=sys.stderr)
        try:
            job.run(combination.config)
        except (UsageError, *_ORDINARY) as error:
            codes.append(_told(command, error))
    if sweep and len(codes) > 1:
        print(f"wmcontrol {name}: {len(codes) - 1} of {len(combinations)} combinations failed", file=sys.stderr)
    return max(codes)


def _told(command: str, error: Exception) -> int:
    """Tell in one line what went wrong, and return the exit code."""
    if os.environ.get("WMCONTROL_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    said = " ".join(str(error).split()) or type(error).__name__
    print(f"{command}: {said}", file=sys.stderr)
    return 2 if isinstance(error, UsageError) else 1
