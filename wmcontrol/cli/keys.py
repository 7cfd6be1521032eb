"""The keys that a dataclass or a function gives to the command line, read from its source.

Names, types, defaults and what the docstring's ``Args`` say of them are needed for help, for tab completion and to
check values; the modules that they stand in import torch, which takes a second, and are not imported for it.
"""

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Optional

PACKAGE = Path(__file__).resolve().parents[1]
MISSING = "???"  # as Hydra and OmegaConf mark a value that must be given
_PLAIN: Mapping[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word or path", dict: "{name:value}"}
_UNKNOWN = object()  # a default that is computed; a YAML file says it
_Field = tuple[ast.expr | None, ast.expr | None]  # its type and its default
_LISTS = ("list", "tuple", "Sequence")


@dataclass(frozen=True)
class Key:
    """One key.

    Attributes:
        name: as it is written on the command line.
        kind: int, float, bool, str or dict; object where it may be anything. Of a list, that of its elements.
        many: whether it is a list.
        optional: whether it may be null.
        default: its value when it is not given.
        about: what it means.
        example: a value that one would type; "" where the docstring has none.
        choices: the words allowed; none where any is.
    """

    name: str
    kind: type
    many: bool = False
    optional: bool = False
    default: Any = MISSING
    about: str = ""
    example: str = ""
    choices: tuple[str, ...] = ()

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
    """What a dataclass or a function takes.

    Attributes:
        name: of the class or function.
        about: its docstring, without ``Args`` and what follows.
        keys: by name.
    """

    name: str
    about: str
    keys: Mapping[str, Key]


@cache
def settings_of(place: str) -> Settings:
    """Read what ``"planners/cem.py:CEM"`` takes: a dataclass's fields, or else the arguments it is called with.

    Fields of dataclasses that it inherits from count too, where they stand in the same file.
    """
    file, _, name = place.partition(":")
    tree = ast.parse((PACKAGE / file).read_text(encoding="utf-8"))
    found = next(node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name)
    fields, told = (
        _of_class(tree, found) if isinstance(found, ast.ClassDef) else (_arguments(found), _docstring(found)[1])
    )
    keys = {name: _key(name, kind, default, told.get(name, "")) for name, (kind, default) in fields.items()}
    return Settings(name, _docstring(found)[0], {name: key for name, key in keys.items() if key is not None})


def _of_class(tree: ast.Module, found: ast.ClassDef) -> tuple[dict[str, _Field], dict[str, str]]:
    """Return a class's fields, or what its constructor takes, and what is said of them."""
    told = _docstring(found)[1]
    init = next((node for node in found.body if isinstance(node, ast.FunctionDef) and node.name == "__init__"), None)
    if init is not None:
        fields = _arguments(init)
        del fields["self"]
        return fields, {**told, **_docstring(init)[1]}
    fields = {
        node.target.id: (node.annotation, node.value)
        for node in found.body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    }
    bases = {ast.unparse(base) for base in found.bases}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and node.name in bases and node.decorator_list:  # a dataclass
            before, said = _of_class(tree, node)
            fields, told = {**before, **fields}, {**said, **told}
    return fields, told


def _arguments(function: ast.FunctionDef) -> dict[str, _Field]:
    given = function.args
    positional = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(given.defaults)) + list(given.defaults)
    every = [*zip(positional, defaults, strict=True), *zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    return {argument.arg: (argument.annotation, default) for argument, default in every}


def _key(name: str, annotation: ast.expr | None, value: ast.expr | None, told: str) -> Key | None:
    default = _default(value)
    parts = _alternatives(annotation)
    optional = any(isinstance(part, ast.Constant) and part.value is None for part in parts)
    optional = optional or default is None
    parts = [part for part in parts if not (isinstance(part, ast.Constant) and part.value is None)]
    kind, many, choices = _kind(parts, default)
    if default is _UNKNOWN:
        default = {} if kind is dict else MISSING
    if kind is None:
        return None
    about, example = _with_example(told)
    return Key(name, kind, many, optional, default, about, example, choices)


def _alternatives(annotation: ast.expr | None) -> list[ast.expr]:
    if isinstance(annotation, ast.BinOp):
        return [*_alternatives(annotation.left), *_alternatives(annotation.right)]
    return [] if annotation is None else [annotation]


def _kind(parts: list[ast.expr], default: Any) -> tuple[type | None, bool, tuple[str, ...]]:
    """Return the type, whether it is a list of it, and the choices; None as the type of what no word can say."""
    names = [ast.unparse(part) for part in parts]
    if any(name.startswith(("Callable", "ClassVar")) for name in names):
        return None, False, ()
    if len(parts) > 1:  # a path may be a word; anything else of several kinds is what it is
        return (str if set(names) == {"str", "Path"} else object), False, ()
    part, name = parts[0], names[0]
    if isinstance(part, ast.Subscript):
        outer = ast.unparse(part.value)
        if outer == "Literal":
            choices = ast.literal_eval(f"[{ast.unparse(part.slice).strip('()')}]")
            return (str, False, tuple(choices)) if all(isinstance(one, str) for one in choices) else (object, False, ())
        if outer in _LISTS:
            inner = {each for each in ast.unparse(part.slice).strip("()").split(", ") if each != "..."}
            return _PLAIN.get(inner.pop(), object) if len(inner) == 1 else object, True, ()
        return (dict if outer in ("dict", "Mapping") else object), False, ()
    if name in _PLAIN:
        return _PLAIN[name], False, ()
    # An alias, such as that of a Literal: what its default is.
    return (type(default) if default != MISSING and type(default) in _PLAIN.values() else object), False, ()


def _default(value: ast.expr | None) -> Any:
    """Return a default that is written out; MISSING where there is none, _UNKNOWN where only running the code tells."""
    if isinstance(value, ast.Call) and ast.unparse(value.func) == "field":
        given = {keyword.arg: keyword.value for keyword in value.keywords}
        if ast.unparse(given.get("default_factory", ast.Constant(None))) in ("dict", "list"):
            return {} if ast.unparse(given["default_factory"]) == "dict" else []
        value = given.get("default") or getattr(given.get("default_factory"), "body", None)
    if isinstance(value, ast.Name) and value.id == "MISSING":
        return MISSING
    try:
        found = ast.literal_eval(value) if value is not None else MISSING
    except ValueError:
        try:  # a fraction, such as 1 / 16
            found = eval(ast.unparse(value), {"__builtins__": {}}) if value is not None else MISSING
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


def _with_example(told: str) -> tuple[str, str]:
    """Take the example off the end of what is said of a key: "... For example 10."."""
    found = re.search(r"[.;,]? [Ff]or example (\S+?)\.?$", told)
    return (told[: found.start()], found[1]) if found else (told.rstrip("."), "")
