"""One training of ``wmcontrol bench modes``, in a process of its own: ``python -m … FOLDER``, the run as JSON on stdin.

It ends itself when its standard input does: when the process that started it is gone, however it went.
"""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

ERRORS, OUTPUT = "errors.json", "output.txt"
MEASURED = ("error", "persistence_error", "seconds_ahead", "context_frames")  # of a fine-tuning's result


def train_and_measure(run: dict[str, Any], folder: Path) -> None:
    """Fine-tune, or go on with it, and save its held-out errors with what the run is of."""
    from ..files import atomic_write
    from ..training.state import STATE
    from .jobs.finetune import Config, short_warmup
    from .train_jobs import RESULT, finetune

    keys = {name: run[name] for name in ("mode", "labelled", "seed", "num_steps", "batch_size")}
    keys["warmup_steps"] = short_warmup(run["num_steps"])
    config = Config(store=Path(run["store"]), base=Path(run["base"]), out=folder / "run", **keys)
    finetune(config)
    result = json.loads((folder / "run" / RESULT).read_text(encoding="utf-8"))
    found = {"run": run, **{name: result[name] for name in MEASURED}}
    with atomic_write(folder / ERRORS) as file:
        file.write(json.dumps(found, indent=1).encode())
    (folder / "run" / STATE).unlink(missing_ok=True)  # nothing goes on from it, and it is three times the model


def _end_with_stdin() -> None:
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    train_and_measure(asked, Path(sys.argv[1]))
