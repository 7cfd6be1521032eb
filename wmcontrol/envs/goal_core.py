"""Episodes with goals over a batch of worlds: spaces, resets, rewards, observations.

The single and the vector environment share this; they differ only in how they hand it out.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..checks import check_choice, check_whole, listed
from .canvas import Floats, Frames, Rows
from .variation import Values, Variation, resolve
from .world import Bools, Bounds, World

ObsType = Literal["pixels_state", "pixels", "state"]
RewardType = Literal["sparse", "dense"]
Observation = dict[str, NDArray[Any]]

_OPTIONS = ("state", "goal_state", "variation")
_MAX_SIDE = 2**14  # pixels; OpenCV draws no larger pictures
_DRAWS = 1000  # tries to find a start that is not the goal already


class Episode(NamedTuple):
    """How an episode starts: the values of the variations, and two states (n,)."""

    values: Values
    state: Floats
    goal_state: Floats


class Outcome(NamedTuple):
    """What ``R`` worlds show after a reset or a step."""

    observation: Observation  # arrays (R, …)
    rewards: Floats  # (R,)
    success: Bools  # (R,)


class GoalCore:
    """N worlds with goals: what the single and the vector environment have in common.

    Settings are documented in :class:`~wmcontrol.envs.goal_env.GoalEnv`; those that are not named here go to
    ``world_class``, which each environment sets. Rows are independent of one another.
    """

    world_class: type[World]
    action_space: gym.Space[Any]  # of one world, or of all

    def __init__(
        self,
        num_worlds: int,
        *,
        obs_type: ObsType = "pixels_state",
        image_size: int = 64,
        reward_type: RewardType = "sparse",
        terminate_on_success: bool = True,
        variation: object = None,
        render_size: int = 512,
        **world_settings: Any,
    ):
        check_choice("obs_type", obs_type, ObsType)
        check_choice("reward_type", reward_type, RewardType)
        check_whole("image_size", image_size, most=_MAX_SIDE)
        check_whole("render_size", render_size, most=_MAX_SIDE)
        self._world = world = self.world_class(num_worlds, **world_settings)
        resolve(variation, world.variations, np.random.default_rng(0))  # refused here, if at all
        self._layout = ActionLayout.of(self._one_action_space())
        self._variation = variation
        self._obs_type = obs_type
        self._image_size = image_size
        self._reward_type = reward_type
        self._terminate_on_success = terminate_on_success
        self.render_size = render_size
        self._all_rows = np.arange(num_worlds)
        self._started = np.zeros(num_worlds, dtype=bool)
        self._clipped = np.zeros(num_worlds, dtype=np.int64)
        self._desired = np.zeros((num_worlds, world.goal_bounds.low.size))
        self._goal_pixels: Frames | None = None
        if obs_type != "state":
            self._goal_pixels = np.zeros((num_worlds, image_size, image_size, 3), np.uint8)
        if obs_type != "pixels":
            # An attribute, not a method: its presence tells Stable-Baselines3 that observations have goals.
            self.compute_reward = self._compute_reward

    @property
    def control_rate(self) -> float:
        """Actions per second, Hz."""
        return self._world.control_rate

    @property
    def state_labels(self) -> tuple[str, ...]:
        """What the n numbers of a state are."""
        return self._world.state_labels

    @property
    def length_unit(self) -> str:
        """What places in a state are counted in."""
        return self._world.length_unit

    @property
    def observed_variations(self) -> tuple[str, ...]:
        """The variations whose values, one number each, follow the state in the vector observation."""
        return self._world.redrawn

    @property
    def variations(self) -> dict[str, Variation]:
        """What ``reset(options={"variation": …})`` may change, with ranges and defaults."""
        return dict(self._world.variations)

    def draw(self, states: NDArray[Any]) -> NDArray[np.uint8]:
        """Draw what an agent's ``pixels`` would be in states (R, n) of the (first) world's episode; nothing moves.

        Returns:
            (R, image_size, image_size, 3), equal to the observation's ``pixels`` in these states bit for bit.

        Raises:
            ValueError: the states have a wrong shape, or are not finite.
        """
        asked = self._asked("draw", states)
        if not len(asked):
            return np.zeros((0, self._image_size, self._image_size, 3), np.uint8)
        return self._world.draw(np.zeros(len(asked), np.intp), asked, self._image_size)

    def places(self, states: NDArray[Any], size: int) -> Floats:
        """Return where things would be in frames in states (R, n) of the (first) world's episode; nothing moves.

        Args:
            states: (R, n).
            size: of the frames, pixels.

        Returns:
            (R, q, 2), column and row of each thing that ``state_labels`` names an x and a y of, as the agent, in the
            order of the labels; pixel centres are whole numbers.

        Raises:
            ValueError: the states have a wrong shape, or are not finite.
        """
        asked = self._asked("places", states)
        return self._world.places(np.zeros(len(asked), np.intp), asked, size)

    def _asked(self, verb: str, states: NDArray[Any]) -> Floats:
        """Return states that something is asked of, as numbers; refuse what are none."""
        self._check_started(verb)
        asked, labels = as_numbers("states", states), self.state_labels
        if asked.ndim != 2 or asked.shape[1] != len(labels):
            raise ValueError(f"states must have shape (R, {len(labels)}): {listed(labels)}; got {asked.shape}")
        finite = np.isfinite(asked).all(1)
        if not finite.all():
            raise ValueError(f"states[{finite.argmin()}] is not finite: {asked[finite.argmin()].tolist()}")
        return asked

    # Spaces of one world

    def _one_action_space(self) -> gym.Space[Any]:
        bounds = self._world.action_bounds
        if self._world.action_space is not None:
            return self._world.action_space
        return gym.spaces.Box(bounds.low.astype(np.float32), bounds.high.astype(np.float32), dtype=np.float32)

    def _one_observation_space(self) -> gym.spaces.Dict:
        def box(bounds: Bounds) -> gym.spaces.Box:
            return gym.spaces.Box(bounds.low, bounds.high, dtype=np.float64)

        spaces: dict[str, gym.Space[Any]] = {}
        if self._obs_type != "state":
            image = gym.spaces.Box(0, 255, (self._image_size, self._image_size, 3), np.uint8)
            spaces |= {"pixels": image, "goal_pixels": image}
        if self._obs_type != "pixels":
            goal = box(self._world.goal_bounds)
            observation = box(self._world.observation_bounds)
            spaces |= {"observation": observation, "achieved_goal": goal, "desired_goal": goal}
        return gym.spaces.Dict(spaces)

    # Episodes

    def _prepare(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Episode:
        """Decide how an episode starts, without starting it.

        Raises:
            ValueError: an unknown option or variation, or an impossible state.
        """
        options = {} if options is None else options
        if not isinstance(options, Mapping):
            raise TypeError(f"options must be a mapping with any of {list(_OPTIONS)}, got {options!r}")
        unknown = [key for key in options if key not in _OPTIONS]
        if unknown:
            raise ValueError(f"options has unknown {unknown}; known are {list(_OPTIONS)}")
        asked = options.get("variation", self._variation)
        before = rng.bit_generator.state
        try:
            values = resolve(asked, self._world.variations, rng, self._world.redrawn)
            return Episode(values, *self._start_and_goal(values, rng, options))
        except (ValueError, TypeError):
            rng.bit_generator.state = before  # what is refused leaves no trace
            raise

    def _start_and_goal(
        self, values: Values, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> tuple[Floats, Floats]:
        world = self._world
        given = []
        for name in ("state", "goal_state"):
            value = options.get(name)
            given.append(
                value if value is None else self._check_state(value, f'options["{name}"]', values, world.refuse)
            )
        if given[0] is not None and given[1] is not None:
            return given[0], given[1]
        for _ in range(_DRAWS):
            drawn = world.sample(values, rng)
            start, goal = (d if g is None else g for g, d in zip(given, drawn, strict=True))
            if world.is_task(values, start, goal):
                return start, goal
        raise ValueError(
            f"{_DRAWS} draws gave no task that is not already done: is what is given at the goal already? "
            'Give options["state"] and options["goal_state"] both to start there all the same'
        )

    def _start(self, rows: Rows, episodes: Sequence[Episode], rngs: Sequence[np.random.Generator]) -> None:
        """Start the episodes in these worlds."""
        world = self._world
        for row, episode, rng in zip(rows, episodes, rngs, strict=True):
            world.vary(int(row), episode.values, rng)
        if len(rows):
            world.set_states(rows, np.stack([episode.state for episode in episodes]))
            goals = np.stack([episode.goal_state for episode in episodes])
            world.goal_states[rows] = goals
            self._desired[rows] = world.achieved(goals)
            self._clipped[rows] = 0
            self._started[rows] = True
            if self._goal_pixels is not None:
                self._goal_pixels[rows] = world.draw(rows, goals, self._image_size)

    def _check_started(self, verb: str) -> None:
        if not self._started.all():
            raise RuntimeError(f"call reset() before {verb}()")

    def _check_actions(self, actions: object) -> Floats:
        """Return a user's actions, which have the action space's shape, as vectors."""
        asked = as_numbers("the action", actions)
        if asked.shape != self.action_space.shape:
            raise ValueError(f"the action must have shape {self.action_space.shape}, got {asked.shape}")
        return self._layout.to_vectors(asked)

    def _step(self, rows: Rows, actions: Floats) -> None:
        """Clip actions (R, A) to the bounds, count those that were outside, and apply them."""
        bounds = self._world.action_bounds
        within = (actions >= bounds.low) & (actions <= bounds.high)
        if not within.all():
            if np.isnan(actions).any():
                row = int(np.isnan(actions).any(1).argmax())
                raise ValueError(f"the action of environment {rows[row]} is not a number: {actions[row].tolist()}")
            self._clipped[rows] += ~within.all(1)
            actions = np.clip(actions, bounds.low, bounds.high)
        self._world.step(rows, actions)

    def _outcome(self, rows: Rows) -> Outcome:
        """Return what these worlds look like now, in arrays of their own."""
        world = self._world
        states = world.get_states(rows)
        achieved, desired = world.achieved(states), self._desired[rows]
        success = world.is_success(achieved, desired)
        rewards = success.astype(float) if self._reward_type == "sparse" else world.dense_reward(achieved, desired)
        observation: Observation = {}
        if self._goal_pixels is not None:
            observation["pixels"] = world.draw(rows, states, self._image_size)
            observation["goal_pixels"] = self._goal_pixels[rows]
        if self._obs_type != "pixels":
            observation["observation"] = world.observe(rows, states)
            observation["achieved_goal"] = achieved
            observation["desired_goal"] = desired
        return Outcome(observation, rewards, success)

    def _compute_reward(self, achieved_goal: NDArray[Any], desired_goal: NDArray[Any], info: Any) -> Any:
        """Reward goals (…, g) without stepping: what ``step`` returns for the same goals. ``info`` is not read."""
        achieved, desired = np.asarray(achieved_goal, float), np.asarray(desired_goal, float)
        size = self._world.goal_bounds.low.size
        if achieved.shape[-1:] != (size,) or desired.shape[-1:] != (size,):
            raise ValueError(f"goals must have shape (…, {size}), got {achieved.shape} and {desired.shape}")
        if self._reward_type == "sparse":
            rewards = self._world.is_success(achieved, desired).astype(float)
        else:
            rewards = self._world.dense_reward(achieved, desired)
        return rewards if rewards.ndim else float(rewards)

    def _check_state(
        self, value: object, key: str, values: Values, refuse: Callable[[Values, Floats], str | None]
    ) -> Floats:
        """Return a user's state as (n,), velocities filled in.

        Args:
            value: what was given.
            key: what it is called in errors.
            values: of the variations of the world that it is for.
            refuse: ``World.refuse`` for a start or a goal, ``World.in_wall`` for a state within an episode.

        Raises:
            ValueError: a wrong shape, or a state that cannot be.
        """
        world = self._world
        labels, poses = world.state_labels, world.pose_size
        shapes = f"({len(labels)},)" if poses == len(labels) else f"({len(labels)},) or, at rest, ({poses},)"
        state = as_numbers(key, value)
        if state.shape not in {(len(labels),), (poses,)}:
            raise ValueError(f"{key} must have shape {shapes}: {listed(labels)}; got shape {state.shape}")
        state = np.concatenate([state, np.zeros(len(labels) - len(state))])
        bounds = world.state_bounds
        wrong = ~((state >= bounds.low) & (state <= bounds.high))
        if wrong.any():
            i = int(wrong.argmax())
            raise ValueError(
                f"{key}: {labels[i]} must be from {bounds.low[i]:g} to {bounds.high[i]:g}, got {state[i]:g}"
            )
        reason = refuse(values, state)
        if reason is not None:
            raise ValueError(f"{key}: {reason}")
        return state

    def _draw_with_goals(self) -> Frames:
        """Draw all worlds with their goals overlaid, (N, render_size, render_size, 3)."""
        self._check_started("render")
        states = self._world.get_states(self._all_rows)
        return self._world.draw(self._all_rows, states, self.render_size, overlay_goals=True)


def as_numbers(name: str, value: object) -> Floats:
    """Return ``value`` as an array of floats, or raise a ValueError that shows it."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # ragged lists; tensors that need gradients
        raise ValueError(f"{name} must be an array of numbers: {error}") from None
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{name} must be an array of numbers, got {value!r}")
    return array.astype(float)
