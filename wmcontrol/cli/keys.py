"""The keys that a dataclass or a function gives to the command line, read from its source.

Names, types, defaults and what the docstring's ``Args`` say of them are needed for help, for tab completion and to
check values; the modules that they stand in import torch, which takes a second, and are not imported for it.
"""

import ast
import builtins
import collections.abc
import inspect
import re
import typing
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Optional, Union, get_args, get_origin

PACKAGE = Path(__file__).resolve().parents[1]
MISSING = "???"  # as Hydra and OmegaConf mark a value that must be given
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word or path", dict: "{name:value}"}
_UNKNOWN = object()  # a default that is computed; a YAML file says it
# What annotations are made of; of what would have to be imported nothing is known.
_NAMES = defaultdict(lambda: Any, {**vars(typing), **vars(builtins), "Path": Path})
_Field = tuple[ast.expr | None, ast.expr | None]  # its type and its default


@dataclass(frozen=True)
class Key:
    """One key."""

    name: str  # as it is written on the command line
    kind: type  # int, float, bool, str or dict; object where it may be anything. Of a list, that of its elements
    many: bool = False  # whether it is a list
    optional: bool = False  # whether it may be null
    default: Any = MISSING  # its value when it is not given
    about: str = ""  # what it means
    example: str = ""  # a value that one would type; "" where the docstring has none
    choices: tuple[str, ...] = ()  # the words allowed; none where any is

    @property
    def annotation(self) -> Any:
        """Its type, as OmegaConf takes it."""
        one: Any = dict[str, Any] if self.kind is dict else Any if self.kind is object else self.kind
        whole = list[one] if self.many else one
        return Optional[whole] if self.optional and whole is not Any else whole  # noqa: UP045

    @property
    def expected(self) -> str:
        """What a value must be, in words."""
        one = f"one of {', '.join(self.choices)}" if self.choices else _WORDS.get(self.kind, "a value")
        words = f"a list of it, [A,B]: {one}" if self.many else one
        return f"{words}, or null" if self.optional else words


@dataclass(frozen=True)
class Settings:
    """What a dataclass or a function takes."""

    name: str
    about: str  # its docstring, without Args and what follows
    keys: Mapping[str, Key]


@cache
def settings_of(place: str) -> Settings:
    """Read what ``"planners.cem.CEM"`` takes: a dataclass's fields, or else the arguments it is called with.

    Fields of dataclasses that it inherits from count too, where they stand in the same file.
    """
    module, _, name = place.rpartition(".")
    known = _tree(PACKAGE / f"{module.replace('.', '/')}.py")
    fields, told = _fields(known, known[name])
    keys = {name: _key(name, kind, default, told.get(name, "")) for name, (kind, default) in fields.items()}
    return Settings(name, _docstring(known[name])[0], {name: key for name, key in keys.items() if key is not None})


@cache
def _tree(path: Path) -> dict[str, Any]:
    """Return the classes and functions of a file by name."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {node.name: node for node in body if isinstance(node, ast.ClassDef | ast.FunctionDef)}


def _fields(known: Mapping[str, Any], found: Any) -> tuple[dict[str, _Field], dict[str, str]]:
    """Return the arguments of a function or of a constructor, or a class's fields, and what is said of them."""
    told = _docstring(found)[1]
    if isinstance(found, ast.FunctionDef):
        given = found.args
        positional = [*given.posonlyargs, *given.args]
        defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
        every = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
        return {argument.arg: (argument.annotation, default) for argument, default in every}, told
    for node in found.body:
        if isinstance(node, ast.FunctionDef) and node.name == "__init__":
            fields, said = _fields(known, node)
            del fields["self"]
            return fields, {**told, **said}
    annotated = (node for node in found.body if isinstance(node, ast.AnnAssign))
    fields = {ast.unparse(node.target): (node.annotation, node.value) for node in annotated}
    for base in (known.get(ast.unparse(base)) for base in found.bases):
        if base is not None and base.decorator_list:  # a dataclass
            before, said = _fields(known, base)
            fields, told = {**before, **fields}, {**said, **told}
    return fields, told


