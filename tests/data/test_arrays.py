"""Data sets of arrays in memory."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from foreign_envs import CHOOSING
from naming import naming

from wmcontrol import PyramidEncoder
from wmcontrol.actions import ActionLayout
from wmcontrol.data import ArrayDataset, encode


def arrays(lengths: tuple[int, ...] = (12, 9, 15)) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "frames": [rng.integers(0, 256, (T, 8, 8, 3), dtype=np.uint8) for T in lengths],
        "actions": [rng.uniform(-1, 1, (T - 1, 2)) for T in lengths],
        "control_rate": 20,
        "action_bounds": ([-1, -2], [1, 2]),
    }


def test_it_holds_what_it_was_given() -> None:
    given = arrays()
    dataset = ArrayDataset(**given)
    assert dataset.lengths.tolist() == [12, 9, 15]
    for index in range(3):
        trajectory = dataset.trajectory(index)
        assert trajectory.frames is not None
        assert np.array_equal(trajectory.frames.read(range(len(trajectory))), given["frames"][index])
        assert np.array_equal(trajectory.actions, given["actions"][index])
        assert np.allclose(trajectory.times, np.arange(len(trajectory)) / 20)
    with pytest.raises(IndexError, match=naming(3)):
        dataset.trajectory(3)


def test_the_actions_of_an_environment_may_be_choices() -> None:
    given = arrays()
    chosen = [np.zeros((len(frames) - 1, 4)) for frames in given["frames"]]
    for each in chosen:
        each[:, 2] = 1
    dataset = ArrayDataset(given["frames"], chosen, env_id=CHOOSING)
    np.testing.assert_array_equal(dataset.action_bounds, [[0] * 4, [1] * 4])


def test_windows_statistics_and_stores_come_with_it(tmp_path: Path) -> None:
    given = arrays()
    dataset = ArrayDataset(**given)
    window = dataset.windows(num_frames=3, frameskip=2)[0]
    assert np.array_equal(window.frames, given["frames"][0][[0, 2, 4]])
    assert np.array_equal(window.actions, given["actions"][0][:4].reshape(2, 4))
    statistics = dataset.action_statistics()
    assert np.allclose(statistics.mean, np.concatenate(given["actions"]).mean(0))
    assert statistics.high.tolist() == [1, 2]
    encoder = PyramidEncoder(4)
    encoder.fit(torch.from_numpy(np.concatenate(given["frames"])))
    store = encode(dataset, encoder, tmp_path)
    assert store.control_rate == 20
    assert store.tokens.shape == (36, 1, 4)
    assert store.action_statistics().low.tolist() == [-1, -2]


def test_without_bounds_actions_stay_within_those_recorded() -> None:
    given = arrays() | {"action_bounds": None}
    statistics = ArrayDataset(**given).action_statistics()
    assert np.array_equal(statistics.low, np.concatenate(given["actions"]).min(0))


def test_memory_mapped_frames_are_not_copied(tmp_path: Path) -> None:
    given = arrays()
    np.save(tmp_path / "frames.npy", given["frames"][0])
    mapped = np.load(tmp_path / "frames.npy", mmap_mode="r")
    dataset = ArrayDataset([mapped], given["actions"][:1], control_rate=20)
    frames = dataset.trajectory(0).frames
    assert frames is not None
    assert np.array_equal(frames.read([3]), given["frames"][0][[3]])
    assert frames.array is mapped  # type: ignore[attr-defined]


def test_the_fingerprint_follows_all_that_it_holds() -> None:
    given = arrays()
    other_frames, other_actions = arrays(), arrays()
    other_frames["frames"][2][-1, 0, 0, 0] ^= 1
    other_actions["actions"][0][3, 1] += 1e-9
    others = [other_frames, other_actions, given | {"control_rate": 10}, given | {"action_bounds": None}]
    prints = [ArrayDataset(**change).fingerprint() for change in (given, *others)]
    assert len(set(prints)) == 5
    assert ArrayDataset(**arrays()).fingerprint() == prints[0]


def test_frames_are_drawn_from_the_states_of_an_environment_that_says_rate_and_bounds(tmp_path: Path) -> None:
    env = gym.make("wmcontrol/Wall-v0", image_size=16)
    seen, states, actions = [], [], []
    for seed in (0, 1):
        observation, _ = env.reset(seed=seed)
        env.action_space.seed(seed)
        frames, places, done = [observation["pixels"]], [env.unwrapped.get_state()], []
        for _ in range(5):
            done.append(env.action_space.sample())
            frames.append(env.step(done[-1])[0]["pixels"])
            places.append(env.unwrapped.get_state())
        seen.append(np.stack(frames))
        states.append(np.stack(places))
        actions.append(np.stack(done))
    drawn = ArrayDataset(states=states, actions=actions, env_id="wmcontrol/Wall-v0", image_size=16)
    kept = ArrayDataset(seen, actions, states=states, env_id="wmcontrol/Wall-v0")
    assert drawn.control_rate == kept.control_rate == env.unwrapped.control_rate
    np.testing.assert_array_equal(drawn.action_bounds, [env.action_space.low, env.action_space.high])
    for one, two in zip(drawn, kept, strict=True):
        np.testing.assert_array_equal(one.frames, two.frames)
        np.testing.assert_array_equal(one.states, two.states)
    small = ArrayDataset(seen, actions, control_rate=5, image_size=(8, 4))
    assert small[0].frames[0].shape == (8, 4, 3)
    assert ArrayDataset(seen, control_rate=5)[1].actions is None
    assert len({dataset.fingerprint() for dataset in (drawn, kept, small)}) == 3
    for changes, says in (
        ({"states": [places[:, :1] for places in states]}, naming("trajectory 0", "states", 2, 1)),
        ({"actions": [np.ones((5, 3))] * 2}, naming("trajectory 0", "actions", 2, 3)),
        ({"states": states[:1]}, naming("states", 1, 2)),
        ({"env_id": None}, "env_id"),
        ({"control_rate": 3}, "control_rate"),
        ({"image_size": (8, 4)}, "image_size"),
    ):
        given: dict[str, Any] = {"states": states, "actions": actions, "env_id": "wmcontrol/Wall-v0"}
        with pytest.raises(ValueError, match=says):
            ArrayDataset(**given | changes)


def _with(name: str, index: int, value: Any) -> dict[str, Any]:
    given = arrays()
    given[name][index] = value
    return given


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (arrays() | {"actions": arrays()["actions"][:2]}, naming("frames", "actions", 3, 2)),
        (arrays() | {"frames": [], "actions": []}, "frames"),
        (arrays() | {"control_rate": 0}, "control_rate"),
        (_with("frames", 1, np.zeros((9, 8, 8, 3))), naming("trajectory 1", "frames", "uint8", "float64")),
        (_with("frames", 1, np.zeros((9, 8, 9, 3), np.uint8)), naming("trajectory 1", "uint8", (9, 8, 9, 3))),
        (_with("frames", 0, np.zeros((12, 8, 8), np.uint8)), naming("trajectory 0", "frames")),
        (_with("frames", 2, np.zeros((0, 8, 8, 3), np.uint8)), "trajectory 2"),
        (_with("actions", 1, np.zeros((9, 2))), naming("trajectory 1", "actions", 8, 9)),
        (_with("actions", 1, np.zeros(8)), naming("trajectory 1", "actions", (8,))),
        (_with("actions", 1, np.zeros(8, np.int64)), naming("trajectory 1", "actions", "int64", (8,))),
        (_with("actions", 1, np.zeros((8, 2), np.int32)), naming("trajectory 1", "actions", "int32", (8, 2))),
        (_with("actions", 1, np.zeros((8, 2), bool)), naming("trajectory 1", "actions", "bool", (8, 2))),
        (_with("actions", 1, np.zeros((8, 2, 1))), naming("trajectory 1", "actions", (8, 2, 1))),
        (_with("actions", 1, np.zeros((8, 3))), naming("trajectory 1", "actions", 2, 3)),
        (_with("actions", 2, np.full((14, 2), np.nan)), naming("trajectory 2", "actions[0]")),
        (arrays() | {"action_bounds": ([-1], [1])}, naming("action_bounds", 2)),
        (arrays() | {"action_bounds": ([1, 1], [-1, 2])}, "action_bounds"),
        (arrays() | {"action_bounds": ([np.nan, -1], [1, 2])}, "action_bounds"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ArrayDataset(**given)


def test_actions_of_another_space_become_vectors() -> None:
    frames = [np.zeros((4, 8, 8, 3), np.uint8)] * 2
    chosen = [np.array([1, 3, 2]), np.array([3, 3, 1])]
    dataset = ArrayDataset(frames, chosen, control_rate=10, action_space=gym.spaces.Discrete(4, start=0))
    np.testing.assert_array_equal(dataset.trajectory(0).actions, np.eye(4)[[1, 3, 2]])
    statistics = dataset.action_statistics()
    np.testing.assert_array_equal(
        [statistics.mean, statistics.std, statistics.low, statistics.high],
        [[0, 0, 0, 0], [1, 1, 1, 1], [0, 0, 0, 0], [0, 1, 1, 1]],  # 0 was never chosen
    )
    space = gym.spaces.Box(-1, 1, (2, 2))
    matrices = ArrayDataset(frames, [np.full((3, 2, 2), 0.5)] * 2, control_rate=10, action_space=space)
    np.testing.assert_array_equal(matrices.trajectory(1).actions, np.full((3, 4), 0.5))
    assert matrices.split(0.5, seed=0)[0].action_layout == matrices.action_layout == ActionLayout((2, 2))
    for actions, given, words in (
        (chosen, {}, ("trajectory 0", "action_space")),
        ([*chosen[:1], np.array([4, 0, 0])], {"action_space": gym.spaces.Discrete(4)}, ("trajectory 1", 4)),
        (chosen, {"action_space": gym.spaces.Discrete(4), "action_bounds": (0, 1)}, ("action_bounds",)),
    ):
        with pytest.raises(ValueError, match=naming(*words)):
            ArrayDataset(frames, actions, control_rate=10, **given)
