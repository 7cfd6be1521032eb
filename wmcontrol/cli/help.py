"""The help texts of the command line."""

import shlex
import shutil
import textwrap
from collections.abc import Mapping

from .commands import COMMANDS
from .configs import choices_of, groups_of, is_global, keys_of
from .keys import MISSING, Key, settings_of

_INTRODUCTION = "Control with world models, and the environments to try it in."
_GENERAL = """\
options, before or after the keys, as in Hydra's manual (hydra.cc):
  -h, --help            show this help, or that of the command it is given with
  --version             show the version
  --cfg job             show the configuration and do nothing
  -m, --multirun        run every combination of values given with commas: seed=0,1,2
  -cd, --config-dir     a folder with YAML files of your own, as planner/mine.yaml for planner=mine
  -cn, --config-name    a YAML file of your own, which begins with defaults: [COMMAND, _self_]
  --hydra-help          show Hydra's own help

Tab completion in bash: eval "$(wmcontrol -sc install=bash)"; also zsh and fish.
Ctrl-C stops a command. When one fails, WMCONTROL_TRACEBACK=1 in the environment shows where.
"""

# Of keys that readers of data and other classes share.
_EXAMPLES = {
    "blur_weights": "[1,1,1,1]",
    "grids": "[[8,8],[4,4],[2,2],[1,1]]",
    "mean": "[0.5,0.5,0.5]",
    "model_name": "vit_base_patch14_reg4_dinov2.lvd142m",
    "revision": "main",
    "std": "[0.5,0.5,0.5]",
    "subfolder": "vae",
    "weights": "facebook/dinov2-with-registers-base",
    "agent": "{_target_:my_package.MyAgent}",
    "algorithm": "PPO",
    "camera": "observation.images.top",
    "control_rate": "50",
    "demonstrations": "{path:data/human}",
    "env_id": "wmcontrol/Wall-v0",
    "image_size": "64",
    "maze": "umaze",
    "path": "data/wall",
    "vecnormalize": "vecnormalize.pkl",
}


def general_help() -> str:
    """Return what ``wmcontrol --help`` says."""
    usage = "usage: wmcontrol COMMAND key=value ...\n       wmcontrol COMMAND --help"
    return "\n\n".join([usage, _INTRODUCTION, f"commands:\n{_table(COMMANDS)}", _GENERAL])


def command_help(command: str, chosen: Mapping[str, str]) -> str:
    """Return what ``wmcontrol COMMAND --help`` says: what the command does, its groups, and keys of what is chosen."""
    *about, example = settings_of(f"cli.commands.{command}.Config").about.split("\n\n")
    keys = keys_of(command, chosen)
    required = [f"{name}=… " for name, key in keys.items() if key.default == MISSING]
    parts = [f"usage: wmcontrol {command} {''.join(required)}key=value ...", *map(_wrapped, about)]
    groups = {group: chosen.get(group, default) for group, default in groups_of(command).items()}
    if groups:
        parts.append("\n".join(["groups:", *(_group(group, choice) for group, choice in groups.items())]))
    parts.append("\n".join(["keys:", *(_explained(name, key) for name, key in keys.items() if "." not in name)]))
    for group, choice in groups.items():
        # What follows from another key is nobody's to say.
        inside = [
            _explained(name, key)
            for name, key in keys.items()
            if name.startswith(f"{group}.") and key.about and not str(key.default).startswith("${")
        ]
        if inside:
            parts.append("\n".join([f"keys of {group}={choice}:", *inside]))
    parts.append(_wrapped(example))
    return "\n\n".join(parts) + "\n"


def _group(group: str, chosen: str) -> str:
    names = [f"{name} (default)" if name == chosen else name for name in choices_of(group)]
    told = "".join(f"\n{_wrapped(f'{name}: {about}', 8)}" for name, about in choices_of(group).items() if about)
    end = "; its keys stand alone, see below" if is_global(group) else ""
    return _wrapped(f"{group}={' | '.join(names)}{end}", 2) + told


def _table(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows))
    return "\n".join(f"  {name:<{width}}  {about}" for name, about in rows.items())


def _explained(name: str, key: Key) -> str:
    default = "must be given" if key.default == MISSING else f"default: {typed(key.default)}"
    facts = f"{key.expected}; {default}; for example {name}={shlex.quote(example_of(key))}"
    return "\n".join([f"  {name}", *([_wrapped(key.about, 6)] if key.about else []), _wrapped(facts, 6)])


def example_of(key: Key) -> str:
    """Return a value that one would type for a key."""
    example = key.example
    if not example and key.default in (MISSING, None):
        example = _EXAMPLES.get(key.name, "")
    if example:
        return f"[{example}]" if key.many and not example.startswith("[") else example
    return typed(key.default) if key.default not in (MISSING, None) else (key.choices or ("null",))[0]


def typed(value: object) -> str:
    """Return a value as one would type it."""
    if isinstance(value, list):
        return f"[{','.join(map(typed, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{name}:{typed(item)}' for name, item in value.items())}}}"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"{value:g}" if isinstance(value, float) else str(value)


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
