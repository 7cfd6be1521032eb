"""The help texts of the command line."""

import inspect
import shutil
import textwrap

from .jobs import JOBS, Job
from .keys import REQUIRED, Key, keys_of

_INTRODUCTION = "Control with world models, and the environments to try it in."
_GENERAL = """\
options:
  -m, --multirun  run every combination of values given with commas: seed=0,1,2
  -h, --help      show this help, or that of the job it is given with
  --version       show the version

Ctrl-C stops a job. When a job fails, WMCONTROL_TRACEBACK=1 in the environment shows where.
"""


def general_help() -> str:
    """Return what ``wmcontrol --help`` says."""
    usage = "usage: wmcontrol JOB key=value ...\n       wmcontrol JOB --help"
    return "\n\n".join([usage, _INTRODUCTION, f"jobs:\n{_table(JOBS)}", _GENERAL])


def job_help(job: Job) -> str:
    """Return what ``wmcontrol JOB --help`` says: what the job does, and every key of it."""
    keys = keys_of(job.config)
    required = [f"{key.name}=… " for key in keys.values() if key.default == REQUIRED]
    usage = f"usage: wmcontrol {job.name} {''.join(required)}{'key=value ...' if keys else ''}".rstrip()
    parts = [usage, *map(_wrapped, inspect.cleandoc(job.config.__doc__ or "").split("\n\n"))]
    if keys:
        parts.append("\n".join(["keys:", *map(_explained, keys.values())]))
        values = [f"{key.name}={_quoted(key.example)}" for key in keys.values()]
        # Keys of which one rules out another cannot all stand in one line.
        line = getattr(job.config, "example", " ".join(values))
        parts.append(_wrapped(f"example: wmcontrol {job.name} {line}"))
    if any(name.startswith(f"{job.name} ") for name in JOBS):
        parts.append(_subjects(job.name))
    return "\n\n".join(parts) + "\n"


def _subjects(group: str) -> str:
    return "subjects:\n" + _table({n.split()[1]: about for n, about in JOBS.items() if n.startswith(f"{group} ")})


def _table(rows: dict[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {about}" for name, about in rows.items())


def _explained(key: Key) -> str:
    default = "must be given" if key.default == REQUIRED else f"default: {_typed(key.default)}"
    facts = f"{key.expected}; {default}; for example {key.name}={_quoted(key.example)}"
    return "\n".join([f"  {key.name}", _wrapped(key.about, 6), _wrapped(facts, 6)])


def _typed(value: object) -> str:
    """Return a value as one would type it."""
    if isinstance(value, list):
        return ",".join(map(_typed, value)) or "[]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{_typed(item)}' for name, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


def _quoted(value: str) -> str:
    """Quote what a shell would not leave alone."""
    return f"'{value}'" if set(value) & set(" {}[]()$*'\"") else value


def _wrapped(text: str, indent: int = 0) -> str:
    width = min(shutil.get_terminal_size().columns, 100)
    space = " " * indent
    return textwrap.fill(
        " ".join(text.split()),
        max(width, 40),
        initial_indent=space,
        subsequent_indent=space,
        break_on_hyphens=False,
        break_long_words=False,
    )
