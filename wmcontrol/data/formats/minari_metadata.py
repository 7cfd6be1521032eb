"""What ``metadata.json`` of a Minari data set says, checked: some of it is JSON in a text of JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from ...actions import LAYOUT, ActionLayout
from ...untrusted import (
    AnyJson,
    Boolean,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Schema,
    Text,
    parse_json,
    read_json,
)
from ...untrusted.schema import MAX_DEPTH, Place
from ..trajectory import Floats

MAX_DIM = 2**16  # numbers of an action
LONGEST = 2**40  # frames of an episode, and episodes


@dataclass(frozen=True)
class _Space(Schema):
    """A space as Minari writes it; of what is in it only what we read is looked at."""

    depth: int = MAX_DEPTH

    def check(self, value: Any, place: Place) -> Any:
        fields = {"type": Text(100), "dtype": Text(100), "shape": Nullable(ListOf(Integer(low=0, high=2**32)))}
        found = Record({}, fields, others=AnyJson(self.depth)).check(value, place)
        inner, inside = found.get("subspaces"), place.inside("subspaces")
        if inner is not None:
            parts = ListOf(_Space(self.depth - 1)) if isinstance(inner, list) else MapOf(_Space(self.depth - 1))
            found["subspaces"] = parts.check(inner, inside)
        return found


_SPEC = Record(
    {},
    {
        "id": Text(1000),
        "kwargs": Nullable(MapOf(AnyJson())),
        "additional_wrappers": Nullable(ListOf(Record({"name": Text(1000)}, others=AnyJson()))),
    },
    others=AnyJson(),
)
_OURS = Record(
    {
        "env_id": Nullable(Text(1000)),
        "control_rate": Nullable(Number(above=0)),
        "settings": Record({}, {"env_settings": MapOf(AnyJson())}, others=AnyJson()),
        "lengths": ListOf(Integer(low=1, high=LONGEST)),
    },
    {
        "variation": MapOf(ListOf(Number())),
        "action_layout": LAYOUT,
        "rewards": Boolean(),
    },  # variation: that all episodes share
    others=AnyJson(),
)
_TEXTS = {"observation_space": _Space(), "action_space": _Space(), "env_spec": _SPEC}
_METADATA = Record(
    {"total_episodes": Integer(low=0, high=LONGEST)},
    {
        "total_steps": Integer(),
        "data_format": Text(100),
        "wmcontrol": _OURS,
        **dict.fromkeys(_TEXTS, Nullable(Text(2**24))),
    },
    others=AnyJson(),
)


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what a set says of itself; its spaces and ``env_spec`` as they are in their texts, {} where there is none.

    Raises:
        OSError: it cannot be read.
        ValueError: it is not what Minari writes; it names the file and the field.
    """
    found: dict[str, Any] = read_json(path, _METADATA)
    for name, schema in _TEXTS.items():
        text = found.get(name)
        found[name] = parse_json(text, schema, f"{path}: {name}") if text else {}
    return found


def action_layout(space: Mapping[str, Any], ours: Mapping[str, Any] | None, place: Place) -> ActionLayout | None:
    """Return how a set says that its actions lie in vectors; None where they are such vectors, or it does not say.

    Raises:
        ValueError: it contradicts itself.
    """
    if ours is not None:
        described = ours.get("action_layout")
    elif space.get("type") in ("Discrete", "MultiDiscrete", "MultiBinary"):
        described = _choices(space, place)
    else:
        shape = space.get("shape")
        described = None if shape is None or len(shape) == 1 else {"shape": shape}
    try:
        return None if described is None else ActionLayout(**described)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from error


def _choices(space: Mapping[str, Any], place: Place) -> dict[str, Any]:
    """Return the layout of a discrete space, as Minari writes these."""
    count = Integer(low=1, high=MAX_DIM)
    if space["type"] == "Discrete":
        start = Integer(-(2**31), 2**31).check(space.get("start", 0), place.inside("start"))
        return {"shape": (), "choices": (count.check(space.get("n"), place.inside("n")),), "start": (start,)}
    if space["type"] == "MultiBinary":
        sides = space.get("n")
        shape = ListOf(count, least=1).check(sides if isinstance(sides, list) else [sides], place.inside("n"))
        _check_width(prod(shape), place.inside("n"))
        return {"shape": shape, "choices": (2,) * prod(shape)}
    counts = ListOf(count, least=1).check(space.get("nvec"), place.inside("nvec"))
    start = ListOf(Integer(-(2**31), 2**31), len(counts), len(counts)).check(
        space.get("start", [0] * len(counts)), place.inside("start")
    )
    _check_width(sum(counts), place.inside("nvec"))
    return {"shape": (len(counts),), "choices": counts, "start": start}


def _check_width(numbers: int, place: Place) -> None:
    if numbers > MAX_DIM:
        place.fail(f"expected actions of at most {MAX_DIM} numbers, got {numbers}")


def action_bounds(space: Mapping[str, Any], place: Place) -> tuple[Floats, Floats] | None:
    """Return the lowest and highest action of a space, as vectors (A,); None where none is finite.

    Raises:
        ValueError: they are not what Minari writes; it names the place.
    """
    shape = space.get("shape") or []
    if space.get("type") != "Box" or space.get("shape") is None or not 0 < prod(shape) < MAX_DIM:
        return None
    expected: Schema = Number(infinite=True)
    for side in reversed(shape):
        expected = ListOf(expected, side, side)
    low, high = (
        np.array(expected.check(space.get(name), place.inside(name)), np.float64).ravel() for name in ("low", "high")
    )
    if not (low <= high).all():
        place.inside("low").refuse(f"what is not above high, {high.tolist()}", low.tolist())
    return (low, high) if np.isfinite([low, high]).any() else None
