"""Keys that are read from source are those that the classes and functions really have."""

import dataclasses
import inspect
import typing
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from hydra.utils import get_method
from omegaconf import OmegaConf

from wmcontrol import ENV_IDS
from wmcontrol.cli.commands import COMMANDS
from wmcontrol.cli.configs import CONF, CUSTOM, choices_of, groups_of, keys_of, places_of, schemas
from wmcontrol.cli.help import example_of
from wmcontrol.cli.keys import MISSING, Key, settings_of
from wmcontrol.cli.main import main

PLACES = sorted({*schemas(), *(place for command in COMMANDS for place in places_of(command))})


def thing(place: str) -> Any:
    module, _, name = place.rpartition(".")
    return getattr(import_module(f"wmcontrol.{module}"), name)


def really(found: Any) -> dict[str, Any]:
    """Return the defaults of what a class or function takes, by name."""
    if dataclasses.is_dataclass(found):
        return {field.name: _default(field) for field in dataclasses.fields(found) if field.init}
    return {name: parameter.default for name, parameter in inspect.signature(found).parameters.items()}


def _default(field: "dataclasses.Field[Any]") -> Any:
    factory: Any = field.default_factory
    return factory() if factory is not dataclasses.MISSING else field.default


@pytest.mark.parametrize("place", PLACES)
def test_names_and_defaults_are_the_real_ones(place: str) -> None:
    real, read = really(thing(place)), settings_of(place).keys
    assert set(read) <= set(real)
    own = getattr(thing(place), "__annotations__", real)
    # What no word can say, as it is a function, or what is of a class before this one.
    assert all(callable(real[name]) or "Callable" in str(own[name]) for name in set(real) - set(read) if name in own)
    for name, key in read.items():
        default = real[name]
        if key.default == MISSING:
            given = dataclasses.is_dataclass(default)  # made anew for each: a YAML file says it
            assert given or default in (inspect.Parameter.empty, dataclasses.MISSING, MISSING)
        elif key.kind is dict:
            assert (default and dict(default)) == key.default
        elif not dataclasses.is_dataclass(default):
            assert (list(default) if isinstance(default, tuple) else default) == key.default


@pytest.mark.parametrize("place", PLACES)
def test_types_are_the_real_ones(place: str) -> None:
    found = thing(place)
    hints = typing.get_type_hints(
        found if dataclasses.is_dataclass(found) or not isinstance(found, type) else found.__init__
    )
    for name, key in settings_of(place).keys.items():
        hint = hints[name]
        if hint in (int, float, bool, str):
            assert (key.kind, key.many, key.optional) == (hint, False, False), name
        elif typing.get_origin(hint) is typing.Literal:
            assert key.choices == typing.get_args(hint) or not key.choices
        elif hint is not Any:
            assert key.optional == (type(None) in typing.get_args(hint)), name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_key_of_a_command_is_explained_with_an_example_that_is_accepted(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # All examples in one line, with the defaults, and then with the first choices of all groups, the second ones, …
    groups = {group: [choice for choice in choices_of(group) if choice != CUSTOM] for group in groups_of(command)}
    rounds = zip_longest(*([(group, choice) for choice in choices] for group, choices in groups.items()))
    for chosen in [{}, *(dict(filter(None, choices)) for choices in rounds)]:
        examples = []
        for name, key in keys_of(command, chosen).items():
            if str(key.default).startswith("${") or name == "agent.kind":
                continue
            assert key.about, name
            example = example_of(key)
            assert example != "null", name
            examples.append(f"{name}={example}")
        choices = [f"{group}={choice}" for group, choice in chosen.items()]
        assert main([*command.split(), *choices, *examples, "--cfg", "job"]) == 0, capsys.readouterr().err


def test_defaults_of_yaml_files_replace_those_of_the_class() -> None:
    assert keys_of("evaluate", {"planner": "cem"})["planner.std"].default == 2.0
    assert keys_of("collect")["num_episodes"].default == 2000


def test_every_environment_has_a_short_name() -> None:
    named = [OmegaConf.load(path).get("id") for path in CONF.glob("env/*.yaml")]
    assert sorted(filter(None, named)) == sorted(ENV_IDS)


@pytest.mark.parametrize("path", sorted(CONF.glob("*/*.yaml")), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_what_a_choice_names_can_be_imported(path: Path) -> None:
    target = OmegaConf.load(path).get("_target_")
    if target is not None:
        assert callable(get_method(target))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("number: int = 3", Key("number", int, default=3)),
        ("number: float | None = None", Key("number", float, optional=True, default=None)),
        ("names: list[str] | None = None", Key("names", str, many=True, optional=True, default=None)),
        ("pair: tuple[float, float] = (0.5, 1 / 4)", Key("pair", float, many=True, default=[0.5, 0.25])),
        ("word: Literal['a', 'b'] = 'a'", Key("word", str, default="a", choices=("a", "b"))),
        ("path: str | Path", Key("path", str)),
        ("mixed: Literal['a'] | float = 'a'", Key("mixed", object, default="a")),
        ("more: dict[str, Any] = field(default_factory=dict)", Key("more", dict, default={})),
        ("alias: Optimizer = 'adam'", Key("alias", str, default="adam")),
        ("call: Callable[[int], int] = print", None),
    ],
)
def test_fields_are_read_as_they_are_written(
    source: str, expected: Key | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmcontrol.cli.keys.PACKAGE", tmp_path)
    (tmp_path / "made.py").write_text(f"class Made_{abs(hash(source))}:\n    {source}\n")
    keys = settings_of(f"made.Made_{abs(hash(source))}").keys
    assert list(keys.values()) == ([] if expected is None else [expected])


def test_docstrings_give_meanings_and_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wmcontrol.cli.keys.PACKAGE", tmp_path)
    lines = (
        "class Told:",
        '    """What it is.',
        "",
        "    More.",
        "",
        "    Args:",
        "        a: of :class:`~x.Y`,",
        "            ``told``. For example 3.",
        "        b, c: both; for example",
        "            4.",
        '    """',
        "",
        "    a: int",
        "    b: int",
        "    c: int",
    )
    (tmp_path / "told.py").write_text("\n".join(lines))
    told = settings_of("told.Told")
    assert told.about == "What it is.\n\nMore."
    found = [(key.about, key.example) for key in told.keys.values()]
    assert found == [("of Y, told", "3"), ("both", "4"), ("both", "4")]
