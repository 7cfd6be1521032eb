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

from ..checks import check_whole
from .canvas import Rows
from .goal_core import GoalCore, Observation
from .goal_env import RENDER_MODES
from .variation import Values
from .world import Bools


class GoalVectorEnv(GoalCore, VectorEnv[Observation, NDArray[Any], NDArray[Any]]):
    """``N`` environments with goals. Arguments are those of :class:`~wmcontrol.envs.goal_env.GoalEnv`, and:

    Args:
        num_envs: N.
        max_episode_steps: truncate an episode after so many steps; None for never.
        autoreset_mode: as in ``gymnasium.vector``: reset a finished episode in the next step (default; that step's
            action is ignored), in the same step (the last observation is then in ``infos["final_obs"]``), or not at
            all (reset it with ``options={"reset_mask": …}``).
    """

    closed = True  # until it is made: Gymnasium 1.2 closes what is thrown away, also when it was refused

    def __init__(
        self,
        num_envs: int = 1,
        *,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        render_mode: str | None = None,
        **settings: Any,
    ):
        super().__init__(num_envs, **settings)
        if max_episode_steps is not None:
            check_whole("max_episode_steps", max_episode_steps)
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f'render_mode of a vector environment must be None or "rgb_array", got {render_mode!r}')
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {
            "render_modes": RENDER_MODES[:1],
            "render_fps": self.control_rate,
            "autoreset_mode": self.autoreset_mode,
        }
        self.single_observation_space = self._one_observation_space()
        self.single_action_space = self._one_action_space()
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._max_steps = np.inf if max_episode_steps is None else max_episode_steps
        self._generators = [seeding.np_random()[0] for _ in range(num_envs)]
        self._steps = np.zeros(num_envs, dtype=np.int64)
        self._done = np.zeros(num_envs, dtype=bool)
        self.closed = False

    @property
    def variation(self) -> Values:
        """The values that hold now, each (N, k)."""
        return {name: values.copy() for name, values in self._world.values.items()}

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
        if isinstance(seed, (int, np.integer)):
            seed = [int(seed) + row for row in range(self.num_envs)]
        if seed is not None and (not isinstance(seed, Sequence) or len(seed) != self.num_envs):
            raise ValueError(f"seed must be an int or {self.num_envs} of them, got {seed!r}")
        for row in rows:
            if seed is not None and seed[row] is not None:
                self._generators[row] = seeding.np_random(seed[row])[0]
        self._reset(rows, [self._options_of(row, options) for row in range(self.num_envs)])
        outcome = self._outcome(self._all_rows)
        return outcome.observation, self._infos(rows, outcome.success)

    def step(self, actions: NDArray[Any]) -> tuple[Observation, NDArray[np.float64], Bools, Bools, dict[str, Any]]:
        """Apply actions (N, A). Out of bounds they are clipped; NaN or a wrong shape is a ValueError."""
        asked = self._check_actions(actions)
        self._check_started("step")
        if self._done.any() and self.autoreset_mode == AutoresetMode.DISABLED:
            raise RuntimeError(
                f'episodes {np.flatnonzero(self._done).tolist()} are over: reset(options={{"reset_mask": …}}) first'
            )
        running = np.flatnonzero(~self._done)
        fresh = self._done  # episodes that start in this step; only ever with AutoresetMode.NEXT_STEP
        self._step(running, asked[running])
        self._steps[running] += 1
        self._reset(np.flatnonzero(fresh))

        outcome = self._outcome(self._all_rows)
        rewards = np.where(fresh, 0.0, outcome.rewards)
        terminated = outcome.success & ~fresh if self._terminate_on_success else np.zeros(self.num_envs, bool)
        truncated = (self._steps >= self._max_steps) & ~fresh
        self._done = terminated | truncated
        observation, infos = outcome.observation, self._infos(self._all_rows, outcome.success)
        if self.autoreset_mode == AutoresetMode.SAME_STEP and self._done.any():
            over = np.flatnonzero(self._done)
            infos = self._final(over, observation, infos)
            self._reset(over)
            new = self._outcome(over)
            for key, values in new.observation.items():
                observation[key][over] = values
            success = outcome.success
            success[over] = new.success
            infos |= self._infos(self._all_rows, success)
        return observation, rewards, terminated, truncated, infos

    def close_extras(self, **_: Any) -> None:
        """Close the worlds."""
        self._world.close()

    def get_state(self) -> NDArray[np.float64]:
        """Return the states (N, n)."""
        self._check_started("get_state")
        return self._world.get_states(self._all_rows)

    def set_state(self, states: NDArray[Any]) -> None:
        """Put the worlds into states (N, n), within their episodes."""
        self._check_started("set_state")
        if np.ndim(states) != 2 or len(states) != self.num_envs:
            raise ValueError(f"states must be {self.num_envs} vectors, got shape {np.shape(states)}")
        checked = []
        for row, state in enumerate(states):
            values = {name: held[row] for name, held in self._world.values.items()}
            checked.append(self._check_state(state, f"states[{row}]", values, self._world.in_wall))
        self._world.set_states(self._all_rows, np.array(checked))

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Draw all worlds with their goals overlaid, each (render_size, render_size, 3)."""
        return None if self.render_mode is None else tuple(self._draw_with_goals())

    def _rows_to_reset(self, mask: NDArray[np.bool_] | None) -> Rows:
        if mask is None:
            return self._all_rows
        if np.shape(mask) != (self.num_envs,) or np.asarray(mask).dtype != bool:
            raise ValueError(f'options["reset_mask"] must be bool of shape ({self.num_envs},), got {mask!r}')
        return np.flatnonzero(mask)

    def _options_of(self, row: int, options: dict[str, Any]) -> dict[str, Any]:
        """Pick one environment's options out of everyone's."""
        mine = dict(options)
        for key, value in options.items():
            if key == "variation":  # a list of names is for all of them
                one_each = isinstance(value, Sequence) and value and not any(isinstance(v, str) for v in value)
            else:
                one_each = np.ndim(value) == 2
            if one_each:
                if len(value) != self.num_envs:
                    raise ValueError(f'options["{key}"] must be one for all or {self.num_envs}, got {len(value)}')
                mine[key] = value[row]
        return mine

    def _reset(self, rows: Rows, options: Sequence[dict[str, Any]] | None = None) -> None:
        rngs = [self._generators[row] for row in rows]
        # All of them are checked before any of them starts.
        episodes = [self._prepare(rng, options[row] if options else None) for row, rng in zip(rows, rngs, strict=True)]
        self._start(rows, episodes, rngs)
        self._steps[rows] = 0
        self._done = self._done.copy()
        self._done[rows] = False

    def _infos(self, rows: Rows, success: Bools) -> dict[str, Any]:
        present = np.zeros(self.num_envs, dtype=bool)
        present[rows] = True
        success = success & present
        values = {"is_success": success, "success": success.copy(), "clipped": self._clipped * present}
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
