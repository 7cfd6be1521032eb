"""OGBench's pointmaze-medium-v0 (``pip install ogbench``): a ball that is moved through a maze."""

from typing import Any

import gymnasium as gym
import numpy as np
import ogbench  # noqa: F401  (registers it)

from wmcontrol.envs import register_goal_env


class Seeded(gym.Wrapper[Any, Any, Any, Any]):
    """Starts in a cell that follows from the seed, and closes its renderer.

    OGBench draws from NumPy's global generator, and leaves renderers to the end of the process, which is too late.
    """

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Reset it, and put the ball in a free cell."""
        super().reset(seed=seed, options={"task_id": 1})
        env: Any = self.unwrapped
        cells = np.argwhere(env.maze_map == 0)
        env.set_xy(np.array(env.ij_to_xy(env.np_random.choice(cells))) + env.np_random.uniform(-1, 1, 2))
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


def success(states: Any, goals: Any) -> Any:
    """Say which balls are within 0.5 of their goals, as OGBench does; the maze is 24 wide."""
    return np.linalg.norm((states - goals)[..., :2], axis=-1) < 0.5


register_goal_env("examples/OGBenchMaze-v0", make, success=success)
