"""The single environment over one :class:`~wmcontrol.envs.world.World`."""

import os
import sys
from typing import Any, Literal

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..checks import check_choice
from .goal_core import GoalCore, Observation, Outcome
from .variation import Values

RenderMode = Literal["rgb_array", "human"]
RENDER_MODES = ["rgb_array", "human"]


class GoalEnv(GoalCore, gym.Env[Observation, NDArray[np.float32]]):
    """An environment with goals, in the convention that hindsight replay expects.

    Observations are a flat dict: ``pixels`` and ``goal_pixels`` (image_size, image_size, 3) uint8, and
    ``observation``, ``achieved_goal``, ``desired_goal`` float64. Hindsight replay relabels the vectors but cannot
    relabel ``goal_pixels``: use it with ``obs_type="state"``. ``info`` holds ``is_success`` and ``success`` (the
    same; two libraries read two names) and ``clipped``, how many actions of this episode were out of bounds.

    Args:
        obs_type: ``"pixels_state"`` for everything, ``"pixels"`` for the two images only, ``"state"`` for the three
            vectors only. With ``"pixels"`` there is no ``compute_reward``, since there are no goals to compute it of.
        image_size: side of ``pixels`` and ``goal_pixels``.
        reward_type: ``"sparse"``, 1 at the goal and else 0, or ``"dense"``, which each environment defines.
        terminate_on_success: whether an episode ends at its goal. Protocols with a fixed budget say False.
        variation: what varies in every episode, as for ``options["variation"]`` of ``reset``, which goes before it.
        render_mode: ``"rgb_array"`` or ``"human"``; the goal is overlaid.
        render_size: side of what ``render`` draws.
        settings: of the environment itself.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 10}  # noqa: RUF012

    def __init__(self, *, render_mode: RenderMode | None = None, **settings: Any):
        super().__init__(1, **settings)
        if render_mode is not None:
            check_choice("render_mode", render_mode, RenderMode)
        no_window = _why_no_window()
        if render_mode == "human" and no_window:
            raise RuntimeError(no_window)
        self.render_mode = render_mode
        self._window_is_open = False
        # What is possible on this machine, so that Gymnasium's checker does not try what is not.
        modes = RENDER_MODES[:1] if no_window else RENDER_MODES
        self.metadata = {"render_modes": modes, "render_fps": self.control_rate}
        self.observation_space: gym.Space[Any] = self._one_observation_space()
        self.action_space = self._one_action_space()

    @property
    def variation(self) -> Values:
        """The values that hold in this episode."""
        return {name: values[0].copy() for name, values in self._world.values.items()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode.

        Args:
            seed: makes the episode, and those after it, reproducible.
            options: ``"state"`` and ``"goal_state"``, vectors as ``get_state`` returns them, or without velocities;
                and ``"variation"``, for this episode: ``"all"`` or names to draw, or names with values (see
                ``variations``).

        Raises:
            ValueError: an unknown option, or an impossible state; it names the key and the range.
        """
        gym.Env.reset(self, seed=seed)
        self._start(self._all_rows, [self._prepare(self.np_random, options)], [self.np_random])
        if self.render_mode == "human":
            self.render()
        outcome = self._outcome(self._all_rows)
        return _first(outcome.observation), self._info(outcome)

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Apply one action. Out of bounds it is clipped; NaN or a wrong shape is a ValueError."""
        self._check_started("step")
        self._step(self._all_rows, self._check_actions(action)[None])
        if self.render_mode == "human":
            self.render()
        outcome = self._outcome(self._all_rows)
        info = self._info(outcome)
        terminated = info["is_success"] and self._terminate_on_success
        return _first(outcome.observation), float(outcome.rewards[0]), terminated, False, info

    def get_state(self) -> NDArray[np.float64]:
        """Return the state, a flat vector; what it holds stands in each environment's docstring."""
        self._check_started("get_state")
        state: NDArray[np.float64] = self._world.get_states(self._all_rows)[0]
        return state

    def set_state(self, state: NDArray[Any]) -> None:
        """Put the world into a state, within the episode. The next observation comes from the next step."""
        self._check_started("set_state")
        checked = self._check_state(state, "state", self.variation, self._world.in_wall)
        self._world.set_states(self._all_rows, checked[None])

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the world with its goal overlaid: (render_size, render_size, 3), or show it in a window."""
        if self.render_mode is None:
            return None
        frame: NDArray[np.uint8] = self._draw_with_goals()[0]
        if self.render_mode == "rgb_array":
            return frame
        self._window_is_open = True
        cv2.imshow(type(self).__name__, frame[..., ::-1])
        cv2.waitKey(max(1, round(1000 / self.control_rate)))  # one control period
        return None

    def close(self) -> None:
        """Close the world, and the window if there is one."""
        self._world.close()
        if self._window_is_open:
            cv2.destroyWindow(type(self).__name__)
            self._window_is_open = False

    def _info(self, outcome: Outcome) -> dict[str, Any]:
        success = bool(outcome.success[0])
        return {"is_success": success, "success": success, "clipped": int(self._clipped[0])}


def _first(observation: Observation) -> Observation:
    return {key: value[0] for key, value in observation.items()}


def _why_no_window() -> str | None:
    """Say why no window can be opened here and what to do about it, or return None if one can."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return (
            'render_mode="human" needs a display, and neither DISPLAY nor WAYLAND_DISPLAY is set; '
            'use render_mode="rgb_array" and save the frames, or connect with a display'
        )
    gui = [line for line in cv2.getBuildInformation().splitlines() if line.strip().startswith("GUI:")]
    if gui and "NONE" in gui[0]:
        return (
            'render_mode="human" needs an OpenCV that can open windows, and the one installed is headless: '
            "pip uninstall opencv-python-headless, then pip install opencv-python"
        )
    return None
