"""``wmcontrol bench modes``: the paper's three ways of fine-tuning, with many labelled trajectories and with few.

Each training is a process of its own with one thread, in a folder of its own, and goes on after a kill.
"""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data import LatentStore
from ..encoders.files import encoder_digest
from ..files import exclusive_lock
from ..models import WorldModel
from .bench_modes_report import save_report
from .bench_modes_run import ERRORS, OUTPUT
from .errors import UsageError
from .progress import Report, progress_bar
from .train_jobs import split


@dataclass(frozen=True)
class Run:
    """One training: what is in its folder is decided by all of this, and by the store's and the base's weights."""

    env: str
    store: str
    base: str
    base_digest: str
    mode: str
    labelled: int
    seed: int
    num_steps: int
    batch_size: int

    @property
    def name(self) -> str:
        """Folder of the run, below that of all runs."""
        return f"{self.env}/{self.mode}_{self.labelled}_seed{self.seed}"


def compare_modes(config: Any, out: Path) -> None:
    """Train all combinations that are not yet trained, and save tables and the plot; ``config`` is that of the job.

    Raises:
        UsageError: a store or a base that cannot be used for it.
        ValueError: trainings failed; it names them, and where their output lies. Those that did not fail are kept.
    """
    runs = plan_runs(config)
    with exclusive_lock(out):
        missing = [run for run in runs if finished(out, run) is None]
        with progress_bar("training", "runs") as progress:
            train_all(missing, out, config.jobs or os.cpu_count() or 1, progress)
        results = [{**asdict(run), **(finished(out, run) or {})} for run in runs]
        print(save_report(results, out))


def plan_runs(config: Any) -> list[Run]:
    """Return all combinations: those of one environment together, many labels first."""
    base = WorldModel.load(config.base)
    if base.normalizer is not None:
        raise UsageError(f"base: {config.base} takes actions; give a model that was pretrained without them")
    weights = Path(config.base) / "model.safetensors"
    digest = hashlib.sha256(weights.read_bytes()).hexdigest() if weights.exists() else str(config.base)
    stores = [LatentStore.open(path) for path in config.stores]
    for path, store in zip(config.stores, stores, strict=True):
        if store.actions is None or store.control_rate is None:
            raise UsageError(f"stores: {path} has no actions, or no control rate; fine-tuning needs both")
        if encoder_digest(store.encoder) != encoder_digest(base.encoder):
            raise UsageError(f"stores: {path} was made by another encoder than the base's; encode with encoder=MODEL")
        most = len(split(len(store), 0)[0])
        if max(config.labelled) > most:
            raise UsageError(f"labelled: {path} has {most} trajectories to train on, got {max(config.labelled)}")
    runs = []
    for env, path in zip(labels(stores), config.stores, strict=True):
        counts = sorted(config.labelled, reverse=True)
        for labelled, mode, seed in itertools.product(counts, config.modes, config.seeds):
            where = (env, str(path), str(config.base), digest)
            runs.append(Run(*where, mode, labelled, seed, config.num_steps, config.batch_size))
    return runs


def labels(stores: Sequence[LatentStore]) -> list[str]:
    """Return the name of each store's environment; with a number behind it where several have the same."""
    names = [(store.env_id or store.folder.name).split("/")[-1].removesuffix("-v0") for store in stores]
    return [name if names.count(name) == 1 else f"{name}-{names[: i + 1].count(name)}" for i, name in enumerate(names)]


def finished(out: Path, run: Run) -> dict[str, Any] | None:
    """Return the errors of a run that is finished, else None.

    Raises:
        ValueError: the folder holds those of another run, as of a base that has been trained anew.
    """
    path = out / "runs" / run.name / ERRORS
    if not path.exists():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if found.pop("run") != asdict(run):
        raise ValueError(f"{path.parent} holds a run of another base or store; take another folder: out=FOLDER")
    return found


def train_all(runs: Sequence[Run], out: Path, jobs: int, progress: Report) -> None:
    """Train, so many at once; one that fails does not stop the others.

    Raises:
        ValueError: some failed.
    """
    failed = []
    progress(0, len(runs))
    with ThreadPoolExecutor(jobs) as pool:
        waiting = {pool.submit(_train, run, out / "runs" / run.name): run for run in runs}
        try:
            for done, future in enumerate(as_completed(waiting), 1):
                if future.result() != 0:
                    failed.append(waiting[future].name)
                progress(done, len(runs))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if failed:
        output = out / "runs" / failed[0] / OUTPUT
        last = (output.read_text(encoding="utf-8").strip().splitlines() or ["no output"])[-1]
        raise ValueError(f"{len(failed)} of {len(runs)} trainings failed ({', '.join(failed)}); {output} ends: {last}")


def _train(run: Run, folder: Path) -> int:
    """Train in a process of its own, and return its exit code. It ends when this process does: see bench_modes_run."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"{__package__}.bench_modes_run", str(folder)]
    with (
        (folder / OUTPUT).open("w", encoding="utf-8") as output,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        ) as process,
    ):
        assert process.stdin is not None
        process.stdin.write(json.dumps(asdict(run)).encode() + b"\n")
        process.stdin.flush()
        return process.wait()
