"""OGBench's pointmaze-medium-v0 (``pip install ogbench``): a ball that is moved through a maze."""

from functools import cache
from typing import Any

import gymnasium as gym
import numpy as np
import ogbench  # noqa: F401  (registers it)
from numpy.typing import NDArray

from wmcontrol.envs import register_goal_env


class Seeded(gym.Wrapper[Any, Any, Any, Any]):
    """Starts in a cell that follows from the seed, and closes its renderer.

    OGBench draws from NumPy's global generator, and leaves renderers to the end of the process, which is too late.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset it, and put the ball in a free cell."""
        super().reset(seed=seed, options={"task_id": 1})
        env: Any = self.unwrapped
        env.set_xy(place(env.np_random))
        return env.get_ob(), {}

    def close(self) -> None:
        """Close it, and the renderer in its own context: MuJoCo frees by numbers, which others have too."""
        env: Any = self.unwrapped
        if env.custom_renderer is not None:
            env.custom_renderer._gl_context.make_current()
            env.custom_renderer.close()
        super().close()


def make() -> gym.Env[Any, Any]:
    """Make one whose own goal, which is not ours, is not drawn."""
    env = gym.make("pointmaze-medium-v0", render_mode="rgb_array", width=64, height=64, add_noise_to_goal=False)
    model: Any = env.unwrapped.model
    model.vis.quality.shadowsize = 0
    model.geom("target").rgba[3] = 0
    return Seeded(env)


@cache
def free_cells() -> NDArray[np.float64]:
    """Return the centres (N, 2) of the cells without a wall, which are 4 wide."""
    env = gym.make("pointmaze-medium-v0")
    maze: Any = env.unwrapped
    cells = np.array([maze.ij_to_xy(cell) for cell in np.argwhere(maze.maze_map == 0)])
    env.close()
    return cells


def place(rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw a place (2,): a free cell, and up to 1 from its centre, as OGBench does."""
    return np.asarray(rng.choice(free_cells()) + rng.uniform(-1, 1, 2))


def goal(rng: np.random.Generator, start: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw a goal state (4,): anywhere, at rest."""
    return np.concatenate([place(rng), np.zeros(len(start) - 2)])


def success(states: Any, goals: Any) -> Any:
    """Say which balls are within 1 of their goals, as OGBench does of points; the maze is 24 wide."""
    return np.linalg.norm((states - goals)[..., :2], axis=-1) <= 1


register_goal_env("examples/OGBenchMaze-v0", make, success=success, goal=goal)
