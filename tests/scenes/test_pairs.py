"""Pairs begin alike, what is impossible is out of sight when it happens, and trivial statistics do not tell it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wmcontrol.scenes import (
    CATEGORIES,
    CLASSES,
    CLASSES_3D,
    Clip,
    Pair,
    PairDataset,
    PairDataset3D,
    SceneDataset,
    SceneDataset3D,
)
from wmcontrol.scenes.drawing import draw
from wmcontrol.scenes.events import Event, event_of, joined, part_of
from wmcontrol.scenes.flat_stage import FlatStage
from wmcontrol.scenes.mujoco_scenes import draw_3d
from wmcontrol.scenes.solid_stage import SolidStage

Numbers = np.ndarray[Any, np.dtype[Any]]
KINDS = ("flat", "solid")
SEEDS = {"flat": range(3), "solid": range(1)}
HEIGHT = {"flat": 1, "solid": 2}  # which number of a pose
COLOR = {"flat": "color", "solid": "colors"}


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [*PairDataset(seed=2, num_pairs=20, image_size=32)]


def made(category: str, seed: int, kind: str = "flat", aspect: float = 1.0) -> Event[Any]:
    stage = FlatStage if kind == "flat" else SolidStage
    return event_of(category, stage(np.random.default_rng(seed), 48, 15.0, aspect))


def drawn(films: list[Any], size: tuple[int, int] = (64, 64)) -> list[Clip]:
    """Draw films of the same things and as many frames; solid ones at once, since making a renderer takes longest."""
    if len(films[0].poses[0, 0]) == 3:
        return [draw(film, size) for film in films]
    every = films[0]
    for film in films[1:]:
        every = joined(every, film)
    try:
        clip = draw_3d(every, size)
    except OSError as error:
        pytest.skip(str(error))
    return [Clip(*parts) for parts in zip(*(np.split(each, len(films)) for each in clip), strict=True)]


def watched(event: Event[Any], kind: str) -> tuple[list[Clip], int]:
    """Draw the films of both pairs of an event, of solid ones some frames; and say which frame the switch is in."""
    s = event.switch
    frames = sorted({*range(0, 48, 1 if kind == "flat" else 7), s - 1, s, 47})
    films = [part_of(film, frames) for swapped in (False, True) for film in event.pair(swapped)]
    return drawn(films), frames.index(s)


def test_films_of_a_pair_are_the_same_until_they_differ(pairs: list[Pair]) -> None:
    assert [pair.category for pair in pairs] == [*CATEGORIES] * 4
    for pair in pairs:
        for one, other in zip(pair.possible, pair.impossible, strict=True):
            np.testing.assert_array_equal(one[: pair.first_difference], other[: pair.first_difference])
        at = pair.first_difference
        assert 8 < at < 44
        assert (pair.possible.frames[at] != pair.impossible.frames[at]).any()


def test_each_beginning_and_each_end_is_in_a_possible_film_and_in_an_impossible_one(pairs: list[Pair]) -> None:
    for first, second in ((pairs[i], pairs[i + 5]) for i in [*range(5), *range(10, 15)]):
        at = first.first_difference
        assert second.first_difference == at
        np.testing.assert_array_equal(first.impossible.frames[at:], second.possible.frames[at:])
        np.testing.assert_array_equal(second.impossible.frames[at:], first.possible.frames[at:])
        assert (first.possible.frames[: at - 1] != second.possible.frames[: at - 1]).any()


@pytest.mark.parametrize("category", CATEGORIES)
@pytest.mark.parametrize(("kind", "aspect", "seeds"), [("flat", 1.0, 8), ("flat", 1.5, 8), ("solid", 1.25, 1)])
def test_both_films_look_the_same_when_one_becomes_the_other(
    category: str, kind: str, aspect: float, seeds: int
) -> None:
    for seed in range(seeds):
        event = made(category, seed, kind, aspect)
        films = [part_of(film, [event.switch - 1]) for film in (event.first, event.second)]
        first, second = drawn(films, (64, round(64 * aspect)))
        np.testing.assert_array_equal(first.frames, second.frames, err_msg=str(seed))
        np.testing.assert_array_equal(first.classes, second.classes)
        np.testing.assert_array_equal(first.depth, second.depth)


def change(clip: Clip) -> float:
    return float(np.abs(np.diff(clip.frames.astype(int), axis=0)).sum())


def brightness(clip: Clip) -> float:
    return float(clip.frames.sum(dtype=np.int64))


def last_brightness(clip: Clip) -> float:
    return float(clip.frames[-1].sum(dtype=np.int64))


@pytest.mark.parametrize("statistic", [change, brightness, last_brightness])
def test_trivial_statistics_are_right_in_half_of_the_pairs(
    pairs: list[Pair], statistic: Callable[[Clip], float]
) -> None:
    for category in CATEGORIES:
        of = [pair for pair in pairs if pair.category == category]
        lower = [np.sign(statistic(pair.impossible) - statistic(pair.possible)) for pair in of]
        assert np.mean(lower) == 0, category  # a draw counts half


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_permanent_is_seen_at_both_ends_or_at_none(kind: str) -> None:
    for seed in SEEDS[kind]:
        event = made("permanence", seed, kind)
        instance = next(
            t.instance for t, there in zip(event.first.things, event.second.visible[0], strict=True) if not there
        )
        clips, middle = watched(event, kind)
        there = [(clip.instances == instance).any((1, 2)) for clip in clips]
        seen = [(bool(each[:middle].any()), bool(each[middle:].any())) for each in there]
        assert seen == [(True, True), (True, False), (False, False), (False, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_continuous_stays_on_its_side(kind: str) -> None:
    for seed in SEEDS[kind]:
        clips, _ = watched(made("continuity", seed, kind), kind)
        for clip, jumps in zip(clips, (False, True, False, True), strict=True):
            column = _column(clip)
            assert np.nanmax(column) - np.nanmin(column) > 20 if jumps else np.nanmax(column) - np.nanmin(column) < 8


def _column(clip: Clip) -> Numbers:
    """Where the body of the event is in each frame, in pixels; NaN where it is not seen."""
    bodies = np.unique(clip.instances[clip.classes >= CLASSES.index("disc")])
    mask = clip.instances == bodies.max()  # others come first
    columns = np.arange(mask.shape[2]) + 0.5
    with np.errstate(invalid="ignore"):
        return np.asarray((mask * columns).sum((1, 2)) / mask.sum((1, 2)))


@pytest.mark.parametrize("kind", KINDS)
def test_a_wall_turns_a_body_back_and_nothing_else_does(kind: str) -> None:
    for seed in SEEDS[kind]:
        event = made("solidity", seed, kind)
        wall = next(k for k, thing in enumerate(event.first.things) if thing.kind == "obstacle")
        body = wall - 1
        films = (*event.pair(False), *event.pair(True))
        clips, middle = watched(event, kind)
        for number, (scene, clip) in enumerate(zip(films, clips, strict=True)):
            x = scene.poses[:, body, 0]
            side = np.sign(x - scene.poses[0, wall, 0])
            assert (side[0] == side[-1]) == (number in (0, 3))
            assert np.abs(x[-1] - x[-2]) < 1.0001 * np.abs(x[1] - x[0])
            assert scene.visible[0, wall] == (number < 2)
            there = (clip.instances == scene.things[body].instance).any((1, 2))
            assert there[:middle].any()
            assert not there[middle]
            assert there[middle:].any()


@pytest.mark.parametrize("kind", KINDS)
def test_bodies_fall_unless_something_holds_them(kind: str) -> None:
    z = HEIGHT[kind]
    for seed in range(3):
        event = made("gravity", seed, kind)
        pillar = next(k for k, thing in enumerate(event.first.things) if thing.kind == "obstacle")
        ends = []
        for swapped in (False, True):
            for scene in event.pair(swapped):
                bottom = scene.poses[-1, pillar - 1, z] - scene.poses[0, pillar, z] * 2
                ends.append((bool(scene.visible[0, pillar]), bool(bottom > 0)))
        assert ends == [(True, True), (True, False), (False, False), (False, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_constant_keeps_shape_and_colour(kind: str) -> None:
    kinds = set()
    for seed in range(12):
        event = made("constancy", seed, kind)
        one, other = (
            t for t, n in zip(event.first.things, event.first.visible[0] != event.second.visible[0], strict=True) if n
        )
        assert one.instance == other.instance
        change = (one.kind != other.kind, getattr(one, COLOR[kind]) != getattr(other, COLOR[kind]))
        if change in kinds:
            continue
        kinds.add(change)
        (possible, impossible, *_), _ = watched(event, kind)
        looks = [_looks(clip, one.instance) for clip in (possible, impossible)]
        assert len(looks[0]) == 1
        assert len(looks[1]) == 1 + (one.kind != other.kind)
    assert kinds == {(True, False), (False, True)}


def _looks(clip: Clip, instance: int) -> set[int]:
    return set(np.unique(clip.classes[clip.instances == instance]).tolist())


def test_pairs_are_the_same_in_any_order() -> None:
    data = PairDataset(seed=4, num_pairs=20, image_size=32)
    last, first = data[17], data[3]
    again = PairDataset(seed=4, num_pairs=18, image_size=32)
    np.testing.assert_array_equal(again[3].impossible.frames, first.impossible.frames)
    np.testing.assert_array_equal(again[-1].possible.frames, last.possible.frames)
    with pytest.raises(IndexError):
        data[20]


def test_solid_pairs_begin_alike_and_end_as_the_other_pair_of_the_event() -> None:
    data = PairDataset3D(seed=4, num_pairs=10, image_size=32, num_frames=30, frame_rate=10.0)
    try:
        first, second = data[3], data[8]
    except OSError as error:
        pytest.skip(str(error))
    assert (first.category, second.category, data.class_names) == ("gravity", "gravity", CLASSES_3D)
    at = first.first_difference
    assert 8 < at == second.first_difference < 28
    for one, other, swapped in zip(first.possible, first.impossible, second.possible, strict=True):
        np.testing.assert_array_equal(one[:at], other[:at])
        np.testing.assert_array_equal(other[at:], swapped[at:])
    assert (first.possible.frames[at] != first.impossible.frames[at]).any()
    assert first.possible.depth.shape == (30, 32, 32)


def test_films_too_short_for_an_event_are_refused() -> None:
    with pytest.raises(ValueError, match=r"num_frames.*60.*48"):
        PairDataset(num_frames=48, frame_rate=20.0)
    with pytest.raises(ValueError, match=r"image_size.*32.*16"):
        PairDataset(image_size=16)


@pytest.mark.parametrize("data", [SceneDataset, SceneDataset3D])
def test_clips_of_events_are_parts_of_possible_films(data: type[SceneDataset | SceneDataset3D]) -> None:
    clips = data(seed=0, num_clips=12, num_frames=10, event_share=1.0)
    for index in range(12):
        scene = clips.scene(index)
        assert len(scene.times) == 10
        np.testing.assert_allclose(scene.times, np.arange(10) / 15)
        assert (scene.visible == scene.visible[0]).all()
