"""Command lines that nobody should type."""

import contextlib
import io
from pathlib import Path
from typing import Any

from .child import Task, WrongError
from .plain_changes import Rng, pick

_LINES = (
    "collect env=wall num_episodes=2 policy.num_frames=4 out=made",
    "collect env=pusht policy=random num_episodes=1 policy.num_frames=3 seed=3 out=made keep_pixels=16",
    "collect env=wall policy._target_=numpy.array policy.object=3 out=made",
    "convert data.path=data out=made",
    "show data.path=data out=sheet.png",
    "encode data.path=data out=stores fit_frames=20 data.image_size=32",
    "evaluate agent=random env=wall num_tasks=2 videos=0 out=made",
    "evaluate model=wall env=wall num_tasks=1 videos=0 planner=cem planner.num_samples=4 planner.num_iterations=1",
    "evaluate agent=noop data.path=data split=all num_tasks=1 videos=0 out=made",
    "finetune store=stores/none mode=scratch num_steps=2 out=made",
    "pretrain stores=[stores/none] num_steps=2 out=made",
    "compare env=wall num_steps=1 base=nowhere out=made",
    "--help",
    "show --help",
)
_VALUES = (
    *(
        "",
        "null",
        "x",
        "0",
        "-1",
        "1",
        "2",
        "1e9",
        "nan",
        "inf",
        "true",
        "3.5",
        "1e400",
        "9" * 5000,
        "1_2",
        "~nobody",
    ),
    *("[" * 3000, "[" * 500 + "]" * 500, "{" * 400 + "}" * 400, "{a:1}", "{a:{b:[1,2]}}", "[1,2]", "1,2", "range(0,3)"),
    *(
        "range(0,1,0)",
        "range(0,1e12)",
        "choice(a,b)",
        "glob(*)",
        "interval(0,1)",
        "${seed}",
        "${nothing}",
        "${out}",
        "'",
    ),
    *(
        "${oc.env:HOME}",
        "a b",
        "a=b",
        "\\",
        "\0",
        "é",
        "\ud800",
        ".",
        "data",
        "/dev/null",
        "x" * 5000,
        '"',
    ),
    *(
        "nonsense/Env-v0",
        "CartPole-v1",
        "wmcontrol/Wall-v9",
        "nonsense:Env-v0",
        "sb3:SAC:nothing.zip",
        "sb3::",
        "cuda:9",
    ),
)
_WORDS = (
    "--help",
    "-m",
    "-h",
    "--seed",
    "-",
    "--",
    "+seed=1",
    "~seed",
    "seed",
    "=",
    "=1",
    "seed=",
    "é=1",
    "a.b=1",
    "'",
    "",
)


def line_task(rng: Rng, folder: Path) -> Task:
    """Return a command line one of whose words was changed; it runs in a folder with a small set."""
    words = pick(rng, _LINES).split()
    places = [place for place, word in enumerate(words) if "=" in word]
    kind = pick(rng, ("value", "value", "value", "value", "value", "word", "gone", "name", "sweep", "twice"))
    place = pick(rng, places) if places else len(words) - 1
    name, _, value = words[place].partition("=")
    if kind == "value":
        words[place] = f"{name}={pick(rng, _VALUES)}"
    elif kind == "word":
        words.insert(int(rng.integers(len(words) + 1)), pick(rng, _WORDS))
    elif kind == "gone":
        del words[place]
    elif kind == "name":
        words[place] = f"{name[:-1]}={value}"
    elif kind == "sweep":
        words[place] = f"{name}={value},{pick(rng, _VALUES)}"
        words.append("-m")
    else:
        words.append(f"{name}={pick(rng, _VALUES)}")
    return Task(" ".join(word[:60] for word in words), lambda: run_line(words, folder), ("",))


def _done(*_: Any, **__: Any) -> None:
    pass


def run_line(words: list[str], folder: Path) -> None:
    """Run a line, and look at what is told."""
    import os

    from wmcontrol.cli import objects
    from wmcontrol.cli.main import main

    # What takes long is asked for and checked, and not done.
    objects.show_comparison = _done
    os.chdir(folder)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code: Any = main(words)
    said = err.getvalue()
    if code not in (0, 1, 2):
        raise WrongError(f"exit code {code!r}")
    if "Traceback" in said:
        raise WrongError(f"a traceback: {said[-500:]}")
    if code and not said.strip().startswith(("wmcontrol", "[")):
        raise WrongError(f"exit code {code} without a word of why: {said[-200:]!r}")
