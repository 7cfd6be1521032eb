"""What a user can do wrong on the command line, told in one line."""

import re
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .keys import Key

CUSTOM = "custom"  # the choice of a group for what a user's own module has
_LAUNCHERS = ("joblib", "ray", "submitit_local", "submitit_slurm")


class UsageError(Exception):
    """A mistake of the user's, told in one line."""


def shortened(text: str, most: int = 100) -> str:
    """Return what fits in a line."""
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}…"


def did_you_mean(kind: str, word: str, known: Iterable[str]) -> UsageError:
    """Return the error of an unknown word, as a "key", which names the closest of the known ones, or all of them."""
    names = sorted(known)
    close = get_close_matches(word.lower(), names, n=1)
    if close:
        return UsageError(f"unknown {kind} {shortened(word)!r}; did you mean {close[0]!r}?")
    return UsageError(f"unknown {kind} {shortened(word)!r}; there is {', '.join(names) or 'none here'}")


def explain(
    error: Exception,
    keys: Mapping[str, "Key"],
    groups: Mapping[str, Iterable[str]],
    having: Callable[[str, str], Iterable[str]] = lambda group, name: (),
) -> UsageError:
    """Put an error of Hydra or OmegaConf into one line that names the key, what was expected and what to do.

    ``having(group, name)`` is asked for the choices of a group that have a key.
    """
    from hydra.errors import MissingConfigException
    from omegaconf.errors import OmegaConfBaseException

    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options is not None:
        group, _, choice = error.missing_cfg_file.rpartition("/")
        told = did_you_mean(group, choice, error.options)
        known = group == "hydra/launcher" and choice in _LAUNCHERS
        return UsageError(f'{told}; pip install "wmcontrol[launchers]" for it') if known else told
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__
    found = re.search(r"Error merging override (.*)|To append to your config use \+(.*)", str(error))
    word = (found[1] or found[2]) if found else ""  # of the command line, which the error quotes
    if isinstance(cause, OmegaConfBaseException):
        name, inside = word.partition("=")[0].lstrip("+~"), str(cause.full_key or "")
        name = name if name and not inside.startswith(f"{name}.") else inside
        if name in groups:
            return UsageError(f"{name} is a config group: choose one of {', '.join(groups[name])}")
        if name in keys and not str(cause).startswith(("Interpolation", "Missing")):
            value = word.partition("=")[2] if word else str(cause.value)
            return UsageError(f"{name}: expected {keys[name].expected}; got {shortened(value) or 'nothing'}")
        if "not in struct" in str(cause) or "not in '" in str(cause):
            return _unknown_key(name, keys, groups, having)
        return UsageError(f"{name}: {_first_line(cause)}" if name else _first_line(cause))
    unknown = re.search(r"Key '([^']*)' (?:is )?not in", str(error))
    if unknown:
        return _unknown_key(unknown[1], keys, groups, having)
    if "Ambiguous value" in str(error):
        name, _, value = str(error).partition("'")[2].partition("'\n")[0].partition("=")
        return UsageError(
            f"{name}: got several values; write {name}=[{shortened(value)}] for a list, or add -m to run the command "
            "with each of them"
        )
    if "requires --multirun" in str(error):
        return UsageError(f"{_first_line(error).removesuffix(' requires --multirun')}: add -m to run each of them")
    name, equals, text = str(getattr(error, "override", None) or "").partition("=")
    if not name:
        return UsageError(_first_line(error))
    if not equals:
        return UsageError(f"expected key=value, got {shortened(name)!r}")
    return UsageError(
        f"{shortened(name)}: cannot read {shortened(text)!r}; quote what has other signs than letters, digits and "
        f"-./_, twice where a shell takes one pair away: {shortened(name)}='\"…\"'"
    )


def _unknown_key(
    name: str,
    keys: Mapping[str, "Key"],
    groups: Mapping[str, Iterable[str]],
    having: Callable[[str, str], Iterable[str]],
) -> UsageError:
    parts = name.split(".")
    group = parts[0] if len(parts) > 1 and parts[0] in groups else ""
    able = [*having(group, name)] if group else []
    elsewhere = f"; it is a key of {group}={' | '.join(able)}" if able else ""
    for depth in range(len(parts) - 1, 0, -1):
        parent = ".".join(parts[:depth])
        beside = {key.removeprefix(f"{parent}.").partition(".")[0] for key in keys if key.startswith(f"{parent}.")}
        if beside - {parts[depth]}:
            return UsageError(f"{parent}: {did_you_mean('key', parts[depth], beside)}{elsewhere}")
    if group:
        choices = ", ".join(choice for choice in groups[group] if choice != CUSTOM)
        return UsageError(
            f"{name}: what is chosen of {group} has no such key{elsewhere}; choose one of {choices}, or "
            f"{group}._target_=module.Class"
        )
    return did_you_mean("key", parts[0], {*(key.partition(".")[0] for key in keys), *groups})


def _first_line(error: BaseException) -> str:
    return shortened(str(error).strip().partition("\n")[0], most=400) or type(error).__name__  # it may name a long path
