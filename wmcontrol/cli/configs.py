"""The structured configs that Hydra checks values against, and the config groups and keys that commands have by them.

Keys and defaults are read from the library's own classes and functions; which groups a command has, and what their
choices set, stands in the YAML files of ``conf/``.
"""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field, make_dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

from .commands import SETTINGS
from .errors import CUSTOM
from .keys import MISSING, Key, settings_of

CONF = Path(__file__).resolve().parent / "conf"
_CUSTOM_ABOUT = "what GROUP._target_=my_package.MyClass names, with its keys; chosen by itself with that key"
_NO_TARGET = ("Env", "Kind", "PlanningSettings", "SavedObjective")
_KINDS = ("HierarchicalAgent", "SubgoalAgent")  # agents that a command makes of its model, which have settings


@dataclass
class Common:
    """What every command takes.

    Args:
        imports: modules of yours that are imported first, which register encoders or predictors that files name. For
            example [my_package].
    """

    imports: list[str] = field(default_factory=list)


@dataclass
class Env:
    """An environment.

    Args:
        id: its Gymnasium id; a module before it, as my_package:Mine-v0, is imported first. Or a function of yours,
            my_package:make_env, which env._target_=my_package.make_env says too. For example wmcontrol/Wall-v0.
        settings: keyword arguments that it is made with. For example {layout:random}.
    """

    id: str | None = MISSING
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Data:
    """Trajectories in any layout that is known, found by looking; further settings of its reader are +data.NAME=….

    Args:
        path: the file or folder, or hf://datasets/owner/name. For example data/wall.
        camera: which camera frames are taken from, where the data have several. For example observation.images.top.
        control_rate: actions per second, Hz, of data that do not say. For example 50.
        image_size: side of frames in pixels, drawn or resized to it; by default as they were kept, or 64. For example
            64.
    """

    path: Any = None
    camera: str | None = None
    control_rate: float | None = None
    image_size: int | None = None


@dataclass
class SavedObjective:
    """The distance to the goal that suits the model: null is as the model was saved with.

    Args:
        metric: l2, squared, l1 or cosine; one that is given is not standardized unless you say that too. For example
            squared.
        metric_steps: which model steps of a plan the distance counts: last, mean, or a discount over 0 and at most 1.
            Null, where the model does not say: mean where the next plan comes before this one ends, else last. For
            example mean.
        standardize: from 0 to 2, the power of its standard deviation that each number of a token is divided by before
            the distance; 0 where you say the metric. For example 0.
    """

    metric: str | None = None
    metric_steps: Any = None
    standardize: float | None = None


@dataclass
class Experiments:
    """Runs of a project, each called by its folder.

    Args:
        project: in which runs are shown together. For example wall.
    """

    project: str = "wmcontrol"


@dataclass
class Kind:
    """An agent that needs no settings of its own."""

    kind: str = MISSING


@cache
def groups_of(command: str) -> Mapping[str, str]:
    """Return the config groups of a command and what is chosen of each by default."""
    from omegaconf import OmegaConf

    content: Any = OmegaConf.to_container(OmegaConf.load(CONF / f"{command}.yaml"))
    return {
        group: chosen for entry in content["defaults"] if isinstance(entry, dict) for group, chosen in entry.items()
    }


@cache
def choices_of(group: str) -> Mapping[str, str]:
    """Return the choices of a config group, and what the comments that their files begin with say of them."""
    texts = {path.stem: path.read_text(encoding="utf-8") for path in sorted((CONF / group).glob("*.yaml"))}
    comments = {name: re.findall(r"^# (?!@package)(.*)", text, re.MULTILINE) for name, text in texts.items()}
    custom = {CUSTOM: _CUSTOM_ABOUT.replace("GROUP", group)} if has_custom(group) else {}
    return {name: " ".join(lines) for name, lines in comments.items()} | custom


@cache
def has_custom(group: str) -> bool:
    """Say whether a user's own class can stand in a group: what it makes has a ``_target_``."""
    return _any_has(group, "_target_:")


def is_global(group: str) -> bool:
    """Say whether the keys of a group have no name of a group before them."""
    return _any_has(group, "# @package _global_")


def _any_has(group: str, text: str) -> bool:
    return any(text in path.read_text(encoding="utf-8") for path in (CONF / group).glob("*.yaml"))


