"""The keys of a job: what ``key=value`` on the command line may say, and how help and errors put it into words.

A job's configuration is a dataclass whose fields are made by :func:`key`. Nothing here needs Hydra, so that help
comes at once.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError, did_you_mean, shortened

REQUIRED = "???"  # as Hydra and OmegaConf mark a value that must be given
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word", Path: "a path"}


@dataclass(frozen=True)
class Key:
    """One key of a job."""

    name: str
    about: str
    default: Any
    example: str
    kind: type  # int, float, bool, str, Path or dict; of a list, that of its elements
    many: bool  # whether it is a list
    optional: bool  # whether it may be null
    at_least: float | None = None
    over: float | None = None
    choices: tuple[str, ...] = ()

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        if self.kind is dict:
            words = "settings, as {name:value,name:value}"
        elif self.choices:
            words = f"one of {', '.join(self.choices)}"
        else:
            words = _WORDS[self.kind]
        if self.at_least is not None:
            words += f" from {self.at_least:g} up"
        if self.over is not None:
            words += f" over {self.over:g}"
        if self.many:
            words += ", or several with commas between them"
        return f"{words}, or null" if self.optional else words

    def wrong(self, value: object) -> UsageError:
        """Return the error of a value that is not what the key takes."""
        return UsageError(f"{self.name}: expected {self.expected}; got {_shown(value)}")

    def check(self, value: object) -> None:
        """Raise a UsageError if a value, or an element of a list, is out of range or not among the choices."""
        for item in value if isinstance(value, list) else [value]:
            if self.choices and isinstance(item, str) and item not in self.choices:
                error = did_you_mean("value", item, self.choices)
                raise UsageError(f"{self.name}: {error}")
            if isinstance(item, int | float) and not self._in_range(item):
                raise self.wrong(item)

    def _in_range(self, number: float) -> bool:
        low_enough = self.over is None or number > self.over
        return math.isfinite(number) and low_enough and (self.at_least is None or number >= self.at_least)


def key(
    about: str,
    *,
    example: str,
    default: Any = REQUIRED,
    at_least: float | None = None,
    over: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Return the field of a job's configuration that is set as ``name=value``.

    The field's annotation is its type: int, float, bool, str, Path, a list of one of these, or ``dict[str, Any]``; each
    may also be ``| None``. What depends on several keys is checked in the dataclass's ``__post_init__`` with a
    ValueError.

    Args:
        about: what it means, in plain words.
        example: a value, as one would type it.
        default: its value when it is not given; without a default it must be given.
        at_least: the lowest number allowed.
        over: numbers must be above this.
        choices: the words allowed.
    """
    limits = {"at_least": at_least, "over": over, "choices": choices}
    metadata = {"about": about, "example": example, **limits}
    if isinstance(default, list | dict):
        factory: Callable[[], Any] = default.copy
        return dataclasses.field(default_factory=factory, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def keys_of(config: type) -> dict[str, Key]:
    """Return the keys of a configuration, by name, in the order of its fields."""
    hints = typing.get_type_hints(config)
    return {field.name: _key(field, hints[field.name]) for field in dataclasses.fields(config)}


def _key(field: "dataclasses.Field[Any]", hint: Any) -> Key:
    default = field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    optional = isinstance(hint, types.UnionType)
    if optional:
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
    many = typing.get_origin(hint) is list
    kind = typing.get_args(hint)[0] if many else typing.get_origin(hint) or hint
    return Key(field.name, default=default, kind=kind, many=many, optional=optional, **field.metadata)


def _shown(value: object) -> str:
    if value == "":
        return "nothing"
    return f"'{shortened(str(value))}'" if isinstance(value, str | Path) else str(value)
