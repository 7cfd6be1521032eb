"""The structured configs that Hydra checks values against, made of the library's own settings classes."""

from copy import copy
from dataclasses import dataclass, field, make_dataclass
from functools import partial
from typing import Any

from .commands import COMMANDS
from .groups import CONF, CUSTOM, groups_of, has_custom, own_keys, schemas
from .keys import MISSING, Key, settings_of

_NO_TARGET = ("Env", "Kind", "PlanningSettings", "SavedObjective")


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
        id: its Gymnasium id; a module before it, as my_package:Mine-v0, is imported first. For example
            wmcontrol/Wall-v0.
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


def register() -> None:
    """Tell Hydra's ConfigStore all of them."""
    from hydra.core.config_store import ConfigStore
    from omegaconf import OmegaConf

    store = ConfigStore.instance()
    for place in schemas():
        settings = settings_of(place)
        target = [Key("_target_", str)] if settings.name not in _NO_TARGET else []
        store.store(group="schema", name=place, node=_node(settings.name, [*settings.keys.values(), *target]))
    for command in COMMANDS:
        groups = [Key(group, object, default=None) for group in groups_of(command)]
        store.store(group="schema", name=command, node=_node(command, [*own_keys(command).values(), *groups]))
    for group in (path.name for path in CONF.iterdir() if path.is_dir()):
        if has_custom(group):
            anything = OmegaConf.create({"_target_": MISSING}, flags={"struct": False})
            store.store(group=group, name=CUSTOM, node=anything)


def _node(name: str, keys: list[Key]) -> Any:
    """Return a structured config with these keys; what may hold any settings is open to new ones."""
    from omegaconf import OmegaConf

    fields = [
        (key.name, key.annotation, field(default_factory=partial(copy, key.default)))  # one of its own for each
        for key in keys
    ]
    node = OmegaConf.structured(make_dataclass(name, fields))
    for key in keys:
        if key.kind is dict and not key.many and node[key.name] is not None:
            node[key.name]._set_flag("struct", False)
    return node
