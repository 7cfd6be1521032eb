"""What key=value words mean: Hydra's grammar and sweeps, our types."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from naming import naming

from wmcontrol.experiments.errors import UsageError
from wmcontrol.experiments.keys import key
from wmcontrol.experiments.overrides import read_overrides


@dataclass
class Config:
    env: list[str] = key("where", default=["wall"], example="wall", choices=("wall", "pusht"))
    seed: int = key("which", default=0, at_least=0, example="1")
    rate: float | None = key("how fast", default=None, over=0, example="0.5")
    loud: bool = key("cheer", default=False, example="true")
    name: str = key("what", default="x", example="y")
    out: Path | None = key("where to", default=None, example="results")
    data: list[Path] = key("what from", default=[], example="a,b")
    settings: dict[str, Any] = key("more", default={"size": 64}, example="{size:96}")
    steps: list[int] = key("some numbers", default=[], at_least=1, example="1,2")

    def __post_init__(self) -> None:
        if self.loud and self.seed == 13:
            raise ValueError("seed=13 is never loud")


def one(*words: str) -> Config:
    (combination,) = read_overrides(Config, words)
    config = combination.config
    assert isinstance(config, Config)
    return config


@pytest.mark.parametrize(
    ("word", "name", "value"),
    [
        ("env=pusht", "env", ["pusht"]),
        ("env=wall,pusht", "env", ["wall", "pusht"]),
        ("env=[wall,pusht]", "env", ["wall", "pusht"]),
        ("env=[]", "env", []),
        ("steps=1,2", "steps", [1, 2]),
        ("rate=2", "rate", 2.0),
        ("rate=1e-3", "rate", 0.001),
        ("rate=null", "rate", None),
        ("loud=true", "loud", True),
        ("loud=False", "loud", False),
        ("name=12", "name", "12"),
        ("name='a, b'", "name", "a, b"),
        ("name=", "name", ""),
        ("name=run_${seed}", "name", "run_0"),
        ("out=a/b", "out", Path("a/b")),
        ("out=a/${seed}", "out", Path("a/0")),
        ("out=a=b", "out", Path("a=b")),
        ("out=données/(1)", "out", Path("données/(1)")),
        ("out='a,b'", "out", Path("a,b")),
        ("out=~/a", "out", Path.home() / "a"),
        ("out=2024_01_05", "out", Path("2024_01_05")),
        ("out=1e3", "out", Path("1e3")),
        ("out=010", "out", Path("010")),
        ("out=true", "out", Path("true")),
        ("out=~no-such-user", "out", Path("~no-such-user")),
        ("out=[v1]", "out", Path("[v1]")),
        ("out={x}", "out", Path("{x}")),
        ("out=a ", "out", Path("a ")),
        ("out=null", "out", None),
        ("name=010", "name", "010"),
        ("name=1.50", "name", "1.50"),
        ("data=2024_01_05,1e3,é", "data", [Path("2024_01_05"), Path("1e3"), Path("é")]),
        ("data=[010,b]", "data", [Path("010"), Path("b")]),
        ("data=a,b", "data", [Path("a"), Path("b")]),
        ('data=["~/a"]', "data", [Path.home() / "a"]),
        ("settings={view:'all',sizes:[1,2]}", "settings", {"size": 64, "view": "all", "sizes": [1, 2]}),
    ],
)
def test_words_become_values_of_the_keys_types(word: str, name: str, value: object) -> None:
    config = one(word)
    assert getattr(config, name) == value
    assert type(getattr(config, name)) is type(value)


def test_without_words_everything_has_its_default_and_lists_are_not_shared() -> None:
    first, second = one(), one()
    assert first == Config()
    first.env.append("pusht")
    assert second.env == ["wall"]
    assert one().env == ["wall"]


def test_the_last_of_several_words_for_a_key_counts() -> None:
    assert one("seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("env=wal", naming("env", "'wal'", "'wall'")),
        ("env=wall,moon", naming("env", "'moon'", "wall, pusht")),
        ("env=null", naming("env", "wall, pusht", "'null'")),
        ("seed=1,2", naming("seed", "1,2", "-m")),
        ("seed=range(0,3)", naming("seed", "range(0,3)", "-m")),
        ("seed=true", naming("seed", "'true'")),
        ("seed=[1]", naming("seed", "'[1]'")),
        ("seed=[1", naming("seed", "'[1'")),
        ("seed=${name}", naming("seed", "${name}", "'x'")),
        ("rate=0", naming("rate", 0.0)),
        ("rate=fast", naming("rate", "'fast'")),
        ("loud=maybe", naming("loud", "'maybe'")),
        ("out=a,é", naming("out")),
        ("steps=1,0", naming("steps", 0)),
        ("steps=1,x", naming("steps", "'[1,x]'")),
        ("settings=3", naming("settings", "'3'")),
        ("settings.size=3", naming("'settings.size'", "'settings'")),
        (f"settings={'[' * 3000}{']' * 3000}", naming("settings")),
        (f"settings={{a:{'[' * 300}{']' * 300}}}", naming("settings")),
        (f"seed={'[' * 3000}", naming("seed")),
        ("~seed", naming("seed=VALUE")),
    ],
)
def test_a_bad_value_is_an_error_that_says_what_was_expected_and_what_came(word: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        one(word)
    assert re.search(expected, str(caught.value))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_keys_that_do_not_go_together_are_a_mistake_of_the_users() -> None:
    with pytest.raises(UsageError, match="seed=13 is never loud"):
        one("seed=13", "loud=true")


def test_a_key_without_a_default_must_be_given() -> None:
    @dataclass
    class Needs:
        data: Path = key("the trajectories to read", example="data/wall")

    with pytest.raises(UsageError, match=naming("data", "the trajectories to read", "data=data/wall")):
        read_overrides(Needs, [])
    (given,) = read_overrides(Needs, ["data=x"])
    assert given.config.data == Path("x")


def test_a_sweep_is_every_combination_in_hydras_order() -> None:
    words = ["env=wall,pusht", "seed=range(0,2)", "rate=choice(1,2)", "name=z"]
    made = [(c.config.env, c.config.seed, c.config.rate) for c in read_overrides(Config, words, sweep=True)]
    assert made == [([env], seed, rate) for env in ("wall", "pusht") for seed in (0, 1) for rate in (1.0, 2.0)]


def test_a_sweep_over_lists_needs_brackets() -> None:
    combinations = read_overrides(Config, ["env=[wall,pusht],[wall]"], sweep=True)
    assert [c.config.env for c in combinations] == [["wall", "pusht"], ["wall"]]


def test_a_sweep_of_one_is_one_run() -> None:
    (combination,) = read_overrides(Config, ["seed=3"], sweep=True)
    assert combination.config.seed == 3
    assert combination.words == ("seed=3",)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["seed=0,1", "rate=1,2", "out=a"], naming("out", "out=a/${seed}.${rate}")),
        (["seed=interval(0,1)"], "INTERVAL"),
        (["seed=range(0,1,0)"], naming("seed", 0)),
        (["seed=range(5,1)"], "seed="),
        (["seed=range(0,1e9)"], r"1e.09"),
        (["seed=shuffle(range(0,1e9))"], r"1e.09"),
        (["seed=range(0,inf)"], "inf"),
        (["seed=range(0,200)", "rate=range(1,200)"], naming(39800)),
        (["seed=0,x"], naming("seed", "'x'")),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(words: list[str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        read_overrides(Config, words, sweep=True)


def test_paths_that_look_like_numbers_can_be_swept_over() -> None:
    combinations = read_overrides(Config, ["out=2024_01_05,1e3,c"], sweep=True)
    assert [c.config.out for c in combinations] == [Path("2024_01_05"), Path("1e3"), Path("c")]


def test_combinations_may_save_in_places_named_after_what_differs() -> None:
    combinations = read_overrides(Config, ["seed=0,1", "out=a/${seed}"], sweep=True)
    assert [c.config.out for c in combinations] == [Path("a/0"), Path("a/1")]
    assert [c.words for c in combinations] == [(f"seed={seed}", "out=a/${seed}") for seed in (0, 1)]