def keys_of(command: str, chosen: Mapping[str, str] | None = None) -> dict[str, Key]:
    """Return all keys of a command by their full names, its own first, with the defaults of what is chosen.

    What is no choice of ours is left out.
    """
    known = {group: choice for group, choice in (chosen or {}).items() if choice in choices_of(group)}
    return dict(_composed(command, *(f"{group}={choice}" for group, choice in known.items())))


@cache
def _composed(command: str, *chosen: str) -> Mapping[str, Key]:
    from hydra import compose, initialize_config_module

    register(command)
    with initialize_config_module("wmcontrol.cli.conf", version_base="1.3"):
        return keys_in(compose(command, list(chosen)))


def keys_in(config: Any, prefix: str = "") -> dict[str, Key]:
    """Return the keys of a configuration by their full names, with its values as their defaults."""
    from omegaconf import OmegaConf

    plain: Any = OmegaConf.to_container(config)
    keys = getattr(OmegaConf.get_type(config), "keys_", {})
    found: dict[str, Key] = {}
    for name in dict.fromkeys([*plain, *keys]):
        value = plain.get(name, MISSING)  # which ~name takes away
        inside = keys_in(config[name], f"{prefix}{name}.") if isinstance(value, dict) else {}
        mine = {f"{prefix}{name}": replace(keys[name], default=value)} if name in keys else {}
        found |= inside or mine
    return found


def places_of(command: str) -> Mapping[str, str]:
    """Return where a command's own keys are read from, and which of them: all where none are named."""
    return {f"cli.commands.{command}.Config": "", **SETTINGS.get(command, {}), "cli.configs.Common": ""}


@cache
def schemas(*groups: str) -> frozenset[str]:
    """Return where the keys of choices are read from, as :func:`~.keys.settings_of` takes it: of groups, or all."""
    texts = _texts(*groups)
    return frozenset(found for text in texts for found in re.findall(r"/schema/([\w.]+)@_here_", text))


def _texts(*groups: str) -> list[str]:
    places = [place for group in groups for place in (CONF / group).glob("*.yaml")] if groups else CONF.glob("*/*.yaml")
    return [place.read_text(encoding="utf-8") for place in places]


@cache
def register(command: str) -> None:
    """Tell Hydra's ConfigStore the structured configs of a command, and of the groups that it has."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    groups = set(groups_of(command))
    groups |= {inside for text in _texts(*groups) for inside in re.findall(r"- /(\w+)@", text)} - {"schema"}
    for place in schemas(*sorted(groups)) if groups else ():
        settings = settings_of(place)
        target = ["kind"] if settings.name in _KINDS else [] if settings.name in _NO_TARGET else ["_target_"]
        keys = settings.keys
        if settings.name == "PlanningSettings":  # a base that plans has its own
            keys = {name: _else_the_base_s(key) for name, key in keys.items()}
        store.store(group="schema", name=place, node=_node(settings.name, keys, target))
    own = {
        name: key
        for place, names in places_of(command).items()
        for name, key in settings_of(place).keys.items()
        if name not in ("name", *groups_of(command)) and (not names or name in names.split())
    }
    store.store(group="schema", name=command, node=_node(command, own, groups_of(command)))
    for group in filter(has_custom, groups):
        anything = OmegaConf.create({"_target_": MISSING}, flags={"struct": False})
        store.store(group=group, name=CUSTOM, node=anything)


def _else_the_base_s(key: Key) -> Key:
    usual = "" if key.default is None else f", or {key.default}"
    return replace(key, optional=True, default=None, about=f"{key.about}; null: that of the base{usual}")


def _node(name: str, keys: Mapping[str, Key], more: Any) -> Any:
    """Return a structured config with these keys, and names beside them; what may hold any settings is open."""
    from omegaconf import OmegaConf

    # Each gets a default of its own.
    fields = [(key.name, key.annotation, field(default_factory=partial(copy, key.default))) for key in keys.values()]
    made = make_dataclass(name, [*fields, *((other, Any, None) for other in more)], namespace={"keys_": keys})
    node = OmegaConf.structured(made)
    for key in keys.values():
        if key.kind is dict and not key.many and node[key.name] is not None:
            node[key.name]._set_flag("struct", False)
    return node
