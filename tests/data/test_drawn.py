"""Frames drawn from states: equal to what was seen, in any process, with the looks of their own trajectory."""

import pickle
import threading
from functools import partial

import gymnasium as gym
import numpy as np
import pytest
from processes import read_elsewhere

import wmcontrol
from wmcontrol.data.environment import DrawnFrames
from wmcontrol.data.frames import Frames
from wmcontrol.data.trajectory import Provenance, Trajectory

ALL = pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
WALL = "wmcontrol/Wall-v0"


def episode(env_id: str, seed: int, variation: object = None, size: int = 32) -> tuple[DrawnFrames, np.ndarray]:
    env = gym.make(env_id, image_size=size)
    observation, _ = env.reset(seed=seed, options={"variation": variation})
    env.action_space.seed(seed)
    states, pixels = [env.unwrapped.get_state()], [observation["pixels"]]
    for _ in range(6):
        observation, *_ = env.step(env.action_space.sample())
        states.append(env.unwrapped.get_state())
        pixels.append(observation["pixels"])
    return DrawnFrames(env_id, np.array(states), size, env.unwrapped.variation), np.array(pixels)


def looks(env_id: str) -> list[str]:
    """All variations but the distractors, whose places no variation holds."""
    return [name for name in gym.make(env_id).unwrapped.variations if name != "distractors"]


@ALL
def test_drawn_frames_equal_what_was_seen(env_id: str) -> None:
    varied, seen_varied = episode(env_id, 1, looks(env_id))
    plain, seen_plain = episode(env_id, 2)
    for _ in range(2):  # there and back: looks follow the trajectory
        for frames, seen in ((varied, seen_varied), (plain, seen_plain)):
            assert isinstance(frames, DrawnFrames)
            assert len(frames) == 7
            np.testing.assert_array_equal(frames.read(range(7)), seen)
            np.testing.assert_array_equal(frames.read([5, 0, 5]), seen[[5, 0, 5]])
            np.testing.assert_array_equal(frames.read(np.array([2])), seen[2:3])
            assert frames.read([]).shape == (0, 32, 32, 3)


@pytest.mark.parametrize(
    ("env_id", "settings"),
    [("wmcontrol/PushT-v0", {"success": "coverage"}), ("wmcontrol/PointMaze_UMaze-v0", {"maze": "medium"})],
)
def test_what_the_environment_was_made_with_shows(env_id: str, settings: dict[str, str]) -> None:
    env = gym.make(env_id, image_size=32, **settings)
    observation, _ = env.reset(seed=0)
    states = env.unwrapped.get_state()[None]
    usual = DrawnFrames(env_id, states, 32).read([0])
    for _ in range(2):
        frames = DrawnFrames(env_id, states, 32, env_settings=settings)
        np.testing.assert_array_equal(frames.read([0])[0], observation["pixels"])
        np.testing.assert_array_equal(DrawnFrames(env_id, states, 32).read([0]), usual)
    assert settings == {"success": "coverage"} or (usual[0] != observation["pixels"]).any()


def test_they_are_the_frames_of_a_trajectory() -> None:
    drawn, seen = episode(WALL, 0)
    frames: Frames = drawn
    provenance = Provenance("test", __import__("pathlib").Path("nowhere"), "episode_0")
    trajectory = Trajectory(times=np.arange(7) / 10, provenance=provenance, frames=frames, states=drawn.states)
    assert trajectory.frames is not None
    np.testing.assert_array_equal(trajectory.frames.read([3]), seen[3:4])


def test_distractors_lie_where_the_first_state_says() -> None:
    env = gym.make(WALL).unwrapped
    env.reset(seed=0, options={"variation": {"distractors": 8}})
    many = [DrawnFrames(WALL, np.array([[10.0 + i, 20.0]]), 64, env.variation) for i in range(2)]
    first, second = (frames.read([0]) for frames in many)
    plain = DrawnFrames(WALL, many[0].states, 64).read([0])
    assert (first != plain).any()
    np.testing.assert_array_equal(many[0].read([0]), first)
    # Two dots one pixel apart differ in few pixels; distractors at other places in many.
    assert (first != second).any(-1).sum() > 200


def _drawn_elsewhere(pickled: bytes, _: int) -> np.ndarray:
    frames = pickle.loads(pickled)
    return np.asarray(frames.read(range(len(frames))))


def test_worker_processes_draw_the_same() -> None:
    frames, seen = episode("wmcontrol/PointMaze_UMaze-v0", 0, looks("wmcontrol/PointMaze_UMaze-v0"))
    frames.read([0])  # this process has an environment of its own by now
    pickled = pickle.dumps(frames)
    assert len(pickled) < 5000
    for there in read_elsewhere(partial(_drawn_elsewhere, pickled), [0, 1]).values():
        np.testing.assert_array_equal(there, [seen, seen])


def test_threads_do_not_change_one_anothers_looks() -> None:
    several = [episode(WALL, seed, looks(WALL)) for seed in range(3)]
    wrong: list[int] = []

    def read(number: int) -> None:
        frames, seen = several[number]
        wrong.extend(number for _ in range(40) if (frames.read(range(7)) != seen).any())

    threads = [threading.Thread(target=read, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not wrong


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(ValueError, match="PointMaze_UMaze-v3"):
        DrawnFrames("PointMaze_UMaze-v3", np.zeros((3, 4)))
    with pytest.raises(ValueError, match=r"states must have shape \(R, 2\)"):
        DrawnFrames(WALL, np.zeros((3, 4))).read([0])
    with pytest.raises(ValueError, match="'gravity'"):
        DrawnFrames(WALL, np.full((3, 2), 20.0), 64, {"gravity": np.zeros(1)}).read([0])
    # A refusal leaves nothing of its looks behind.
    frames, seen = episode(WALL, 0)
    np.testing.assert_array_equal(frames.read(range(7)), seen)
    with pytest.raises(IndexError):
        frames.read([7])
