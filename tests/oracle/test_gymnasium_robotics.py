"""PointMaze, step for step against gymnasium-robotics."""

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol  # noqa: F401

robotics = pytest.importorskip(
    "gymnasium_robotics", reason='gymnasium-robotics is not installed: pip install "wmcontrol[oracle]"'
)


def to_ours(position: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Theirs is centred, x along columns and y up; ours counts rows and columns, with cells' middles 0.2 before."""
    x, y = position
    row, column = rows / 2 - y - 0.5, x + columns / 2 - 0.5
    return np.array([row - 0.2, column - 0.2])


# Their Medium and Large mazes are D4RL's turned or cut differently; the U is the same in both.
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.filterwarnings("ignore")  # theirs, not ours
def test_same_forces_give_the_same_300_steps(seed: int) -> None:
    gym.register_envs(robotics)
    theirs = gym.make("PointMaze_UMaze-v3", max_episode_steps=1000)
    ours = gym.make(
        "wmcontrol/PointMaze_UMaze-v0",
        obs_type="state",
        frame_skip=1,
        success_radius=0.45,
        terminate_on_success=False,
        max_episode_steps=1000,
    )
    observation, _ = theirs.reset(seed=seed)
    point = theirs.unwrapped.point_env
    rows, columns = 5, 5

    def their_state() -> np.ndarray:
        x, y, vx, vy = np.concatenate([point.data.qpos, point.data.qvel])
        return np.concatenate([to_ours(np.array([x, y]), rows, columns), [-vy, vx]])

    goal = to_ours(observation["desired_goal"], rows, columns)
    ours.reset(options={"state": their_state(), "goal_state": goal})
    rng = np.random.default_rng(seed)
    touched = 0
    force = rng.uniform(-1, 1, 2)
    for step in range(300):
        if step % 20 == 0:
            force = rng.uniform(-1, 1, 2)
        # Ours pulls along rows and columns; theirs along x and y.
        action = np.float32([-force[1], force[0]])
        _, _, _, _, their_info = theirs.step(np.array([action[1], -action[0]]))
        got, _, _, _, info = ours.step(action)
        np.testing.assert_allclose(got["observation"], their_state(), atol=1e-6)
        assert info["is_success"] == their_info["success"]
        touched += point.data.ncon > 0
    assert touched > 5, "no wall was touched: the comparison says nothing about contacts"
