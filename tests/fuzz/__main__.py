"""``python -m tests.fuzz``: run cases, and tell how they ended."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import IO

from . import OUTCOMES
from .cases import TARGETS, prepare_libraries, run_numbered, run_unchanged
from .child import Result
from .makers import make_all


def main() -> int:
    """Run what the words say; 1 where a case ended in something else than ``ok`` or ``clear``."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=500, help="how many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--targets", nargs="*", choices=TARGETS, help="some kinds of files alone")
    parser.add_argument("--only", type=int, nargs="*", help="these cases alone, by their numbers")
    parser.add_argument("--unchanged", action="store_true", help="instead, read the files that cases change")
    parser.add_argument("--jobs", type=int, default=1, help="processes side by side")
    parser.add_argument("--json", type=Path, help="a file for what was found, a line of JSON for each case")
    parser.add_argument("--sets", type=Path, help=argparse.SUPPRESS)  # where they were made
    parser.add_argument("--part", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make_all(given.sets)
        return 0
    if given.sets:
        return _part(given)
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder) / "sets"
        again = [sys.executable, "-m", "tests.fuzz", *sys.argv[1:], "--sets", str(sets)]
        subprocess.run([*again, "--make"], check=True)
        with ExitStack() as stack:
            found = stack.enter_context(given.json.open("w", buffering=1)) if given.json else None
            pool = stack.enter_context(ThreadPoolExecutor(given.jobs))
            parts = pool.map(lambda part: _results([*again, "--part", str(part)], found), range(given.jobs))
            results = [result for part in parts for result in part]
    results.sort(key=lambda result: result.number)
    print(table(results))
    failed = [result for result in results if result.outcome not in ("ok", "clear")[: 1 if given.unchanged else 2]]
    for result in failed:
        print(f"\n{result.number} {result.target}: {result.outcome} ({result.where or '-'})\n  {result.change}")
        print(f"  {result.said[:400]}")
    return 1 if failed else 0


def _results(command: list[str], found: IO[str] | None) -> list[Result]:
    """Run a part of the cases, and write down what is found as soon as it is."""
    results = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            results.append(Result(**json.loads(line)))
            if found is not None:
                found.write(line)
    if process.returncode:
        raise RuntimeError(f"cases ended with {process.returncode}")
    return results


def _part(given: argparse.Namespace) -> int:
    numbers = given.only if given.only is not None else range(given.cases)
    targets = given.targets or TARGETS
    out = os.fdopen(os.dup(1), "w")
    prepare_libraries()
    work = given.sets.parent / f"work{given.part}"
    for number in list(range(len(targets)) if given.unchanged else numbers)[given.part :: given.jobs]:
        if given.unchanged:
            result = run_unchanged(number, targets[number], given.sets, work)
        else:
            result = run_numbered(given.seed, number, given.targets, given.sets, work)
        print(json.dumps(asdict(result)), file=out, flush=True)
    return 0


def table(results: list[Result]) -> str:
    """Return how many cases of each kind ended how."""
    counts = Counter((result.target, result.outcome) for result in results)
    targets = sorted({result.target for result in results})
    shown = [outcome for outcome in OUTCOMES if outcome in ("ok", "clear") or any(counts[t, outcome] for t in targets)]
    rows = [["", *shown], *([target, *(str(counts[target, o] or "") for o in shown)] for target in targets)]
    rows.append(["all", *(str(sum(counts[t, o] for t in targets)) for o in shown)])
    return "\n".join("  ".join([row[0].ljust(20), *(cell.rjust(8) for cell in row[1:])]) for row in rows)


if __name__ == "__main__":
    sys.exit(main())
