"""The console script ``wmcontrol COMMAND key=value …``: Hydra, with errors in one line and help that explains.

What a command needs is imported when it runs, so that help comes at once.
"""

import math
import os
import re
import sys
import traceback
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import takewhile
from typing import Any, NoReturn

from .. import __version__
from .commands import COMMANDS
from .configs import choices_of, groups_of, has_custom, keys_in, keys_of, register
from .errors import CUSTOM, UsageError, did_you_mean, explain, shortened
from .help import command_help, example_of, general_help
from .keys import MISSING, Key

# What a command raises where something outside of it is wrong: a value, a file, a package that is not installed.
_ORDINARY = (ValueError, TypeError, OSError, ImportError)
_FULL_ERROR = "HYDRA_FULL_ERROR"
_MOST = 10_000  # combinations of a sweep; more are a slip of the hand
_SHARING = ("compare", "encode")  # commands that make folders of their own in out
_codes: list[int] | None = None  # of the runs in this process, while it runs a command line


class RunFailedError(Exception):
    """A run in a process of a launcher has failed, and has said why."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code.

    0: done; 1: a command failed; 2: a mistake of the user's; 130: interrupted. All but the first say why in one line,
    which ``WMCONTROL_TRACEBACK=1`` in the environment precedes with a traceback.
    """
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    except UsageError as error:
        return _told("wmcontrol", error)
    except KeyboardInterrupt:
        print("wmcontrol: interrupted; the same line goes on from what was saved", file=sys.stderr)
        return 130


def _main(words: list[str]) -> int:
    if words == ["--version"]:
        print(f"wmcontrol {__version__}")
        return 0
    if words and words[0] in ("-sc", "--shell-completion"):
        return _complete(words)
    asks_help = any(word in ("-h", "--help") for word in words)
    words = [word for word in words if word not in ("-h", "--help")]
    if not words and asks_help:
        print(general_help(), end="")
        return 0
    name, words = _command(words)
    if asks_help:
        print(command_help(name, _chosen(name, words)), end="")
        return 0
    return _run(name, words)


def _command(words: list[str]) -> tuple[str, list[str]]:
    """Split the name of a command from what follows."""
    if not words:
        raise UsageError("say which command to run; wmcontrol --help lists them")
    first, *rest = words
    if first.startswith("-"):
        raise UsageError(f"unknown option {shortened(first)!r}; say the command first; wmcontrol --help lists them")
    if first not in COMMANDS:
        raise did_you_mean("command", first, COMMANDS)
    return first, rest


def _chosen(command: str, words: Sequence[str]) -> dict[str, str]:
    """Return what the words choose of the command's config groups."""
    pairs = (word.lstrip("+").partition("=") for word in words)
    return {name: choice for name, _, choice in pairs if name in groups_of(command)}


def _run(command: str, words: list[str]) -> int:
    """Let Hydra make the configuration, or those of a sweep, and run the command with it."""
    global _codes
    _codes = []
    try:
        words = _prepared(command, words)
        _hydra(command, words)
    except (UsageError, RunFailedError) as error:
        return _told(f"wmcontrol {command}", error)
    finally:
        codes, _codes = _codes, None
    if len(codes) > 1 and any(codes):
        print(f"wmcontrol {command}: {sum(map(bool, codes))} of {len(codes)} combinations failed", file=sys.stderr)
    return max(codes, default=0)


def _hydra(command: str, words: list[str]) -> None:
    """Hand the words to Hydra.

    Raises:
        UsageError: no configuration can be made of them.
    """
    import hydra
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    register(command)
    job = hydra.main(version_base="1.3", config_path="pkg://wmcontrol.cli.conf", config_name=command)(run_configured)
    argv, full = sys.argv, os.environ.get(_FULL_ERROR)
    sys.argv, os.environ[_FULL_ERROR] = ["wmcontrol", *words], "1"  # Hydra reads these, and raises its errors
    try:
        job()
    except SystemExit as error:
        if error.code:
            raise UsageError("Hydra cannot take these options; wmcontrol --hydra-help lists them") from error
    except RecursionError as error:
        deepest = max(words, key=lambda word: word.count("[") + word.count("{"))
        raise UsageError(f"{deepest.partition('=')[0]}: it is nested too deep") from error
    except (HydraException, OmegaConfBaseException, *_ORDINARY) as error:
        groups = {group: tuple(choices_of(group)) for group in groups_of(command)}
        chosen = _chosen(command, words)

        def having(group: str, name: str) -> list[str]:
            return [choice for choice in groups[group] if name in keys_of(command, {**chosen, group: choice})]

        raise explain(error, keys_of(command, chosen), groups, having) from error
    finally:
        sys.argv = argv
        os.environ.pop(_FULL_ERROR)
        if full is not None:
            os.environ[_FULL_ERROR] = full


