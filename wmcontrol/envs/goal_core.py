"""Episodes with goals over a batch of worlds: spaces, resets, rewards, observations.

The single and the vector environment share this; they differ only in how they hand it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from . import variation
from .canvas import Floats, Frames
from .checks import as_numbers, check_choice, check_positive
from .world import Bools, Bounds, Rows, World

ObsType = Literal["pixels_state", "pixels", "state"]
RewardType = Literal["sparse", "dense"]
Observation = dict[str, NDArray[Any]]

_OPTIONS = ("state", "goal_state", "variation")
_MAX_SIDE = 2**14  # pixels; OpenCV draws no larger pictures
_DRAWS = 1000  # tries to find a start that is not the goal already


@dataclass(frozen=True)
class Episode:
    """How an episode starts: the values of the variations, and two states (n,)."""

    values: variation.Values
    state: Floats
    goal_state: Floats


class Outcome(NamedTuple):
    """What ``R`` worlds show after a reset or a step."""

    observation: Observation  # arrays (R, …)
    rewards: Floats  # (R,)
    success: Bools  # (R,)


class GoalCore:
    """Goals, observations and rewards of N worlds. Rows are independent of one another."""

    def __init__(
        self, world: World, obs_type: ObsType, image_size: int, reward_type: RewardType, asked_variation: object
    ):
        check_choice("obs_type", obs_type, ObsType)
        check_choice("reward_type", reward_type, RewardType)
        check_positive("image_size", image_size)
        if image_size > _MAX_SIDE:
            raise ValueError(f"image_size must be at most {_MAX_SIDE} pixels, got {image_size!r}")
        self.world = world
        self.obs_type = obs_type
        self.image_size = image_size
        self.reward_type = reward_type
        variation.resolve(asked_variation, world.variations, np.random.default_rng(0))  # refused here, if at all
        self.variation = asked_variation
        self.all_rows = np.arange(world.num_worlds)
        self.desired = np.zeros((world.num_worlds, world.goal_bounds.low.size))
        self.clipped = np.zeros(world.num_worlds, dtype=np.int64)
        self.goal_pixels: Frames | None = None
        if obs_type != "state":
            self.goal_pixels = np.zeros((world.num_worlds, image_size, image_size, 3), np.uint8)

    # Spaces of one world

    def action_space(self) -> gym.spaces.Box:
        """Return the space of one world's action."""
        bounds = self.world.action_bounds
        return gym.spaces.Box(bounds.low.astype(np.float32), bounds.high.astype(np.float32), dtype=np.float32)

    def observation_space(self) -> gym.spaces.Dict:
        """Return the space of one world's observation."""

        def box(bounds: Bounds) -> gym.spaces.Box:
            return gym.spaces.Box(bounds.low, bounds.high, dtype=np.float64)

        spaces: dict[str, gym.Space[Any]] = {}
        if self.obs_type != "state":
            image = gym.spaces.Box(0, 255, (self.image_size, self.image_size, 3), np.uint8)
            spaces |= {"pixels": image, "goal_pixels": image}
        if self.obs_type != "pixels":
            goal = box(self.world.goal_bounds)
            spaces |= {
                "observation": box(self.world.observation_bounds),
                "achieved_goal": goal,
                "desired_goal": goal,
            }
        return gym.spaces.Dict(spaces)

    # Episodes

    def check_state(self, value: object, key: str) -> Floats:
        """Return a user's state as (n,), velocities filled in, or raise a ValueError that says what is wrong."""
        world = self.world
        labels, poses = world.state_labels, world.pose_size
        shapes = f"({len(labels)},)" if poses == len(labels) else f"({len(labels)},) or, at rest, ({poses},)"
        state = as_numbers(key, value)
        if state.shape not in {(len(labels),), (poses,)}:
            raise ValueError(f"{key} must have shape {shapes}: {', '.join(labels)}; got shape {state.shape}")
        state = np.concatenate([state, np.zeros(len(labels) - len(state))])
        bounds = world.state_bounds
        wrong = ~((state >= bounds.low) & (state <= bounds.high))
        if wrong.any():
            i = int(wrong.argmax())
            raise ValueError(
                f"{key}: {labels[i]} must be from {bounds.low[i]:g} to {bounds.high[i]:g}, got {state[i]:g}"
            )
        return state

    def check_state_within(self, row: int, value: object, key: str) -> Floats:
        """Return a state to put one world into, within its episode; as ``check_state``, and not inside a wall."""
        state = self.check_state(value, key)
        values = {name: held[row] for name, held in self.world.values.items()}
        reason = self.world.in_wall(values, state)
        if reason is not None:
            raise ValueError(f"{key}: {reason}")
        return state

    def prepare(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> Episode:
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
        asked = options.get("variation", self.variation)
        before = rng.bit_generator.state
        try:
            values = variation.resolve(asked, self.world.variations, rng, self.world.redrawn)
            return Episode(values, *self._start_and_goal(values, rng, options))
        except (ValueError, TypeError):
            rng.bit_generator.state = before  # what is refused leaves no trace
            raise

    def start(self, rows: Rows, episodes: Sequence[Episode], rngs: Sequence[np.random.Generator]) -> None:
        """Start the episodes in these worlds."""
        world = self.world
        for row, episode, rng in zip(rows, episodes, rngs, strict=True):
            world.vary(int(row), episode.values, rng)
        if len(rows):
            world.set_states(rows, np.stack([episode.state for episode in episodes]))
            goals = np.stack([episode.goal_state for episode in episodes])
            world.goal_states[rows] = goals
            self.desired[rows] = world.achieved(goals)
            self.clipped[rows] = 0
            if self.goal_pixels is not None:
                self.goal_pixels[rows] = world.draw(rows, goals, self.image_size)

    def _start_and_goal(
        self, values: variation.Values, rng: np.random.Generator, options: Mapping[str, Any]
    ) -> tuple[Floats, Floats]:
        world = self.world
        given = []
        for name in ("state", "goal_state"):
            value, key = options.get(name), f'options["{name}"]'
            state = None if value is None else self.check_state(value, key)
            reason = None if state is None else world.refuse(values, state)
            if reason is not None:
                raise ValueError(f"{key}: {reason}")
            given.append(state)
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

    def step(self, rows: Rows, actions: NDArray[Any]) -> None:
        """Clip actions (R, A) to the bounds, count those that were outside, and apply them.

        Raises:
            ValueError: a wrong shape, or an action that is not a number.
        """
        bounds = self.world.action_bounds
        asked = as_numbers("the action", actions)
        if asked.shape != (len(rows), bounds.low.size):
            expected = (bounds.low.size,) if self.world.num_worlds == 1 else (self.world.num_worlds, bounds.low.size)
            got = asked.shape[1:] if self.world.num_worlds == 1 else asked.shape
            raise ValueError(f"the action must have shape {expected}, got {got}")
        within = (asked >= bounds.low) & (asked <= bounds.high)
        if not within.all():
            if np.isnan(asked).any():
                row = int(np.isnan(asked).any(1).argmax())
                raise ValueError(f"the action of environment {rows[row]} is not a number: {asked[row].tolist()}")
            self.clipped[rows] += ~within.all(1)
            asked = np.clip(asked, bounds.low, bounds.high)
        self.world.step(rows, asked)

    def outcome(self, rows: Rows) -> Outcome:
        """Return what these worlds look like now, in arrays of their own."""
        world = self.world
        states = world.get_states(rows)
        achieved, desired = world.achieved(states), self.desired[rows]
        success = world.is_success(achieved, desired)
        sparse = self.reward_type == "sparse"
        rewards = success.astype(float) if sparse else world.dense_reward(achieved, desired)
        observation: Observation = {}
        if self.goal_pixels is not None:
            observation["pixels"] = world.draw(rows, states, self.image_size)
            observation["goal_pixels"] = self.goal_pixels[rows]
        if self.obs_type != "pixels":
            observation["observation"] = world.observe(rows, states)
            observation["achieved_goal"] = achieved
            observation["desired_goal"] = desired
        return Outcome(observation, rewards, success)

    def compute_reward(self, achieved: NDArray[Any], desired: NDArray[Any]) -> Floats:
        """Reward achieved for desired goals, both (…, g), shape (…)."""
        achieved, desired = np.asarray(achieved, float), np.asarray(desired, float)
        size = self.world.goal_bounds.low.size
        if achieved.shape[-1:] != (size,) or desired.shape[-1:] != (size,):
            raise ValueError(f"goals must have shape (…, {size}), got {achieved.shape} and {desired.shape}")
        if self.reward_type == "sparse":
            return self.world.is_success(achieved, desired).astype(float)
        return self.world.dense_reward(achieved, desired)
