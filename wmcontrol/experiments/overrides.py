"""From ``key=value`` words to configurations: Hydra's grammar and sweeps, OmegaConf's types, one-line errors.

Hydra's own parser reads the words, so that lists, quotes, ``range(0,5)`` and ``${other_key}`` mean what they mean in
Hydra. Three things are kinder here. A list may be written ``env=wall,pusht`` without brackets. A path or word that the
grammar cannot read, such as ``out=~/a=b``, or takes for a number, such as ``out=2024_01_05``, is taken as it stands.
And all combinations of a sweep are checked before the first one runs.
"""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import UsageError, did_you_mean, shortened
from .keys import REQUIRED, Key, keys_of

_MOST = 10_000  # combinations of a sweep; more are a slip of the hand


@dataclass(frozen=True)
class Combination:
    """One run of a job: the words that it was asked for with, and the configuration they make."""

    words: tuple[str, ...]
    config: Any


def read_overrides(config: type, words: Sequence[str], sweep: bool = False) -> list[Combination]:
    """Return the configurations that the words ask for: one, or with ``sweep`` every combination of their values.

    Raises:
        UsageError: a key is unknown, a value is not what its key takes or is missing, or two combinations would save
            in the same place.
    """
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.errors import HydraException

    keys = keys_of(config)
    overrides = [_parse(word, keys) for word in words]
    if not sweep:
        return [_combination(config, keys, [_single(override, keys) for override in overrides])]
    _check_count(overrides)
    try:
        (batch,) = BasicSweeper.split_arguments(overrides, max_batch_size=None)
    except HydraException as error:
        raise UsageError(f"cannot sweep: {_first_line(error)}") from error
    # What is the same in all of them stays as it was typed.
    typed = {override.key_or_group: override for override in overrides}
    fixed = {name: override for name, override in typed.items() if not override.is_sweep_override()}
    combinations = [
        _combination(config, keys, [fixed.get(word.partition("=")[0]) or _parse(word, keys) for word in line])
        for line in batch
    ]
    _refuse_shared_places(combinations, [o.key_or_group for o in overrides if o.is_sweep_override()])
    return combinations