def run_configured(config: Any) -> None:
    """Run a command with a configuration; Hydra's launchers call this, here or in processes of their own."""
    from hydra.core.hydra_config import HydraConfig
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    about = HydraConfig.get()
    name = about.job.name
    swept = about.mode is not None and about.mode.name == "MULTIRUN"
    words: Any = OmegaConf.to_container(about.overrides.task)
    command = " ".join(["wmcontrol", name, *(words if swept else ())])
    if swept:
        print(f"[{about.job.num + 1}] {command}", file=sys.stderr)
    keys = keys_in(config)
    code = 0
    try:
        _check_complete(config, keys)
        OmegaConf.to_container(config, resolve=True)  # its errors name the key
        OmegaConf.resolve(config)
        _go_home(config)
        _check_choices(config, keys)
        for module in config.imports:
            _import(module)
        import_module(f".commands.{name}", __package__).run(config)
    except OmegaConfBaseException as error:
        code = _told(command, explain(error, keys, {}))
    except (UsageError, *_ORDINARY) as error:
        code = _told(command, error)
    if _codes is not None:
        _codes.append(code)
    elif code:
        raise RunFailedError("a combination failed, which said why in the process that ran it")


def _import(module: str) -> None:
    try:
        import_module(module)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does
        raise UsageError(f"imports: {module} cannot be imported: {type(error).__name__}: {error}") from error


def _check_complete(config: Any, keys: Mapping[str, Key]) -> None:
    from omegaconf import OmegaConf

    from ..runs import flattened

    values: Any = OmegaConf.to_container(config)
    for name in (name for name, value in flattened(values).items() if value == MISSING):
        key = keys.get(name)
        about = f": {key.about}; for example {name}={example_of(key)}" if key else ""
        group = name.partition(".")[0]
        choose = f"; or choose {group}={'|'.join(choices_of(group))}" if "." in name else ""
        raise UsageError(f"{name}=… is missing{about}{choose}")


def _go_home(node: Any) -> None:
    """Replace ~ at the beginning of a value by the user's home; it is a name where there is no such user."""
    from omegaconf import OmegaConf

    for place in range(len(node)) if OmegaConf.is_list(node) else list(node):
        value = node[place]
        if OmegaConf.is_config(value):
            _go_home(value)
        elif isinstance(value, str) and value.startswith("~"):
            node[place] = os.path.expanduser(value)


def _check_choices(config: Any, keys: Mapping[str, Key]) -> None:
    from omegaconf import OmegaConf

    for name, key in keys.items():
        value = OmegaConf.select(config, name) if key.choices else None
        if value is not None and value not in key.choices:
            raise UsageError(f"{name}: expected {key.expected}; got {shortened(str(value))}")


def _prepared(command: str, words: list[str]) -> list[str]:
    """Return the words as Hydra takes them.

    A word or path that Hydra's grammar would read as a number, or not at all, is quoted where its key takes a word; and
    a ``_target_`` of the user's own brings its group's open choice with it, to which any keys may be added.

    Raises:
        UsageError: an option that there is not, or a sweep over nothing or too much.
    """
    words = [_own_env(word) for word in _Options().split(command, words)]
    for word in words:
        if word.startswith("=") or not word:
            raise UsageError(f"expected key=value, got {shortened(word)!r}")
    chosen = _chosen(command, words)
    for group, choice in chosen.items():
        if choice in ("", "null"):
            raise UsageError(f"{group}: choose one of {', '.join(choices_of(group))}")
    targets = [
        name.removesuffix("._target_") for name in (word.partition("=")[0] for word in words) if "._target_" in name
    ]
    own = [f"{group}={CUSTOM}" for group in targets if group in groups_of(command) and group not in chosen]
    own = [word for word in own if has_custom(word.partition("=")[0])]
    of_module = any(word.startswith(("env.id=", "envs=")) and ":" in word for word in words)
    if targets or of_module or "--config-dir" in words or any(word.startswith("imports=") for word in words):
        # A user's own module lies in the folder that the command is run in, unless it is installed.
        sys.path += [] if os.getcwd() in sys.path else [os.getcwd()]
    _check_sweep(command, words)
    keys = keys_of(command, _chosen(command, [*own, *words]))
    return [*own, *(_quoted(word, keys) for word in words)]


def _own_env(word: str) -> str:
    """Return env._target_=my_package.make_env as the id that it stands for, which data and models are told too."""
    name, _, value = word.partition("=")
    return re.sub(r"\.(\w+)(?=,|$)", r":\1", f"env.id={value}") if name == "env._target_" else word


