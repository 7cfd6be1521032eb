"""The vector environment over ``N`` worlds: stepped in batch, drawn in one call.

Row ``i`` does, step for step, what a single environment with the same seed does.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from .checks import as_numbers, check_positive
from .goal_core import GoalCore, Observation, ObsType, RewardType
from .goal_env import RENDER_MODES, GoalSettings
from .variation import Values, Variation
from .world import Bools, Rows, World


class VectorSettings(GoalSettings, total=False):
    """The settings of all vector environments; see :class:`GoalVectorEnv`."""

    max_episode_steps: int | None
    autoreset_mode: AutoresetMode | str


class GoalVectorEnv(VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """``N`` environments with goals. Arguments are those of :class:`~wmcontrol.envs.goal_env.GoalEnv`, and:

    Args:
        world: N worlds.
        max_episode_steps: truncate an episode after so many steps; None for never.
        autoreset_mode: as in ``gymnasium.vector``: reset a finished episode in the next step (default; that step's
            action is ignored), in the same step (the last observation is then in ``infos["final_obs"]``), or not at
            all (reset it with ``options={"reset_mask": …}``).
    """

    def __init__(
        self,
        world: World,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        obs_type: ObsType = "pixels_state",
        image_size: int = 64,
        reward_type: RewardType = "sparse",
        terminate_on_success: bool = True,
        variation: object = None,
        render_mode: str | None = None,
        render_size: int = 512,
    ):
        self._core = GoalCore(world, obs_type, image_size, reward_type, variation)
        if max_episode_steps is not None:
            check_positive("max_episode_steps", max_episode_steps)
        check_positive("render_size", render_size)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode of a vector environment must be None or "rgb_array", got {render_mode!r}')
        self.num_envs = world.num_worlds
        self.render_mode = render_mode
        self.render_size = render_size
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": RENDER_MODES[:1],
            "render_fps": world.control_rate,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self._core.observation_space()
        self.single_action_space = self._core.action_space()
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._max_steps = np.inf if max_episode_steps is None else max_episode_steps
        self._terminate_on_success = terminate_on_success
        self._generators = [seeding.np_random()[0] for _ in range(self.num_envs)]
        self._steps = np.zeros(self.num_envs, dtype=np.int64)
        self._done = np.zeros(self.num_envs, dtype=bool)
        self._started = np.zeros(self.num_envs, dtype=bool)

    @property
    def control_rate(self) -> float:
        """Actions per second, Hz."""
        return self._core.world.control_rate

    @property
    def variations(self) -> dict[str, Variation]:
        """What ``reset(options={"variation": …})`` may change, with ranges and defaults."""
        return dict(self._core.world.variations)

    @property
    def variation(self) -> Values:
        """The values that hold now, each (N, k)."""
        return {name: values.copy() for name, values in self._core.world.values.items()}

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: one for each environment, or an int ``s`` for ``s, s + 1, …``.
            options: as for the single environment, with ``"state"`` and ``"goal_state"`` for all (n,) or one for
                each (N, n), and ``"variation"`` for all or a list of N mappings; and ``"reset_mask"`` (N,) bool to
                reset some only.
        """
        if options is not None and not isinstance(options, Mapping):
            raise TypeError(f"options must be a mapping, got {options!r}")
        options = dict(options or {})
        rows = self._rows_to_reset(options.pop("reset_mask", None))
        seeds: Sequence[int | None]
        if seed is None:
            seeds = [None] * self.num_envs
        elif isinstance(seed, (int, np.integer)):
            seeds = [int(seed) + i for i in range(self.num_envs)]
        elif isinstance(seed, Sequence):
            seeds = seed
        else:
            raise TypeError(f"seed must be an int or {self.num_envs} of them, got {seed!r}")
        if len(seeds) != self.num_envs:
            raise ValueError(f"seed must be an int or {self.num_envs} of them, got {len(seeds)}")
        for row in rows:
            if seeds[row] is not None:
                self._generators[row] = seeding.np_random(seeds[row])[0]
        self._reset(rows, [self._options_of(row, options) for row in range(self.num_envs)])
        outcome = self._core.outcome(self._core.all_rows)
        return outcome.observation, self._infos(rows, outcome.success)

    def step(self, actions: NDArray[Any]) -> tuple[Observation, NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Apply actions (N, A). Out of bounds they are clipped; NaN or a wrong shape is a ValueError."""
        core = self._core
        actions = as_numbers("actions", actions)
        if actions.shape != self.action_space.shape:
            raise ValueError(f"actions must have shape {self.action_space.shape}, got {actions.shape}")
        self._check_started("step")
        if self._done.any() and self.autoreset_mode == AutoresetMode.DISABLED:
            raise RuntimeError(
                f'episodes {np.flatnonzero(self._done).tolist()} are over: reset(options={{"reset_mask": …}}) first'
            )
        running = np.flatnonzero(~self._done)
        fresh = self._done  # episodes that start in this step; only ever with AutoresetMode.NEXT_STEP
        core.step(running, actions[running])
        self._steps[running] += 1
        self._reset(np.flatnonzero(fresh))

        outcome = core.outcome(core.all_rows)
        rewards = np.where(fresh, 0.0, outcome.rewards)
        terminated = outcome.success & ~fresh if self._terminate_on_success else np.zeros(self.num_envs, bool)
        truncated = (self._steps >= self._max_steps) & ~fresh
        self._done = terminated | truncated
        observation, infos = outcome.observation, self._infos(core.all_rows, outcome.success)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._done.any():
            over = np.flatnonzero(self._done)
            infos = self._final(over, observation, infos)
            self._reset(over)
            new = core.outcome(over)
            for key, values in new.observation.items():
                observation[key][over] = values
            success = outcome.success
            success[over] = new.success
            infos |= self._infos(core.all_rows, success)
        return observation, rewards, terminated, truncated, infos

    def get_state(self) -> NDArray[np.float64]:
        """Return the states (N, n)."""
        self._check_started("get_state")
        return self._core.world.get_states(self._core.all_rows)

    def set_state(self, states: NDArray[Any]) -> None:
        """Put the worlds into states (N, n), within their episodes."""
        self._check_started("set_state")
        if np.ndim(states) != 2 or len(states) != self.num_envs:
            raise ValueError(f"states must be {self.num_envs} vectors, got shape {np.shape(states)}")
        checked = [self._core.check_state_within(i, state, f"states[{i}]") for i, state in enumerate(states)]
        self._core.world.set_states(self._core.all_rows, np.array(checked))

    def compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> Any:
        """Reward goals (…, g) without stepping. ``info`` is not read."""
        return self._core.compute_reward(achieved_goal, desired_goal)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw all worlds with their goals overlaid, each (render_size, render_size, 3)."""
        if self.render_mode is None:
            return None
        self._check_started("render")
        core = self._core
        return tuple(core.world.draw(core.all_rows, self.get_state(), self.render_size, overlay_goals=True))

    def _check_started(self, verb: str) -> None:
        if not self._started.all():
            raise RuntimeError(f"call reset() before {verb}()")

    def _rows_to_reset(self, mask: NDArray[np.bool_] | None) -> Rows:
        if mask is None:
            return self._core.all_rows
        if np.shape(mask) != (self.num_envs,) or np.asarray(mask).dtype != bool:
            raise ValueError(f'options["reset_mask"] must be bool of shape ({self.num_envs},), got {mask!r}')
        return np.flatnonzero(mask)

    def _options_of(self, row: int, options: dict[str, Any]) -> dict[str, Any]:
        """Pick one environment's options out of everyone's."""
        mine = dict(options)
        for key in ("state", "goal_state"):
            if key in mine and np.ndim(mine[key]) == 2:
                if len(mine[key]) != self.num_envs:
                    raise ValueError(f'options["{key}"] must be one state or {self.num_envs}, got {len(mine[key])}')
                mine[key] = mine[key][row]
        asked = mine.get("variation")
        if isinstance(asked, Sequence) and asked and all(a is None or isinstance(a, Mapping) for a in asked):
            if len(asked) != self.num_envs:
                raise ValueError(f'options["variation"] must be for all or {self.num_envs}, got {len(asked)}')
            mine["variation"] = asked[row]
        return mine

    def _reset(self, rows: Rows, options: Sequence[dict[str, Any]] | None = None) -> None:
        rngs = [self._generators[row] for row in rows]
        # All of them are checked before any of them starts.
        episodes = [
            self._core.prepare(rng, options[row] if options else None) for row, rng in zip(rows, rngs, strict=True)
        ]
        self._core.start(rows, episodes, rngs)
        self._steps[rows] = 0
        self._done = self._done.copy()
        self._done[rows] = False
        self._started[rows] = True

    def _infos(self, rows: Rows, success: Bools) -> dict[str, Any]:
        present = np.zeros(self.num_envs, dtype=bool)
        present[rows] = True
        success = success & present
        values = {"is_success": success, "success": success.copy(), "clipped": self._core.clipped * present}
        return {**values, **{f"_{key}": present.copy() for key in values}}

    def _final(self, over: Rows, observation: Observation, infos: dict[str, Any]) -> dict[str, Any]:
        """Keep what finished episodes ended with, as ``gymnasium.vector.SyncVectorEnv`` does."""
        present = np.zeros(self.num_envs, dtype=bool)
        present[over] = True
        final_obs = np.full(self.num_envs, None, dtype=object)
        for row in over:
            final_obs[row] = {key: value[row].copy() for key, value in observation.items()}
        final_info = {key: value & present if value.dtype == bool else value * present for key, value in infos.items()}
        return {"final_obs": final_obs, "_final_obs": present, "final_info": final_info, "_final_info": present.copy()}