def _key(name: str, annotation: ast.expr | None, value: ast.expr | None, told: str) -> Key | None:
    """Return a key; None of what no word can say."""
    default, hint = _default(value), Any
    with suppress(AttributeError, TypeError):  # it is made of what would have to be imported
        hint = eval(ast.unparse(annotation), {}, _NAMES) if annotation is not None else Any
    parts = set(get_args(hint)) if get_origin(hint) in (Union, UnionType) else {hint}
    optional = NoneType in parts or default is None
    parts -= {NoneType}
    kind, many, choices = object, False, ()
    if parts == {str, Path}:
        kind = str
    elif len(parts) == 1:  # anything of several kinds is what it is
        (part,) = parts
        origin, inside = get_origin(part) or part, get_args(part)
        if origin in (collections.abc.Callable, ClassVar):
            return None
        if origin is Literal and all(isinstance(choice, str) for choice in inside):
            kind, choices = str, inside
        elif origin in (list, tuple, collections.abc.Sequence):
            kinds = {*inside} - {...}
            kind, many = kinds.pop() if len(kinds) == 1 and kinds <= _WORDS.keys() else object, True
        elif origin in (dict, collections.abc.Mapping):
            kind = dict
        elif origin in _WORDS:
            kind = origin
        elif default != MISSING and type(default) in _WORDS and origin is not Literal:  # an alias, as of a Literal
            kind = type(default)
    if default is _UNKNOWN:
        default = {} if kind is dict else MISSING
    found = re.search(r"[.;,]? [Ff]or example (\S+?)\.?$", told)  # "... For example 10."
    about, example = (told[: found.start()], found[1]) if found else (told.rstrip("."), "")
    about = re.sub(r"\bNone\b", "null", about)  # as one types it on a command line
    return Key(name, kind, many, optional, default, about, example, choices)


def _default(value: ast.expr | None) -> Any:
    """Return a default that is written out; MISSING where there is none, _UNKNOWN where only running the code tells."""

    def field(default: Any = None, default_factory: Any = None, **_: Any) -> Any:
        return default_factory() if default_factory else default

    if isinstance(value, ast.Call) and ast.unparse(value.func) in ("whole", "number", "choice", "boolean"):
        value = value.args[0] if value.args else None  # a field that wmcontrol.checks makes
    names = {"__builtins__": {}, "MISSING": MISSING, "dict": dict, "list": list, "field": field}
    try:
        found = eval(ast.unparse(value), names) if value is not None else MISSING
    except Exception:
        return _UNKNOWN
    return list(found) if isinstance(found, tuple) else found


def _docstring(node: ast.ClassDef | ast.FunctionDef) -> tuple[str, dict[str, str]]:
    """Return what a docstring says before its first section, and of each of its ``Args`` or ``Attributes``."""
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    about, *sections = re.split(r"\n\n(?=(?:Args|Attributes|Raises|Returns):\n)", text)
    told: dict[str, str] = {}
    for section in sections:
        if not section.startswith(("Args:", "Attributes:")):
            continue
        for names, said in re.findall(r"^ {4}(\w[\w, ]*): (.*(?:\n {5,}.*)*)", section, re.MULTILINE):
            for name in names.split(", "):
                told[name] = _plain(said)
    return _plain(about, keep_paragraphs=True), told


def _plain(text: str, keep_paragraphs: bool = False) -> str:
    """Return text of a docstring without its markup."""
    text = re.sub(r":\w+:`~?([^`]*)`", lambda match: match[1].rsplit(".", 1)[-1], text).replace("``", "")
    return (
        "\n\n".join(" ".join(part.split()) for part in text.split("\n\n"))
        if keep_paragraphs
        else " ".join(text.split())
    )