def _parse(word: str, keys: dict[str, Key]) -> Any:
    """Return Hydra's Override of a word."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import Quote, QuotedString
    from hydra.errors import HydraException

    name, equals, text = word.partition("=")
    if word.startswith("-"):
        name = name.lstrip("-")
        what = f"write {name}=VALUE" if name in keys else "settings are written key=value"
        raise UsageError(f"unknown option {shortened(word)!r}; {what}")
    bare = name.lstrip("+~")
    if bare in keys and name not in keys:
        raise UsageError(f"cannot add or remove keys; write {bare}={shortened(text) or 'VALUE'}")
    if not equals:
        raise UsageError(f"expected key=value, got {shortened(word)!r}")
    if name not in keys:
        raise did_you_mean("key", name, keys)
    parser, key = OverridesParser.create(), keys[name]
    verbatim = None
    if key.kind in (str, Path):
        listed = key.many and text.startswith("[") and text.endswith("]")
        parts = (text[1:-1] if listed else text).split(",")
        if len(parts) == 1 or not set(text[1:-1] if listed else text) & set("'\"\\[]{}()"):
            quoted = ",".join(QuotedString(part, Quote.double).with_quotes() for part in parts)
            verbatim = f"{name}=[{quoted}]" if listed else f"{name}={quoted}"
    try:
        override = parser.parse_override(word)
        return override if verbatim is None or _is_text(override, text, key.many) else parser.parse_override(verbatim)
    except (HydraException, RecursionError) as error:
        if verbatim is not None:
            return parser.parse_override(verbatim)
        why = "it is nested too deep" if isinstance(error, RecursionError) else _first_line(error)
        raise UsageError(f"{name}: expected {key.expected}; cannot read {shortened(text)!r}: {why}") from error


def _is_text(override: Any, typed: str, many: bool) -> bool:
    """Say whether Hydra took a word or path for what it is, or several of them, and not for a number or a list."""
    from hydra.core.override_parser.types import ChoiceSweep, QuotedString

    value = override.value()
    if override.is_sweep_override() and not isinstance(value, ChoiceSweep):
        return True  # a function of Hydra's
    values = value.list if isinstance(value, ChoiceSweep) else value if isinstance(value, list) else [value]
    if isinstance(value, list) and not many:
        return False
    return typed == typed.strip() and all(item is None or isinstance(item, str | QuotedString) for item in values)


def _check_count(overrides: Sequence[Any]) -> None:
    """Refuse a sweep over nothing, or over more than anyone waits for, before its combinations are made."""
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep

    total = 1.0
    for override in overrides:
        value, text = override.value(), override.input_line
        if isinstance(value, RangeSweep):
            if not value.step:
                raise UsageError(f"cannot sweep: {text} has a step of 0")
            count = max(0.0, math.ceil(steps) if math.isfinite(steps := _steps(value)) else math.inf)
        else:
            count = len(value.list) if isinstance(value, ChoiceSweep) else 1
        if not count:
            raise UsageError(f"cannot sweep: {text} has no value")
        total *= count
    if not total <= _MOST:
        raise UsageError(f"cannot sweep: there are {total:g} combinations, at most {_MOST} are run")


def _steps(swept: Any) -> float:
    return (float(swept.stop) - float(swept.start)) / float(swept.step)


def _single(override: Any, keys: dict[str, Key]) -> Any:
    """Return an override that is not a sweep: several values are a list where the key takes one."""
    if not override.is_sweep_override():
        return override
    key = keys[override.key_or_group]
    text = override.input_line.partition("=")[2]
    if key.many:
        return _parse(f"{key.name}=[{text}]", keys)
    several = f"got several values, {shortened(text)}"
    raise UsageError(f"{key.name}: expected {key.expected}; {several}; add -m to run the job with each of them")


def _combination(config: type, keys: dict[str, Key], overrides: Sequence[Any]) -> Combination:
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    node = OmegaConf.structured(config)
    for override in overrides:
        key, value = keys[override.key_or_group], override.value()
        if value == "" and key.kind is Path:
            raise key.wrong(value)
        if key.many and not isinstance(value, list) and value is not None:
            value = [value]
        try:
            OmegaConf.update(node, key.name, value, merge=True)
        except (OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
            raise key.wrong(override.input_line.partition("=")[2]) from error
    given = {override.key_or_group for override in overrides}
    for key in keys.values():
        if key.default == REQUIRED and key.name not in given:
            raise UsageError(f"{key.name}=… is missing: {key.about}; for example {key.name}={key.example}")
    try:
        made = OmegaConf.to_object(node)
    except OmegaConfBaseException as error:
        raise UsageError(f"{error.full_key}: {_first_line(error)}") from error
    except (ValueError, TypeError) as error:  # of __post_init__
        raise UsageError(str(error)) from error
    for key in keys.values():
        value = getattr(made, key.name)
        key.check(value)
        setattr(made, key.name, _with_home(value))
    return Combination(tuple(override.input_line for override in overrides), made)


def _with_home(value: Any) -> Any:
    """Return a value whose paths no longer start with ``~``."""
    if isinstance(value, list):
        return [_with_home(item) for item in value]
    # Where there is no such user, "~name" is the name of a file.
    return Path(os.path.expanduser(value)) if isinstance(value, Path) else value


def _refuse_shared_places(combinations: Sequence[Combination], swept: Sequence[str]) -> None:
    """Refuse combinations that would save their results over one another's."""
    places = [combination.config.out for combination in combinations if getattr(combination.config, "out", None)]
    if len(set(places)) < len(places):
        twice = next(place for place in places if places.count(place) > 1)
        differing = ".".join(f"${{{name}}}" for name in swept if name != "out")
        raise UsageError(
            f"several combinations would save in {twice}; say what tells them apart, in quotes: "
            f"'out={twice}/{differing}'"
        )


def _first_line(error: Exception) -> str:
    return shortened(str(error).strip().partition("\n")[0])