class _Options(ArgumentParser):
    """Hydra's options, to say in one line what is wrong with them."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False)
        self.add_argument("--cfg", "-c", choices=("job", "hydra", "all"))
        self.add_argument(
            "--info", "-i", choices=("all", "config", "defaults", "defaults-tree", "plugins", "searchpath")
        )
        for names in ("--package -p", "--config-dir -cd", "--config-name -cn", "--config-path -cp"):
            self.add_argument(*names.split())
        self.add_argument("--experimental-rerun")
        for names in ("--run -r", "--multirun -m", "--resolve", "--hydra-help"):
            self.add_argument(*names.split(), action="store_true")

    def error(self, message: str) -> NoReturn:
        raise UsageError(shortened(message, most=300))

    def split(self, command: str, words: list[str]) -> list[str]:
        """Return the words with the options last, as Hydra reads them; others than Hydra's are refused."""
        given, rest = self.parse_known_args(words)
        for word in rest:
            if word.startswith("-"):
                bare = word.partition("=")[0].lstrip("-").replace("-", "_")
                told = f"write {bare}=VALUE" if bare in keys_of(command) else "settings are written key=value"
                raise UsageError(f"unknown option {shortened(word)!r}; {told}")
        for name, value in vars(given).items():
            if value:
                rest += [f"--{name.replace('_', '-')}", *([] if value is True else [value])]
        return rest


def _quoted(word: str, keys: Mapping[str, Key]) -> str:
    name, equals, value = word.partition("=")
    key = keys.get(name.lstrip("+"))
    plain = not set(value) & set(",'\"[]{}()$\\\n") and value not in ("", "null")
    if not equals or key is None or not plain:
        return word
    words = f'"{value}"' if key.kind is str or key.name == "path" else value
    return f"{name}=[{words}]" if key.many else f"{name}={words}"


def _check_sweep(command: str, words: Sequence[str]) -> None:
    """Refuse a sweep over nothing, over more than anyone waits for, or into one folder, before anything is run."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.core.override_parser.types import ChoiceSweep, RangeSweep
    from hydra.errors import HydraException

    if "--multirun" not in words:
        return
    try:
        overrides = OverridesParser.create().parse_overrides(list(takewhile(lambda word: word[0] != "-", words)))
    except (HydraException, RecursionError):
        return  # for Hydra to say
    swept = [override for override in overrides if override.is_sweep_override()]
    total = 1.0
    for override in swept:
        value = override.value()
        if isinstance(value, RangeSweep):
            count = (float(value.stop or 0) - float(value.start or 0)) / value.step if value.step else math.inf
            if not math.isfinite(count):
                raise UsageError(f"cannot sweep: {shortened(str(override.input_line))} has no end")
            if count <= 0:
                raise UsageError(f"cannot sweep: {shortened(str(override.input_line))} has no value")
            total *= math.ceil(count)
        elif isinstance(value, ChoiceSweep):
            total *= len(value.list)
    if total > _MOST:
        raise UsageError(f"cannot sweep: there are {total:g} combinations, at most {_MOST} are run")
    out = next((word for word in reversed(words) if word.startswith("out=")), "out=null")
    names = [] if command in _SHARING else [override.key_or_group for override in swept]
    if names and "out" not in names and out != "out=null" and "${" not in out:
        place = ".".join(f"${{{name}}}" for name in names)
        raise UsageError(f"cannot sweep: all combinations would save in {out}; write {out}/{place}, in quotes")


def _complete(words: list[str]) -> int:
    """Print a script for tab completion, or what could stand where the cursor is (``COMP_LINE``)."""
    typed = os.environ.get("COMP_LINE", "").split(" ")
    names = sorted(COMMANDS)
    if words[1:2] and words[1].startswith("query=") and (len(typed) < 3 or typed[1] not in COMMANDS):
        print(" ".join(names))
        return 0
    name, rest = _command(typed[1:]) if len(typed) > 2 else (names[0], [])
    os.environ["COMP_LINE"] = " ".join([typed[0], *rest])
    _hydra(name, words)
    return 0


def _told(command: str, error: BaseException) -> int:
    """Tell in one line what went wrong, and return the exit code."""
    from ..runs import OtherRunError

    if os.environ.get("WMCONTROL_TRACEBACK", "0") not in ("", "0"):
        traceback.print_exception(error)
    said = " ".join(str(error).split()) or type(error).__name__
    print(f"{command}: {said}", file=sys.stderr)
    return 2 if isinstance(error, UsageError | OtherRunError) else 1
