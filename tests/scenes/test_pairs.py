"""Pairs begin alike, what is impossible is out of sight when it happens, and trivial statistics do not tell it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wmcontrol.scenes import CATEGORIES, CLASSES, Clip, Pair, PairDataset, Scene, SceneDataset
from wmcontrol.scenes.drawing import draw
from wmcontrol.scenes.events import Event, event_of

Numbers = np.ndarray[Any, np.dtype[Any]]


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    return [*PairDataset(seed=2, num_pairs=20, image_size=32)]


def made(category: str, seed: int) -> Event:
    return event_of(category, np.random.default_rng(seed), 48, 15.0, 1.0)


def part(scene: Scene, frames: slice) -> Scene:
    return scene._replace(
        poses=scene.poses[frames],
        visible=scene.visible[frames],
        camera=scene.camera[frames],
        times=scene.times[frames],
    )


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
@pytest.mark.parametrize("aspect", [1.0, 1.5])
def test_both_films_look_the_same_when_one_becomes_the_other(category: str, aspect: float) -> None:
    for seed in range(8):
        event = event_of(category, np.random.default_rng(seed), 48, 15.0, aspect)
        around = slice(event.switch - 1, event.switch)
        size = (64, round(64 * aspect))
        first, second = (draw(part(film, around), size) for film in (event.first, event.second))
        np.testing.assert_array_equal(first.frames, second.frames, err_msg=str(seed))
        np.testing.assert_array_equal(first.classes, second.classes)


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


def test_what_is_permanent_is_seen_at_both_ends_or_at_none() -> None:
    for seed in range(3):
        event = made("permanence", seed)
        seen = []
        for scene in (*event.pair(False), *event.pair(True)):
            clip = draw(scene, (64, 64))
            instance = next(
                t.instance for t, there in zip(scene.things, event.second.visible[0], strict=True) if not there
            )
            there = (clip.instances == instance).any((1, 2))
            middle = event.switch
            seen.append((bool(there[:middle].any()), bool(there[middle:].any())))
        assert seen == [(True, True), (True, False), (False, False), (False, True)]


def test_what_is_continuous_stays_on_its_side() -> None:
    for seed in range(3):
        event = made("continuity", seed)
        for swapped in (False, True):
            possible, impossible = (_column(draw(scene, (64, 64))) for scene in event.pair(swapped))
            assert np.nanmax(possible) - np.nanmin(possible) < 8
            assert np.nanmax(impossible) - np.nanmin(impossible) > 20


def _column(clip: Clip) -> Numbers:
    """Where the body of the event is in each frame, in pixels; NaN where it is not seen."""
    bodies = np.unique(clip.instances[clip.classes >= CLASSES.index("disc")])
    mask = clip.instances == bodies.max()  # others come first
    columns = np.arange(mask.shape[2]) + 0.5
    with np.errstate(invalid="ignore"):
        return np.asarray((mask * columns).sum((1, 2)) / mask.sum((1, 2)))


def test_a_wall_turns_a_body_back_and_nothing_else_does() -> None:
    for seed in range(3):
        event = made("solidity", seed)
        wall = next(k for k, thing in enumerate(event.first.things) if thing.kind == "obstacle")
        body = wall - 1
        for swapped in (False, True):
            possible, impossible = event.pair(swapped)
            for scene, turns in ((possible, not swapped), (impossible, swapped)):
                side = np.sign(scene.poses[:, body, 0] - scene.poses[0, wall, 0])
                assert (side[0] == side[-1]) == turns
                assert scene.visible[0, wall] == (not swapped)
                clip = draw(scene, (64, 64))
                there = (clip.instances == scene.things[body].instance).any((1, 2))
                assert there[: event.switch].any()
                assert not there[event.switch]
                assert there[event.switch :].any()


def test_bodies_fall_unless_something_holds_them() -> None:
    for seed in range(3):
        event = made("gravity", seed)
        pillar = next(k for k, thing in enumerate(event.first.things) if thing.kind == "obstacle")
        ends = []
        for swapped in (False, True):
            for scene in event.pair(swapped):
                bottom = scene.poses[-1, pillar - 1, 1] - scene.poses[0, pillar, 1] * 2
                ends.append((bool(scene.visible[0, pillar]), bool(bottom > 0)))
        assert ends == [(True, True), (True, False), (False, False), (False, True)]


def test_what_is_constant_keeps_shape_and_colour() -> None:
    kinds = set()
    for seed in range(12):
        event = made("constancy", seed)
        possible, impossible = (draw(scene, (64, 64)) for scene in event.pair(False))
        one, other = (
            t for t, n in zip(event.first.things, event.first.visible[0] != event.second.visible[0], strict=True) if n
        )
        assert one.instance == other.instance
        kinds.add((one.kind != other.kind, one.color != other.color))
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


def test_films_too_short_for_an_event_are_refused() -> None:
    with pytest.raises(ValueError, match=r"num_frames.*60.*48"):
        PairDataset(num_frames=48, frame_rate=20.0)
    with pytest.raises(ValueError, match=r"image_size.*32.*16"):
        PairDataset(image_size=16)


def test_clips_of_events_are_parts_of_possible_films() -> None:
    data = SceneDataset(seed=0, num_clips=12, num_frames=10, event_share=1.0)
    for index in range(12):
        scene = data.scene(index)
        assert len(scene.times) == 10
        np.testing.assert_allclose(scene.times, np.arange(10) / 15)
        assert (scene.visible == scene.visible[0]).all()
