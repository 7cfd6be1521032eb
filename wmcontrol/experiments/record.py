"""Where the results of a job lie, and what made them: the folder ``outputs/JOB/TIME`` and its ``run.yaml``."""

import os
import platform
from dataclasses import fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..untrusted import AnyJson, MapOf, Record, Text
from ..untrusted.schema import Place
from .errors import UsageError
from .files import folder_to_save_in, whole_file

RECORD = "run.yaml"
_MAX_BYTES = 2**20
_SCHEMA = Record({"job": Text(), "config": MapOf(AnyJson())}, others=AnyJson())
_PACKAGES = ("wmcontrol", "torch", "numpy", "gymnasium")


def results_folder(job: str, config: Any, out: Path | None = None) -> Path:
    """Return the folder for the results of a run, made if need be, with its record in it.

    Without ``out`` it is a new one, ``outputs/JOB/TIME``. A folder that is there and holds results of the same job and
    configuration is gone on with, so that a killed run can be resumed; its record is left as it was.

    Args:
        job: the job's name.
        config: its configuration, a dataclass instance.
        out: the folder that the user chose.

    Raises:
        UsageError: nothing can be saved there, or it holds results of another job or configuration.
    """
    if out is None:
        folder = _new_folder(job)
    else:
        folder = folder_to_save_in(out)
        # A record beside which nothing lies is that of a run which failed before it began.
        if any(path.name != RECORD for path in folder.iterdir()) and (folder / RECORD).exists():
            _check_same(folder, job, config)
            return folder
    write_record(folder, job, config)
    return folder


def write_record(folder: Path, job: str, config: Any) -> None:
    """Write ``run.yaml``: the job, when it started, its full configuration, the seeds in it, and versions."""
    from omegaconf import OmegaConf

    settings = _plain_config(config)
    record = {
        "job": job,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "config": settings,
        "seeds": {name: value for name, value in settings.items() if name == "seed" or name.endswith("_seed")},
        "versions": {**{name: version(name) for name in _PACKAGES}, "python": platform.python_version()},
    }
    with whole_file(folder / RECORD) as temporary:
        OmegaConf.save(OmegaConf.create(record), temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())


def read_record(folder: Path) -> dict[str, Any]:
    """Return what :func:`write_record` wrote.

    Raises:
        OSError: there is no such file.
        ValueError: it is not a record; it names the file and the field.
    """
    import yaml  # type: ignore[import-untyped]
    from omegaconf import OmegaConf

    place = Place(str(folder / RECORD), fix="it may have been edited")
    with (folder / RECORD).open("rb") as file:
        text = file.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        place.fail(f"expected at most {_MAX_BYTES:,} bytes, got more")
    try:
        # Of a few aliases of aliases a small file makes any number of copies; records have none.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            place.fail("expected no aliases")
        record = OmegaConf.to_container(OmegaConf.create(text.decode()))
    except Exception as error:  # of YAML or of OmegaConf, which share no class
        raise ValueError(f"{place.source} is not YAML: {error}; {place.fix}") from error
    found: dict[str, Any] = _SCHEMA.check(record, place)
    return found


def _new_folder(job: str) -> Path:
    """Make ``outputs/JOB/TIME``, or with a number behind it if another run started in the same second."""
    parent = folder_to_save_in(Path("outputs") / job.replace(" ", "_"))
    time = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    number = 1
    while True:
        folder = parent / (time if number == 1 else f"{time}_{number}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            number += 1


def _check_same(folder: Path, job: str, config: Any) -> None:
    record, settings = read_record(folder), _plain_config(config)
    there = record["config"]
    if record["job"] != job:
        raise UsageError(f"{folder} holds results of wmcontrol {record['job']}; choose another folder: out=FOLDER")
    # Where the folder lies says nothing about what is in it.
    differ = [n for n in dict.fromkeys([*settings, *there]) if n != "out" and settings.get(n) != there.get(n)]
    if differ:
        changes = ", ".join(f"{name} is {there.get(name)} there and {settings.get(name)} here" for name in differ)
        raise UsageError(
            f"{folder} holds results of another configuration: {changes}; choose another folder: out=FOLDER"
        )


def _plain_config(config: Any) -> dict[str, Any]:
    return {field.name: _plain(getattr(config, field.name)) for field in fields(config)}


def _plain(value: Any) -> Any:
    """Return a value as YAML has it."""
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, list) else value
