"""The single environment over one :class:`~wmcontrol.envs.world.World`."""

from typing import Any, Literal, TypedDict

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from .checks import as_numbers, check_choice, check_positive
from .goal_core import GoalCore, Observation, ObsType, Outcome, RewardType
from .variation import Values, Variation
from .window import Window, why_no_window
from .world import World

RenderMode = Literal["rgb_array", "human"]
RENDER_MODES = ["rgb_array", "human"]


class GoalSettings(TypedDict, total=False):
    """The settings that all environments share, single and vector; see :class:`GoalEnv`."""

    obs_type: ObsType
    image_size: int
    reward_type: RewardType
    terminate_on_success: bool
    variation: object
    render_mode: RenderMode | None
    render_size: int


class GoalEnv(gym.Env[Observation, NDArray[np.float32]]):
    """An environment with goals, in the convention that hindsight replay expects.

    Observations are a flat dict: ``pixels`` and ``goal_pixels`` (image_size, image_size, 3) uint8, and
    ``observation``, ``achieved_goal``, ``desired_goal`` float64. Hindsight replay relabels the vectors but cannot
    relabel ``goal_pixels``: use it with ``obs_type="state"``. ``info`` holds ``is_success`` and ``success`` (the
    same; two libraries read two names) and ``clipped``, how many actions of this episode were out of bounds.

    Args:
        world: one world.
        obs_type: ``"pixels_state"`` for everything, ``"pixels"`` for the two images only, ``"state"`` for the three
            vectors only. With ``"pixels"`` there is no ``compute_reward``, since there are no goals to compute it of.
        image_size: side of ``pixels`` and ``goal_pixels``.
        reward_type: ``"sparse"``, 1 at the goal and else 0, or ``"dense"``, which each environment defines.
        terminate_on_success: whether an episode ends at its goal. Protocols with a fixed budget say False.
        variation: what varies in every episode, as for ``options["variation"]`` of ``reset``, which goes before it.
        render_mode: ``"rgb_array"`` or ``"human"``; the goal is overlaid.
        render_size: side of what ``render`` draws.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 10}  # noqa: RUF012

    def __init__(
        self,
        world: World,
        *,
        obs_type: ObsType = "pixels_state",
        image_size: int = 64,
        reward_type: RewardType = "sparse",
        terminate_on_success: bool = True,
        variation: object = None,
        render_mode: RenderMode | None = None,
        render_size: int = 512,
    ):
        self._core = GoalCore(world, obs_type, image_size, reward_type, variation)
        self._rows = self._core.all_rows
        self._terminate_on_success = terminate_on_success
        self._window: Window | None = None
        self._started = False
        if render_mode is not None:
            check_choice("render_mode", render_mode, RenderMode)
        check_positive("render_size", render_size)
        no_window = why_no_window()
        if render_mode == "human" and no_window:
            raise RuntimeError(no_window)
        self.render_mode = render_mode
        self.render_size = render_size
        # What is possible on this machine, so that Gymnasium's checker does not try what is not.
        modes = RENDER_MODES[:1] if no_window else RENDER_MODES
        self.metadata = {"render_modes": modes, "render_fps": world.control_rate}
        self.observation_space: gym.Space[Any] = self._core.observation_space()
        self.action_space: gym.Space[Any] = self._core.action_space()
        if obs_type != "pixels":
            # An attribute, not a method: its presence tells Stable-Baselines3 that observations have goals.
            self.compute_reward = self._compute_reward

    @property
    def control_rate(self) -> float:
        """Actions per second, Hz."""
        return self._core.world.control_rate

    @property
    def state_labels(self) -> tuple[str, ...]:
        """What the n numbers of ``get_state()`` are."""
        return self._core.world.state_labels

    @property
    def observed_variations(self) -> tuple[str, ...]:
        """The variations whose values, one number each, follow the state in the vector observation."""
        return self._core.world.redrawn

    @property
    def variations(self) -> dict[str, Variation]:
        """What ``reset(options={"variation": …})`` may change, with ranges and defaults."""
        return dict(self._core.world.variations)

    @property
    def variation(self) -> Values:
        """The values that hold in this episode."""
        return {name: values[0].copy() for name, values in self._core.world.values.items()}

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
        super().reset(seed=seed)
        episode = self._core.prepare(self.np_random, options)
        self._core.start(self._rows, [episode], [self.np_random])
        self._started = True
        if self.render_mode == "human":
            self.render()
        outcome = self._core.outcome(self._rows)
        return _first(outcome.observation), self._info(outcome)

    def step(self, action: NDArray[Any]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Apply one action. Out of bounds it is clipped; NaN or a wrong shape is a ValueError."""
        self._check_started("step")
        self._core.step(self._rows, as_numbers("the action", action)[None])
        if self.render_mode == "human":
            self.render()
        outcome = self._core.outcome(self._rows)
        info = self._info(outcome)
        terminated = info["is_success"] and self._terminate_on_success
        return _first(outcome.observation), float(outcome.rewards[0]), terminated, False, info

    def get_state(self) -> NDArray[np.float64]:
        """Return the state, a flat vector; what it holds stands in each environment's docstring."""
        self._check_started("get_state")
        state: NDArray[np.float64] = self._core.world.get_states(self._rows)[0]
        return state

    def set_state(self, state: NDArray[Any]) -> None:
        """Put the world into a state, within the episode. The next observation comes from the next step."""
        self._check_started("set_state")
        self._core.world.set_states(self._rows, self._core.check_state_within(0, state, "state")[None])

    def draw(self, states: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw what an agent's ``pixels`` would be in states (R, n), with this episode's looks; nothing moves.

        Returns:
            (R, image_size, image_size, 3), equal to the observation's ``pixels`` in these states bit for bit.

        Raises:
            ValueError: the states have a wrong shape, or are not finite.
        """
        self._check_started("draw")
        world, size = self._core.world, self._core.image_size
        asked = as_numbers("states", states)
        labels = world.state_labels
        if asked.ndim != 2 or asked.shape[1] != len(labels):
            raise ValueError(f"states must have shape (R, {len(labels)}): {', '.join(labels)}; got {asked.shape}")
        finite = np.isfinite(asked).all(1)
        if not finite.all():
            raise ValueError(f"states[{finite.argmin()}] is not finite: {asked[finite.argmin()].tolist()}")
        if not len(asked):
            return np.zeros((0, size, size, 3), np.uint8)
        return world.draw(np.zeros(len(asked), np.intp), asked, size)

    def render(self) -> NDArray[np.uint8] | None:
        """Draw the world with its goal overlaid: (render_size, render_size, 3), or show it in a window."""
        if self.render_mode is None:
            return None
        self._check_started("render")
        core = self._core
        states = core.world.get_states(self._rows)
        frame: NDArray[np.uint8] = core.world.draw(self._rows, states, self.render_size, overlay_goals=True)[0]
        if self.render_mode == "rgb_array":
            return frame
        if self._window is None:
            self._window = Window(type(self).__name__)
        self._window.show(frame, core.world.control_rate)
        return None

    def close(self) -> None:
        """Close the window, if there is one."""
        if self._window is not None:
            self._window.close()
            self._window = None

    def _compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> Any:
        """Reward goals (…, g) without stepping: what ``step`` returns for the same goals. ``info`` is not read."""
        rewards = self._core.compute_reward(achieved_goal, desired_goal)
        return rewards if rewards.ndim else float(rewards)

    def _check_started(self, verb: str) -> None:
        if not self._started:
            raise RuntimeError(f"call reset() before {verb}()")

    def _info(self, outcome: Outcome) -> dict[str, Any]:
        success = bool(outcome.success[0])
        return {"is_success": success, "success": success, "clipped": int(self._core.clipped[0])}


def _first(observation: Observation) -> Observation:
    return {key: value[0] for key, value in observation.items()}
