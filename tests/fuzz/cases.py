"""From a number to a case: which file, which change, and what is done with it."""

import shutil
from importlib import import_module
from pathlib import Path

import numpy as np

from .calls import call_task, unchanged
from .changes import change_file
from .child import Result, Task, fresh, run_case
from .lines import line_task, run_line
from .plain_changes import pick
from .targets import RUNS

_MADE = {"calls": (call_task, 14), "lines": (line_task, 14)}  # what is no file
_WEIGHTS = {name: weight for name, (_, weight) in {**RUNS, **_MADE}.items()}
TARGETS = (*_WEIGHTS,)
_MODULES = (
    *("h5py", "zarr", "numcodecs", "pyarrow.parquet", "av", "torch", "safetensors.torch", "PIL.Image", "hydra"),
    *("wmcontrol.data.formats", "wmcontrol.data.encoding", "wmcontrol.data.environment", "wmcontrol.data.video"),
    *("wmcontrol.models.checkpoint", "wmcontrol.models.zoo.dino_wm", "wmcontrol.evaluation", "wmcontrol.agents"),
    *("wmcontrol.data.formats.minari_writer", "wmcontrol.encoders.pyramid", "wmcontrol.cli.main"),
    *("wmcontrol.cli.configs", "wmcontrol.training", "wmcontrol.compare"),
    *("wmcontrol.envs.wall", "wmcontrol.envs.pusht", "wmcontrol.envs.pointmaze", "wmcontrol.planners"),
)


def prepare_libraries() -> None:
    """Import what cases need, so that a process that is forked off has it; nothing here may start a thread."""
    import cv2
    import torch

    from wmcontrol.data.formats import LAYOUTS

    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    for name in _MODULES:
        import_module(name)
    for layout in LAYOUTS:
        layout.load()


def run_unchanged(number: int, target: str, sets: Path, work: Path) -> Result:
    """Read files that nobody changed, which must be ``ok``."""
    folder = _folder(target, sets, work)
    runs = {name: run for name, (run, _) in RUNS.items()}
    runs |= {"calls": unchanged, "lines": lambda folder: run_line(["show", "data=data", "out=sheet.png"], folder)}
    return run_case(number, target, lambda: Task("nothing", lambda: runs[target](folder), ("",)), work / "outside")


def _folder(target: str, sets: Path, work: Path) -> Path:
    """Return a fresh folder with the files of a target."""
    fresh(work)
    shutil.copytree(sets / "outside", work / "outside")
    folder = work / "set"
    if target in RUNS:
        shutil.copytree(sets / target, folder)
    else:
        shutil.copytree(sets / "minari", folder / "data")
    return folder


def run_numbered(seed: int, number: int, targets: list[str] | None, sets: Path, work: Path) -> Result:
    """Run case ``number`` of a seed; the same number is the same case, whatever ran before.

    Args:
        seed: of all cases.
        number: which.
        targets: some alone; None: all.
        sets: where the unchanged files are.
        work: a folder of this process alone.
    """
    rng = np.random.default_rng([seed, number])
    chosen = list(targets or TARGETS)
    weights = np.array([_WEIGHTS[name] for name in chosen], float)
    target = chosen[int(rng.choice(len(chosen), p=weights / weights.sum()))]
    folder = _folder(target, sets, work)

    def prepare() -> Task:
        if target in _MADE:
            return _MADE[target][0](rng, folder)
        files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != "lock")
        path = pick(rng, files)
        said, fields = change_file(rng, path, work / "outside")
        names = (str(folder), path.name, *(file.name for file in files))
        change = f"{path.relative_to(folder)}: {said}"
        return Task(change, lambda: RUNS[target][0](folder), names, fields)

    return run_case(number, target, prepare, work / "outside")
