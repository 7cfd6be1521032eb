"""JSON by a declared schema.

A schema is made of the classes below, as ``Record({"name": Text(), "size": ListOf(Integer(low=1), 2, 2)})``. What
fits it comes back as plain Python values; what does not is a ValueError that names the file, the field, what was
expected, and what came. A boolean is neither 0 nor ``"false"``, a number is never NaN, and the size of a text and the
depth of what is in it are limited.
"""

import json
import math
import re
import reprlib
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

MAX_BYTES = 64 * 2**20  # of a JSON text
MAX_DEPTH = 64  # lists and objects inside one another
_LARGEST = sys.float_info.max
_KINDS = {bool: "a boolean", int: "a whole number", float: "a number", str: "a text", list: "a list", dict: "an object"}


@dataclass(frozen=True)
class Place:
    """Where a value stands: what an error names, and what it tells the user to do."""

    source: str  # the file, and the line or record in it
    field: str = ""  # "actions.mean[3]"; "" is the whole text
    fix: str = ""

    def inside(self, key: str | int) -> "Place":
        """Return the place of an entry."""
        name = f"{self.field}[{key}]" if isinstance(key, int) else f"{self.field}.{key}" if self.field else key
        return Place(self.source, name, self.fix)

    def refuse(self, expected: str, got: Any) -> NoReturn:
        """Raise the error."""
        kind = "null" if got is None else f"{_KINDS.get(type(got), type(got).__name__)} {reprlib.repr(got)}"
        self.fail(f"expected {expected}, got {kind}")

    def fail(self, problem: str) -> NoReturn:
        """Raise an error with a problem in words."""
        where = f"{self.source}: {self.field}" if self.field else self.source
        raise ValueError(f"{where}: {problem}{self.fix and '; '}{self.fix}")


class Schema(ABC):
    """What a value must be."""

    @abstractmethod
    def check(self, value: Any, place: Place) -> Any:
        """Return the value, or raise a ValueError that names its place."""


@dataclass(frozen=True)
class Boolean(Schema):
    """``true`` or ``false``, and nothing that stands for them."""

    def check(self, value: Any, place: Place) -> Any:
        return value if isinstance(value, bool) else place.refuse("true or false", value)


@dataclass(frozen=True)
class Integer(Schema):
    """A whole number from ``low`` to ``high``; what 64 bits hold by default."""

    low: int = -(2**63)
    high: int = 2**63 - 1

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, int) or isinstance(value, bool) or not self.low <= value <= self.high:
            place.refuse(f"a whole number{_limits(self.low, self.high)}", value)
        return value


@dataclass(frozen=True)
class Number(Schema):
    """A number from ``low`` to ``high``, or ``above`` a limit; never NaN, and infinite only where that has a sense."""

    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    infinite: bool = False

    def check(self, value: Any, place: Place) -> Any:
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and -_LARGEST <= value <= _LARGEST
        fits = fits or (self.infinite and isinstance(value, float) and math.isinf(value))
        if not fits or not self.low <= value <= self.high or (value <= self.above and self.above > -math.inf):
            limits = f" above {self.above:g}" if self.above > -math.inf else _limits(self.low, self.high)
            place.refuse(f"a {'' if self.infinite else 'finite '}number{limits}", value)
        return value


@dataclass(frozen=True)
class Text(Schema):
    """A text of Unicode, of at most ``longest`` characters."""

    longest: int = 2**20

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, str) or len(value) > self.longest:
            place.refuse(f"a text of at most {self.longest} characters", value)
        if any("\ud800" <= character <= "\udfff" for character in value):  # JSON can write half of a character
            place.refuse("a text of whole characters", value)
        return value


class Choice(Schema):
    """One of some texts."""

    def __init__(self, *options: str):
        self.options = options

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, str) or value not in self.options:
            place.refuse(f"one of {list(self.options)}", value)
        return value


@dataclass(frozen=True)
class Nullable(Schema):
    """``null``, or what another schema says."""

    other: Schema

    def check(self, value: Any, place: Place) -> Any:
        return None if value is None else self.other.check(value, place)


@dataclass(frozen=True)
class ListOf(Schema):
    """A list of ``least`` to ``most`` entries, all of one schema."""

    entry: Schema
    least: int = 0
    most: int = 2**24

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            count = f"{self.least}" if self.least == self.most else f"{self.least} to {self.most}"
            place.refuse(f"a list of {count} entries", value)
        return [self.entry.check(entry, place.inside(index)) for index, entry in enumerate(value)]


