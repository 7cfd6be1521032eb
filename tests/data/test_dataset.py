"""What every data set offers: windows, splits by trajectory, statistics; and what a trajectory may not be."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming
from sets import Memory

from wmcontrol.data import (
    ActionStatistics,
    ArrayFrames,
    Provenance,
    Subset,
    Trajectory,
    TrajectoryDataset,
    WindowIndex,
    held_out_split,
)
from wmcontrol.data.dataset import split_order


def good() -> Trajectory:
    return Memory().trajectory(0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"times": np.arange(6.0)}, naming("states", 6, 7)),
        ({"states": np.zeros((6, 2))}, naming("states", 7, 6)),
        ({"actions": np.zeros((7, 2))}, naming("actions", 6, 7)),
        ({"variation": {"agent_size": np.array([np.nan])}}, "agent_size"),
        ({"actions": np.full((6, 2), np.nan)}, naming("actions[0]")),
        ({"states": np.array([[0.0]] * 3 + [[np.inf]] + [[0.0]] * 3)}, naming("states[3]")),
        ({"states": np.array([["a"]] * 7)}, naming("states", "<U1")),
        ({"states": np.zeros(7)}, naming("states", "float64", (7,))),
        ({"actions": np.zeros((6, 2, 2))}, naming("actions", (6, 2, 2))),
        ({"times": np.array([0, 1, 2, 2, 3, 4, 5.0])}, naming("times", 2.0, 3)),
        ({"frames": ArrayFrames(np.zeros((3, 4, 4, 3), np.uint8))}, naming("frames", 7, 3)),
        ({"times": np.zeros((7, 0))}, naming("times", (7, 0))),
        ({"times": 3.0}, naming("times", ())),
        ({"actions": b"abcdef"}, naming("actions", "S6")),
        ({"times": np.array([]), "states": None, "actions": None, "frames": None}, ""),
    ],
)
def test_a_trajectory_that_contradicts_itself_names_its_record(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=rf"nowhere \(memory, walk_0\).*{says}"):
        replace(good(), **change)


def test_a_set_and_a_trajectory_show_themselves_in_a_line() -> None:
    data = Memory()
    assert re.search(naming("Memory", len(data), data.lengths.sum(), f"{data.control_rate:g}"), repr(data))
    assert re.search(naming("Subset", 2, data.lengths[[0, 2]].sum()), repr(data[[0, 2]]))
    assert re.search(naming(7, "states", (7, 2), "actions", (6, 2), "walk_0"), repr(good()))
    assert "frames" not in repr(replace(good(), frames=None))


def test_a_single_frame_is_a_trajectory() -> None:
    one = replace(good(), times=np.zeros(1), states=np.zeros((1, 2)), actions=np.zeros((0, 2)), frames=None)
    assert len(one) == 1


@given(
    lengths=st.lists(st.integers(1, 15), min_size=1, max_size=6),
    num_frames=st.integers(1, 5),
    frameskip=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_windows_are_all_those_that_fit_each_once(lengths: list[int], num_frames: int, frameskip: int) -> None:
    span = (num_frames - 1) * frameskip + 1
    expected = [(i, start) for i, n in enumerate(lengths) for start in range(n - span + 1)]
    dataset = Memory(lengths)
    if not expected:
        with pytest.raises(ValueError, match=naming(span, len(lengths))):
            dataset.windows(num_frames, frameskip)
        return
    windows = dataset.windows(num_frames, frameskip)
    assert len(windows) == len(expected)
    for number, (i, start) in enumerate(expected):
        window, whole = windows[number], dataset.trajectory(i)
        assert (window.trajectory, window.start) == (i, start)
        seen = [start + frameskip * k for k in range(num_frames)]
        assert np.array_equal(window.times, whole.times[seen])
        assert np.array_equal(window.states, whole.states[seen])
        assert np.array_equal(window.frames, whole.frames.read(seen))
        assert window.actions.shape == (num_frames - 1, 2 * frameskip)
        for k in range(num_frames - 1):
            between = whole.actions[start + frameskip * k : start + frameskip * (k + 1)]
            assert np.array_equal(window.actions[k], between.ravel())  # one after the other


def test_frames_are_read_by_their_numbers_from_the_first_on() -> None:
    frames = good().frames
    for indices, error in (([-1], IndexError), ([7], IndexError), ([0.5], TypeError)):
        with pytest.raises(error, match="frames"):
            frames.read(indices)  # type: ignore[arg-type]
    assert frames.read([]).shape == (0, 16, 16, 3)


def test_lengths_that_are_none_are_refused() -> None:
    for lengths in (np.array([0, 9]), np.array([-3, 9]), np.array([9.0])):
        with pytest.raises(ValueError, match="lengths"):
            WindowIndex.of(lengths, 2, 1)


def test_windows_out_of_range_are_an_index_error_so_that_iteration_ends() -> None:
    windows = Memory().windows(3)
    assert len(list(windows)) == len(windows)
    for number in (-1 - len(windows), len(windows)):
        with pytest.raises(IndexError, match=naming(len(windows))):
            windows[number]
    last = windows[-1]
    assert (last.trajectory, last.start) == (3, 6)
    assert np.array_equal(last.frames, windows[len(windows) - 1].frames)


def test_a_window_is_a_dictionary_of_what_there_is() -> None:
    window = Memory(with_actions=False).windows(2)[0]
    assert list(window) == ["trajectory", "start", "times", "frames", "states"]
    assert window["times"] is window.times
    assert window.actions is None
    with pytest.raises(AttributeError, match="reward"):
        window.reward  # noqa: B018


def test_a_set_is_indexed_as_a_list_is() -> None:
    dataset = Memory()

    def records(trajectories: Any) -> list[str]:
        return [trajectory.provenance.record[-1] for trajectory in trajectories]

    assert records([dataset[1], dataset[-1], dataset[np.int64(-4)]]) == ["1", "3", "0"]
    assert records(dataset) == ["0", "1", "2", "3"]
    assert records(dataset[::-1]) == ["3", "2", "1", "0"]
    for chosen in (slice(2, 9), [2, -1], np.array([2, 3]), np.array([False, False, True, True])):
        subset = dataset[chosen]
        assert isinstance(subset, Subset)
        assert records(subset) == ["2", "3"]
        assert records(subset[:1]) == ["2"]
    for missing in (4, -5, [0, 4], np.array([True])):
        with pytest.raises(IndexError):
            dataset[missing]
    for wrong in ("0", 1.0, [0.5], None):
        with pytest.raises(TypeError):
            dataset[wrong]
    with pytest.raises(ValueError, match="trajectory"):
        dataset[4:]


def test_frames_are_indexed_as_an_array_is() -> None:
    frames = good().frames
    assert frames is not None
    every = frames.read(range(7))
    assert np.array_equal(np.asarray(frames), every)
    assert np.array_equal(np.array(frames, np.float32), every)
    for index in (3, -1, slice(2, 5), slice(None, None, -2), [0, -1, 0], every[:, 0, 0, 0] > 100):
        assert np.array_equal(frames[index], every[index])
    assert frames[[]].shape == (0, 16, 16, 3)
    assert [np.array_equal(*pair) for pair in zip(frames, every, strict=True)] == [True] * 7
    with pytest.raises(IndexError, match=naming(7)):
        frames[7]
    with pytest.raises(ValueError, match="copy"):
        np.asarray(frames, copy=False)


@pytest.mark.parametrize("value", [0, -1, 1.5, True, None])
def test_windows_take_whole_numbers(value: Any) -> None:
    for arguments in ((value, 1), (2, value)):
        with pytest.raises(ValueError, match="must be a whole number from 1 up"):
            WindowIndex.of(np.array([9]), *arguments)


def test_a_split_is_by_trajectory_complete_and_the_same_everywhere() -> None:
    dataset = Memory([5] * 10)
    train, held_out = dataset.split(0.7, seed=0)
    assert sorted([*train.members.tolist(), *held_out.members.tolist()]) == list(range(10))
    assert held_out.members.tolist() == [0, 1, 5]  # by SHA-256: this holds on any machine, with any library
    assert dataset.split(0.7, seed=1)[1].members.tolist() != held_out.members.tolist()
    assert isinstance(train, TrajectoryDataset)
    assert np.array_equal(held_out.trajectory(1).states, dataset.trajectory(1).states)


@given(count=st.integers(2, 40), fraction=st.floats(0.001, 0.999), seed=st.integers(0, 2**40))
@settings(max_examples=60, deadline=None)
def test_no_trajectory_is_on_both_sides_and_no_side_is_empty(count: int, fraction: float, seed: int) -> None:
    first, second = Memory([3] * count).split(fraction, seed)
    assert set(first.members.tolist()).isdisjoint(second.members.tolist())
    assert len(first) + len(second) == count
    assert min(len(first), len(second)) >= 1
    assert abs(len(first) - fraction * count) <= 1


def test_a_split_of_a_split_counts_in_the_whole() -> None:
    dataset = Memory([4] * 20)
    train, _ = dataset.split(0.5, 3)
    inner, _ = train.split(0.5, 4)
    assert inner.whole is dataset
    assert set(inner.members.tolist()) <= set(train.members.tolist())
    for place, member in enumerate(inner.members.tolist()):
        assert np.array_equal(inner.trajectory(place).states, dataset.trajectory(member).states)
    assert inner.fingerprint() != train.fingerprint()
    with pytest.raises(IndexError, match=naming(5)):
        inner.trajectory(5)


def test_bad_splits_and_subsets_are_refused() -> None:
    dataset = Memory()
    for fraction in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="fraction"):
            dataset.split(fraction, 0)
    with pytest.raises(ValueError, match=naming(2)):
        Memory([5]).split(0.5, 0)
    for members in ([], [4], [-1], [0.5], [True]):
        with pytest.raises(ValueError, match=r"trajector"):
            Subset(dataset, members)  # type: ignore[arg-type]


def test_statistics_are_those_of_all_actions_together() -> None:
    dataset = Memory([50, 3, 120], seed=5)
    every = np.concatenate([dataset.trajectory(i).actions for i in range(3)])
    found = dataset.action_statistics()
    np.testing.assert_allclose(found.mean, every.mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.std, every.std(0), rtol=1e-12)
    np.testing.assert_array_equal(found.low, every.min(0))
    np.testing.assert_array_equal(found.high, every.max(0))
    part = Subset(dataset, [2]).action_statistics()
    np.testing.assert_allclose(part.mean, dataset.trajectory(2).actions.mean(0))


def test_bounds_are_the_environments_where_they_are_known() -> None:
    dataset = Memory()
    dataset.action_bounds = (np.array([-9.0, -9.0]), np.array([9.0, 8.0]))
    assert dataset.action_statistics().high.tolist() == [9.0, 8.0]


def test_numbers_that_never_change_are_held_and_have_the_deviation_1() -> None:
    rng = np.random.default_rng(0)
    jitter = 1e-9 * rng.normal(size=(50, 3))
    moving = rng.uniform(-1, 1, (50, 1))
    actions = np.concatenate([moving, np.full((50, 3), [0.3, 0.0, 0.6]), [1e3, 0.0, 0.6] + jitter], 1)
    bounds = np.full(7, -0.6), np.full(7, 0.6)
    bounds[1][4], bounds[1][5] = np.inf, 2e3
    for known in (None, bounds):
        found = ActionStatistics.over([("a", actions)], known)
        assert found.held.tolist() == [False] + 4 * [True] + [known is not None, True]
        assert found.std[found.held].tolist() == [1.0] * found.held.sum()
        assert found.std[0] == pytest.approx(moving.std())
        values = found.mean[found.held]
        assert values == pytest.approx([0.3, 0.0, 0.6, 1e3, *([0.0] if known is not None else []), 0.6], abs=1e-6)
        # To the bit what an agent does, which has single precision, and inside the environment's bounds.
        assert np.array_equal(values, values.astype(np.float32))
        assert np.array_equal(found.low[found.held], values)
        assert np.array_equal(found.high[found.held], values)
    assert found.high[3] == float(np.nextafter(np.float32(0.6), np.float32(0))) < 0.6


def test_slow_numbers_are_not_taken_for_constant() -> None:
    rng = np.random.default_rng(0)
    actions = np.stack([rng.uniform(0, 1e-3, 50), 100 + rng.uniform(0, 0.01, 50), 1e-9 * rng.normal(size=50)], 1)
    found = ActionStatistics.over([("a", actions)], (np.array([-1, -np.inf, -np.inf]), np.array([1, np.inf, np.inf])))
    assert not found.held.any()
    assert np.allclose(found.std, actions.std(0))


@pytest.mark.parametrize("none", [np.inf, np.finfo(np.float32).max, 1e300])
def test_where_the_environment_has_no_bound_it_is_what_was_done(none: float) -> None:
    actions = np.array([[-3.0, 2.0, 0.0], [5.0, -4.0, 1.0]])
    found = ActionStatistics.over([("a", actions)], (np.array([-none, -9, -none]), np.array([none, none, 7])))
    assert found.low.tolist() == [-3, -9, 0]
    assert found.high.tolist() == [5, 2, 7]


def test_statistics_stay_exact_far_from_zero() -> None:
    rng = np.random.default_rng(0)
    pieces = [(str(i), 1e6 + rng.normal(size=(20, 1))) for i in range(5)]
    every = np.concatenate([values for _, values in pieces])
    np.testing.assert_allclose(ActionStatistics.over(pieces, None).std, every.std(0), rtol=1e-6)


def test_actions_that_tell_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match=naming("nowhere (memory, walk_0)", "actions")):
        Memory(with_actions=False).action_statistics()
    with pytest.raises(ValueError, match="a"):
        ActionStatistics.over([("a", np.array([[0.2, 0.1], [0.2, 0.1]]))], None)
    with pytest.raises(ValueError, match="a"):
        ActionStatistics.over([("a", np.zeros((0, 2)))], None)
    with pytest.raises(ValueError, match=naming("b", "actions", 2, 3)):
        ActionStatistics.over([("a", np.eye(2)), ("b", np.eye(3))], None)


def test_where_it_comes_from_is_said_in_one_line() -> None:
    assert str(Provenance("d4rl", Path("set.hdf5"), "episode 3")) == "set.hdf5 (d4rl, episode 3)"


def test_a_tenth_is_held_out_by_the_same_hash_and_fewer_to_train_on_are_some_of_more() -> None:
    train, held_out = held_out_split(20, 4)
    assert sorted([*train.tolist(), *held_out.tolist()]) == list(range(20))
    assert len(held_out) == 2
    assert train.tolist() == split_order(20, 4)[:18]
    again, same = held_out_split(20, 4, order_seed=5)
    assert same.tolist() == held_out.tolist()
    assert sorted(again.tolist()) == sorted(train.tolist()) != again.tolist() != train.tolist()
    with pytest.raises(ValueError, match=naming(1)):
        held_out_split(1, 0)
