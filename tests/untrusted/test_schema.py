"""JSON by a declared schema: what fits comes back, what does not is named by file, field and value."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from wmcontrol.untrusted import (
    AnyJson,
    Boolean,
    Choice,
    Integer,
    ListOf,
    MapOf,
    Nullable,
    Number,
    Record,
    Schema,
    Text,
    parse_json,
    read_json,
)

SCHEMA = Record({"name": Text(), "sizes": ListOf(Integer(low=1), 1, 3)}, {"on": Boolean(), "share": Number(0, 1)})
GOOD = {"name": "a", "sizes": [1, 2], "on": False, "share": 0.5}


def test_what_fits_comes_back_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GOOD))
    assert read_json(tmp_path / "a.json", SCHEMA) == GOOD


@pytest.mark.parametrize(
    ("change", "field", "got"),
    [
        ({"name": 3}, "name", "a whole number 3"),
        ({"name": "\ud800"}, "name", "whole characters"),
        ({"sizes": []}, "sizes", "1 to 3 entries"),
        ({"sizes": [1, 1, 1, 1]}, "sizes", "1 to 3 entries"),
        ({"sizes": [1, 0]}, "sizes[1]", "from 1, got a whole number 0"),
        ({"sizes": [True]}, "sizes[0]", "a boolean True"),
        ({"sizes": [10**400]}, "sizes[0]", "a whole number"),
        ({"on": "false"}, "on", "true or false, got a text 'false'"),
        ({"on": 0}, "on", "true or false, got a whole number 0"),
        ({"share": math.nan}, "share", "finite number"),
        ({"share": math.inf}, "share", "finite number"),
        ({"share": 1.5}, "share", "up to 1, got a number 1.5"),
        ({"share": "0.5"}, "share", "a text '0.5'"),
        ({"share": None}, "share", "got null"),
        ({"colour": 1}, "", "unknown fields ['colour']"),
    ],
)
def test_what_does_not_fit_is_named_with_what_came(
    change: dict[str, Any], field: str, got: str, tmp_path: Path
) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(GOOD | change))
    with pytest.raises(ValueError) as caught:
        read_json(path, SCHEMA, fix="write it again")
    message = str(caught.value)
    assert message.startswith(f"{path}: {field}")
    assert got in message
    assert message.endswith("; write it again")


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        (Number(above=0), [1, 0.1, 1e308], [0, -1, math.nan, True, 10**309]),
        (Number(infinite=True), [math.inf, -math.inf, 3], [math.nan]),
        (Integer(), [-5, 2**62], [2**63, 1.0, None, False]),
        (Choice("a", "b"), ["a"], ["c", 1, ["a"]]),
        (Nullable(Integer()), [None, 1], ["x"]),
        (MapOf(Number()), [{}, {"a": 1}], [[], {"a": "x"}]),
        (AnyJson(), [[{"a": [1, None, "x", True, math.inf]}]], [[math.nan], {"a": {"b": math.nan}}]),
    ],
)
def test_each_kind_takes_its_values_and_no_others(schema: Schema, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert parse_json(json.dumps(value), schema, "it") == value
    for value in bad:
        with pytest.raises(ValueError, match=r"^it: "):
            parse_json(json.dumps(value), schema, "it")


@pytest.mark.parametrize("depth", [65, 500, 3_000, 1_000_000])
@pytest.mark.parametrize("brackets", [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_deep_is_refused(depth: int, brackets: tuple[str, str]) -> None:
    text = brackets[0] * depth + "1" + brackets[1] * depth
    with pytest.raises(ValueError, match="64"):
        parse_json(text, AnyJson(), "it")


@pytest.mark.parametrize("depth", [100, 100_000])
def test_what_is_nested_deep_is_named_by_its_field(depth: int) -> None:
    text = '{"a": {"c": ["}"]}, "the \\"b\\"": [' + "[" * depth + "]" * depth + '], "d": 1}'
    with pytest.raises(ValueError, match=r'^it: the \\?"b'):
        parse_json(text, AnyJson(), "it")


@pytest.mark.parametrize("text", [b"", b"{", b"\xff\xfe", b'{"a": 1', b"1" * 5000])
def test_what_is_no_json_is_named(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it: "):
        parse_json(text, AnyJson(), "it")


def test_of_a_long_file_no_more_is_read_than_is_allowed(tmp_path: Path) -> None:
    with (tmp_path / "long").open("wb") as file:
        file.truncate(2**40)  # takes no room on disk
    with pytest.raises(ValueError, match="1,000 bytes"):
        read_json(tmp_path / "long", AnyJson(), max_bytes=1000)
