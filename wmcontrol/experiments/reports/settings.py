"""What a report says of how it was made: protocols, tasks, seeds, versions."""

import json
import math
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

from .judged import Judged
from .rows import in_order, row_name


def versions() -> dict[str, str]:
    """Return the versions that results may depend on."""
    return {**{name: version(name) for name in ("wmcontrol", "torch")}, "python": platform.python_version()}


def full_settings(judged: Sequence[Judged]) -> list[dict[str, Any]]:
    """Return for each row all that its evaluation says of itself."""
    return [{"env": r.env, "agent": r.agent, "labelled": r.labelled, **r.evaluation.header} for r in judged]


def in_words(judged: Sequence[Judged]) -> list[str]:
    """Say on what tasks, by which protocol and with which seeds the agents were judged: each way of it once."""
    ways: dict[str, list[str]] = {}
    for row in judged:
        ways.setdefault(f"{row.env}: {'; '.join(_way(row.evaluation.header))}", []).append(row_name(row, judged))
    return [f"{way}. So were judged: {' · '.join(in_order(names))}." for way, names in ways.items()]


def as_text(value: Any) -> str:
    """Write JSON that every reader of JSON can read: numbers that are not finite become words."""
    return json.dumps(_finite(value), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _way(header: Mapping[str, Any]) -> Iterator[str]:
    tasks, protocol = header.get("tasks", {}), header.get("protocol", {})
    if "num_tasks" in tasks:
        apart = f", goals {tasks['offset']} steps ahead" if "offset" in tasks else ""
        warmup = f", {tasks['warmup']} steps of warm-up" if tasks.get("warmup") else ""
        origin = {"dataset": "from trajectories", "random": "drawn at random"}.get(tasks.get("tasks", ""), "")
        yield f"{tasks['num_tasks']:,} tasks {origin}".strip() + f" (seed {tasks.get('seed', '?')}{apart}{warmup})"
    if "digest" in tasks:
        yield f"digest {str(tasks['digest'])[:12]}"
    redrawn = header.get("redrawn", {})
    if redrawn:
        yield "redrawn: " + ", ".join(f"{number:,} {why}" for why, number in redrawn.items())
    if "name" in protocol:
        told = [f"{name} {protocol[name]}" for name in ("budget", "execute", "horizon") if name in protocol]
        yield f"protocol {protocol['name']} ({', '.join(told)})"
    if "seed" in header:
        yield f"agents' seed {header['seed']}"


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
