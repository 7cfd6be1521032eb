"""``python -m tests.fuzz.kills``: commands killed at random moments; the same line again must end with the same result.

Each trial kills a command once to three times, its processes and all, runs the same line to its end, and compares what
came of it with that of a run that nobody killed.
"""

import argparse
import hashlib
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]
_SMALL = "batch_size=16 warmup_steps=2 device=cpu"


@dataclass(frozen=True)
class Command:
    """A long command in small.

    Attributes:
        words: the line, with ``{out}`` for its folder and ``{given}`` for what was prepared.
        results: patterns of the files that must come out the same.
        needs: commands whose results it reads.
    """

    words: str
    results: tuple[str, ...]
    needs: tuple[str, ...] = ()


COMMANDS = {
    "collect": Command(
        "collect env=wall policy=door num_episodes=600 policy.num_frames=20 seed=3 out={out}",
        ("data/main_data.hdf5", "data/metadata.json"),
    ),
    "convert": Command(
        "convert data.path={given}/collect out={out}", ("data/main_data.hdf5", "data/metadata.json"), ("collect",)
    ),
    "encode": Command(
        "encode data.path={given}/collect fit_frames=500 encoder.num_components=16 out={out}",
        ("*/tokens.bin", "*/arrays.npz", "*/encoder.json", "*/encoder.safetensors"),
        ("collect",),
    ),
    "pretrain": Command(
        "pretrain stores={given}/encode/store num_steps=60 num_frames=4 out={out} " + _SMALL,
        ("model/model.safetensors", "model/config.json"),
        ("encode",),
    ),
    "finetune": Command(
        "finetune store={given}/encode/store mode=scratch frameskip=2 num_frames=4 num_steps=60 out={out} " + _SMALL,
        ("model/model.safetensors", "model/config.json"),
        ("encode",),
    ),
    "evaluate": Command(
        "evaluate model=wall env=wall num_tasks=12 batch=2 videos=1 out={out} "
        "planner=cem planner.num_samples=20 planner.num_iterations=2",
        ("report.json", "episodes_1.mp4"),
    ),
    "scenes": Command(
        "scenes num_clips=64 num_test=16 num_pairs=10 image_size=32 out={out}",
        ("train/*.mp4", "train/labels/*.npz", "test/*.mp4", "pairs/*/*.mp4"),
    ),
    "compare": Command("small_compare {out}", ("report.json",)),
    "assets": Command("small_recipe {out}", ("models/*/model.safetensors",)),
}


def _run(words: list[str], given: Path) -> None:
    """Be a process that runs a command; never returns."""
    code = 1
    try:
        os.setsid()
        null = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(null, stream)
        os.chdir(given)
        code = _work(words)
    finally:
        os._exit(code)


def _work(words: list[str]) -> int:
    if words[0] == "small_compare":
        import small_compare

        return small_compare.run(Path(words[1]))
    if words[0] == "small_recipe":
        import small_recipe

        from experiments.assets.make import make_assets

        make_assets(small_recipe.SMALL, Path(words[1]), Path(words[1]) / "models")
        return 0
    from wmcontrol.cli.main import main

    return main(words)


def run(name: str, out: Path, given: Path, kill_after: float | None = None) -> tuple[int, float]:
    """Run a command to its end, or kill it after so many seconds; returns its status and how long it took."""
    begin = time.monotonic()
    words = COMMANDS[name].words.format(out=out, given=given).split()
    pid = os.fork()
    if pid == 0:
        _run(words, given)
    if kill_after is not None:
        while time.monotonic() - begin < kill_after:
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.001)
        for kill in (os.killpg, os.kill):  # what it has started dies with it
            try:
                kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
    _, status = os.waitpid(pid, 0)
    return status, time.monotonic() - begin


def digests(name: str, out: Path) -> dict[str, str]:
    """Return what came of a command."""
    found = {path for pattern in COMMANDS[name].results for path in out.glob(pattern)}
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)}


def leftovers(out: Path) -> list[str]:
    """Return files that only a command under way has."""
    return sorted(
        str(path.relative_to(out)) for path in out.rglob("*") if path.name.startswith(".") or ".tmp" in path.name
    )


def trials(names: list[str], kills: int, seed: int, told: Callable[[str], None] = print) -> list[str]:
    """Kill commands; returns what was wrong.

    Args:
        names: of ``COMMANDS``.
        kills: how many trials each gets.
        seed: of the moments.
        told: is told what is under way.
    """
    wrong = []
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder)
        wanted = [name for name in COMMANDS if name in names or any(name in COMMANDS[n].needs for n in _all(names))]
        for name in wanted:
            whole = given / name
            status, seconds = run(name, whole, given)
            expected = digests(name, whole)
            if status or not expected:
                wrong.append(f"{name}: it fails without being killed, status {status}")
                continue
            if name == "encode":
                shutil.copytree(next(path.parent for path in whole.glob("*/store.json")), whole / "store")
            for trial in range(kills if name in names else 0):
                rng = np.random.default_rng([seed, trial, list(COMMANDS).index(name)])
                out = given / f"{name}-{trial}"
                moments = [float(rng.uniform(0.02, 1)) * seconds for _ in range(int(rng.integers(1, 4)))]
                statuses = [run(name, out, given, moment)[0] for moment in moments]
                status, _ = run(name, out, given)
                killed = sum(1 for each in statuses if os.WIFSIGNALED(each))
                problem = _problem(status, digests(name, out), expected, leftovers(out), leftovers(whole))
                told(f"{name} {trial}: killed {killed} times, {problem or 'the same result'}")
                if problem:
                    wrong.append(f"{name} {trial} (seed {seed}): {problem}")
                shutil.rmtree(out)
    return wrong


def _all(names: list[str]) -> list[str]:
    """Return names, and those that they need."""
    needed = [need for name in names for need in COMMANDS[name].needs]
    return [*names, *(_all(needed) if needed else [])]


def _problem(status: int, found: dict[str, str], expected: dict[str, str], left: list[str], usual: list[str]) -> str:
    if status:
        return f"the same line fails, status {status}"
    if found != expected:
        return f"another result: {[name for name in {**found, **expected} if found.get(name) != expected.get(name)]}"
    more = sorted(set(left) - set(usual))
    return f"left behind: {more[:5]}" if more else ""


def main() -> int:
    """Run what the words say; 1 where a result was another."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=5, help="trials of each command")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--commands", nargs="*", choices=list(COMMANDS), default=list(COMMANDS))
    given = parser.parse_args()
    sys.path[:0] = [str(TESTS), str(TESTS / "assets"), str(TESTS / "compare")]
    import torch

    torch.set_num_threads(1)
    for name in ("cli.main", "evaluation", "training", "data", "compare"):  # so that kills hit work, not imports
        import_module(f"wmcontrol.{name}")
    wrong = trials(given.commands, given.kills, given.seed)
    print(json.dumps({"wrong": wrong}, indent=1))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
