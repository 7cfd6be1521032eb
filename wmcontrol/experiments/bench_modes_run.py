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


def train_and_measure(run: dict[str, Any], folder: Path) -> None:
    """Fine-tune, or go on with it, and save the errors on all the held-out trajectories beside the model."""
    import torch

    from ..data import LatentStore
    from ..files import atomic_write
    from ..models import WorldModel
    from ..training.state import STATE
    from .held_out import held_out_error
    from .jobs.finetune import Config, short_warmup
    from .train_jobs import finetune, split

    keys = {name: run[name] for name in ("mode", "labelled", "seed", "num_steps", "batch_size")}
    keys["warmup_steps"] = short_warmup(run["num_steps"])
    config = Config(store=Path(run["store"]), base=Path(run["base"]), out=folder / "run", **keys)
    finetune(config)
    model = WorldModel.load(folder / "run" / "model", dtype=torch.float32)
    store = LatentStore.open(run["store"])
    _, held_out = split(len(store), run["seed"])
    error = held_out_error(model, store, config.frameskip, held_out.tolist())
    found = {"run": run, "model": error.model.tolist(), "copying": error.persistence.tolist()}
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