@dataclass(frozen=True)
class MapOf(Schema):
    """An object with any names, whose values all have one schema."""

    value: Schema

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, dict):
            place.refuse("an object", value)
        return {
            Text().check(key, place): self.value.check(entry, place.inside(str(key))) for key, entry in value.items()
        }


@dataclass(frozen=True)
class Record(Schema):
    """An object with fields.

    Args:
        needed: fields that must be there.
        optional: fields that may be there.
        others: what fields of other names must be; None: there must not be any.
    """

    needed: Mapping[str, Schema]
    optional: Mapping[str, Schema] = field(default_factory=dict)
    others: Schema | None = None

    def check(self, value: Any, place: Place) -> Any:
        if not isinstance(value, dict):
            place.refuse("an object", value)
        known = {**self.needed, **self.optional}
        missing = sorted(set(self.needed) - set(value))
        unknown = sorted(str(name) for name in set(value) - set(known)) if self.others is None else []
        if missing or unknown:
            problems = [f"missing fields {missing}"] * bool(missing) + [f"unknown fields {unknown}"] * bool(unknown)
            place.fail(f"{', '.join(problems)}; expected {list(known)}")
        found = {}
        for name, entry in value.items():
            schema = known.get(name, self.others)
            assert schema is not None
            found[Text().check(name, place)] = schema.check(entry, place.inside(name))
        return found


@dataclass(frozen=True)
class AnyJson(Schema):
    """Whatever JSON can write, but for NaN and what is nested more than 64 deep."""

    depth: int = MAX_DEPTH

    def check(self, value: Any, place: Place) -> Any:
        if isinstance(value, (list, dict)) and not self.depth:
            place.fail(f"it is nested more than {MAX_DEPTH} deep")
        inner = AnyJson(self.depth - 1)
        if isinstance(value, list):
            return ListOf(inner).check(value, place)
        if isinstance(value, dict):
            return MapOf(inner).check(value, place)
        if isinstance(value, str):
            return Text().check(value, place)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            return Number(infinite=True).check(value, place)
        return value if value is None else Boolean().check(value, place)


def read_json(path: Path, schema: Schema, *, fix: str = "", max_bytes: int = MAX_BYTES) -> Any:
    """Return what is in a file of JSON.

    Args:
        path: the file, in UTF-8.
        schema: what must be in it.
        fix: what the user can do if it is not; ends the errors.
        max_bytes: the longest file that is read.

    Raises:
        OSError: it cannot be read.
        ValueError: it is too long, no JSON, or does not fit the schema; it names the file and the field.
    """
    with path.open("rb") as file:  # reading takes memory for all that it may read at once
        text = file.read(min(max_bytes, path.stat().st_size) + 1)
    return parse_json(text, schema, str(path), fix=fix, max_bytes=max_bytes)


def parse_json(text: str | bytes, schema: Schema, source: str, *, fix: str = "", max_bytes: int = MAX_BYTES) -> Any:
    """Return what is in a text of JSON; ``source`` is what errors name.

    Raises:
        ValueError: it is too long, no JSON, or does not fit the schema.
    """
    place = Place(source, fix=fix)
    if len(text) > max_bytes:
        place.fail(f"expected at most {max_bytes:,} bytes of JSON, got more")
    try:
        value = json.loads(text if isinstance(text, str) else text.decode())
    except RecursionError:
        deep = text if isinstance(text, str) else text.decode(errors="replace")
        Place(source, _deep_field(deep), fix).fail(f"it is nested more than {MAX_DEPTH} deep")
    except ValueError as error:
        place.fail(f"it is not JSON: {error}")
    return schema.check(value, place)


def _deep_field(text: str) -> str:
    """Return the field of the outermost object in which values first lie too deep in one another, if it is one's."""
    depth, name = 0, ""
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"(\s*:)?|[\[{\]}]', text):
        if token[1] and depth == 1:
            name = token[0].rpartition('"')[0][1:]
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > MAX_DEPTH:
            break
    return name[:100]


def _limits(low: float, high: float) -> str:
    known = [f"from {low}"] if low > -(2**63) else []
    if high < 2**63 - 1:
        known.append(f"up to {high}")
    return f" {' '.join(known)}" if known else ""
