"""The YAML files of ``conf/``: which config groups a command has, their choices, and the keys that these bring."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from .keys import Key, settings_of

CONF = Path(__file__).resolve().parent / "conf"
CUSTOM = "custom"  # the choice of a group for what a user's own module has
_CUSTOM_ABOUT = "what GROUP._target_=my_package.MyClass names, with its keys; chosen by itself with that key"


@dataclass(frozen=True)
class Choice:
    """A choice of a config group: what it is, and its keys, without the group's name before them."""

    about: str
    keys: Mapping[str, Key]


@cache
def groups_of(command: str) -> Mapping[str, str]:
    """Return the config groups of a command and what is chosen of each by default."""
    return {
        group: choice for group, choice in _defaults(CONF / f"{command}.yaml").items() if choice and "@" not in group
    }


@cache
def choices_of(group: str) -> Mapping[str, Choice]:
    """Return the choices of a config group."""
    found = {path.stem: _choice(group, path.stem) for path in sorted((CONF / group).glob("*.yaml"))}
    return found | ({CUSTOM: Choice(_CUSTOM_ABOUT.replace("GROUP", group), {})} if has_custom(group) else {})


def schemas() -> frozenset[str]:
    """Return where the keys of all choices are read from, as :func:`~.keys.settings_of` takes it."""
    texts = [path.read_text(encoding="utf-8") for path in CONF.glob("*/*.yaml")]
    return frozenset(found for text in texts for found in re.findall(r"/schema/([\w.]+)@_here_", text))


def has_custom(group: str) -> bool:
    """Say whether a user's own class can stand in a group: what it makes has a ``_target_``."""
    return any("_target_" in _load(path) for path in (CONF / group).glob("*.yaml"))


def is_global(group: str) -> bool:
    """Say whether the keys of a group have no name of a group before them."""
    return any(path.read_text(encoding="utf-8").startswith("# @package _global_") for path in (CONF / group).glob("*"))


def keys_of(command: str, chosen: Mapping[str, str] | None = None) -> dict[str, Key]:
    """Return all keys of a command by their full names: its own first, then those of what is chosen of each group."""
    found = dict(own_keys(command))
    for group, default in groups_of(command).items():
        choice = choices_of(group).get((chosen or {}).get(group, default))
        for name, key in choice.keys.items() if choice else ():
            if not is_global(group):
                found[f"{group}.{name}"] = key
            elif name in found:
                found[name] = replace(found[name], default=key.default)
    return found


@cache
def own_keys(command: str) -> Mapping[str, Key]:
    """Return the keys of a command that belong to no group."""
    keys: dict[str, Key] = {}
    for place in places_of(command):
        keys |= {
            name: key for name, key in settings_of(place).keys.items() if name not in ("name", *groups_of(command))
        }
    return _with_values(keys, _load(CONF / f"{command}.yaml"))


def places_of(command: str) -> list[str]:
    """Return where a command's own keys are read from."""
    from .commands import SETTINGS

    return [f"cli.commands.{command}.Config", *SETTINGS.get(command, ()), "cli.configs.Common"]


def _choice(group: str, name: str) -> Choice:
    path = CONF / group / f"{name}.yaml"
    keys: dict[str, Key] = {}
    for entry, chosen in _defaults(path).items():
        if entry.startswith("schema/"):
            keys |= settings_of(entry.removeprefix("schema/").removesuffix("@_here_")).keys
        elif chosen is None:  # another choice of this group, which this one begins with
            keys |= _choice(group, entry).keys
        elif "@" in entry:  # a choice of a group inside of this one
            inside, _, place = entry.partition("@")
            keys |= {f"{place}.{name}": key for name, key in _choice(inside, chosen).keys.items()}
            keys.pop(place, None)
    return Choice(_comment(path), _with_values(keys, _load(path)))


def _with_values(keys: Mapping[str, Key], content: Mapping[str, Any], prefix: str = "") -> dict[str, Key]:
    found = dict(keys)
    for name, value in content.items():
        full = f"{prefix}{name}"
        if full in found:
            found[full] = replace(found[full], default=value)
        elif isinstance(value, Mapping):
            found = _with_values(found, value, f"{full}.")
    return found


def _defaults(path: Path) -> dict[str, str | None]:
    """Return the Defaults List of a file: groups, or files with None; without those of Hydra's own, and overrides."""
    found: dict[str, str | None] = {}
    for entry in _load(path, "defaults").get("defaults", []):
        pairs = entry.items() if isinstance(entry, Mapping) else [(entry, None)]
        found |= {
            name.lstrip("/"): choice for name, choice in pairs if not name.startswith(("override ", "_self_", "/base"))
        }
    return found


@cache
def _load(path: Path, *also: str) -> Mapping[str, Any]:
    from omegaconf import OmegaConf

    content: Any = OmegaConf.to_container(OmegaConf.load(path)) or {}
    return {name: value for name, value in content.items() if name in also or name not in ("defaults", "hydra")}


def _comment(path: Path) -> str:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("# @package")]
    until = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:until])
