"""Any Gymnasium environment that draws frames as an environment with goals.

Goals are states; a goal's picture is what the environment draws there.
"""

import atexit
from collections.abc import Iterator, Sequence
from contextlib import suppress
from copy import copy, deepcopy
from operator import attrgetter, methodcaller
from typing import Any

import cv2
import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ...actions import ActionLayout
from ..canvas import Floats, Frames, Rows
from ..goal_core import as_numbers
from ..goal_env import GoalEnv
from ..goal_vector_env import GoalVectorEnv
from ..registration import GetState, Goal, Make, SetState, Success
from ..variation import Values
from ..world import Bools, Bounds, World
from .replay import Replayed

_GOAL_ACTIONS = 10  # at random, from a start to the goal that is drawn for it
_HOLD = 5  # steps that each of them is held: single ones mostly cancel out


class ForeignWorld(World):
    """Environments of somebody else. See :func:`~wmcontrol.envs.register_goal_env` for the arguments."""

    def __init__(
        self,
        num_worlds: int,
        *,
        make: Make | str,
        success: Success | None,
        goal: Goal | Sequence[float] | None,
        state: tuple[GetState, SetState] | GetState | None,
        state_labels: Sequence[str] | None,
        control_rate: float | None,
        num_actions: int | None,
    ):
        self.variations = {}
        self._success, self._goal = success, goal
        get, self._replays = (state, True) if callable(state) else (None, False)

        def made() -> gym.Env[Any, Any]:
            env = _made(make)
            ActionLayout.of(env.action_space)
            self._success = self._success or _own_success(env)
            return Replayed(env, get, num_actions or 0) if get else env

        # Where starts are drawn and frames are rendered: no episode is disturbed, and a frame depends on nothing but
        # its state. (What MuJoCo draws of an environment that was stepped is the state of one physics step before.)
        self._aside = made()
        _start(self._aside)
        # Of its own: a class may have one space for all of its environments, which they would draw from in turn.
        self.action_space = self._space = deepcopy(self._aside.action_space)
        self._layout = ActionLayout.of(self._space)
        self._get, self._set = state if isinstance(state, tuple) else state_access(self._aside.unwrapped)
        self.pose_size = self._state_of(self._aside).size
        size = self._aside.read().size if isinstance(self._aside, Replayed) else self.pose_size
        labels = tuple(state_labels or (f"state_{i}" for i in range(size)))
        if len(labels) != size:
            raise ValueError(f"state_labels: expected {size} names, one for each number of a state, got {len(labels)}")
        self.state_labels = (*labels, *(f"replay_{i}" for i in range(self.pose_size - size)))
        everywhere = Bounds(np.full(self.pose_size, -np.inf), np.full(self.pose_size, np.inf))
        self.state_bounds, self.observation_bounds, self.goal_bounds = everywhere, everywhere[:size], everywhere[:size]
        self.action_bounds = Bounds(*self._layout.bounds(self._space))
        self.control_rate = control_rate or _control_rate(self._aside)
        super().__init__(num_worlds)
        self._envs = [made() for _ in range(num_worlds)]
        self._seeds = [0] * num_worlds
        for env in self._envs:
            if self._replays:
                _start(env)
            else:  # it never draws, and a renderer each would take seconds and gigabytes
                env.reset(seed=0)

    def close(self) -> None:
        for env in (self._aside, *self._envs):
            close_with_renderers(env)

    def vary(self, row: int, values: Values, rng: np.random.Generator) -> None:
        super().vary(row, values, rng)
        self._seeds[row] = int(rng.integers(2**31))

    def sample(self, values: Values, rng: np.random.Generator) -> tuple[Floats, Floats]:
        env = self._aside
        env.reset(seed=int(rng.integers(2**31)))
        start = self._state_of(env)
        goal = self._draw_goal(rng, start)
        env.reset(seed=0)  # as nothing that was drawn or done may show in frames
        if goal.shape != start.shape:
            raise ValueError(f"goal must be a state of {start.size} numbers, got shape {goal.shape}")
        return start, goal

    def _draw_goal(self, rng: np.random.Generator, start: Floats) -> Floats:
        if self._goal is None:
            actions = copy(self._space)
            actions.seed(int(rng.integers(2**31)))
            for action in (actions.sample() for _ in range(_GOAL_ACTIONS)):
                for _ in range(_HOLD):
                    self._aside.step(action)
            return self._state_of(self._aside)
        if not callable(self._goal):
            return as_numbers("goal", self._goal)
        try:
            drawn = self._goal(rng, start)
        except Exception as error:  # likewise
            raise ValueError(
                f"goal raised {type(error).__name__}: {error}; it is given a generator and the start state "
                f"{start.shape}, and returns a state"
            ) from error
        return as_numbers("goal", drawn)

    def set_states(self, rows: Rows, states: Floats) -> None:
        for row, state in zip(rows, states, strict=True):
            self._envs[row].reset(seed=self._seeds[row])  # what the environment counts by itself begins anew
            self._set(self._envs[row].unwrapped, state.copy())

    def get_states(self, rows: Rows) -> Floats:
        return np.stack([self._state_of(self._envs[row]) for row in rows])

    def observe(self, rows: Rows, states: Floats) -> Floats:
        return self.achieved(states)

    def step(self, rows: Rows, actions: Floats) -> None:
        for row, action in zip(rows, self._layout.for_env(self._space, actions), strict=True):
            self._envs[row].step(action)

    def is_success(self, achieved: Floats, desired: Floats) -> Bools:
        assert self._success is not None
        try:
            found = np.asarray(self._success(achieved, desired))
        except Exception as error:  # what a user's function raises is up to it
            raise ValueError(
                f"success raised {type(error).__name__}: {error}; it is given states {achieved.shape} and goal states "
                f"{desired.shape}, and returns a bool for each"
            ) from error
        expected = np.broadcast_shapes(achieved.shape, desired.shape)[:-1]
        if found.dtype != bool or found.shape != expected:
            raise ValueError(
                f"success must return bool of shape {expected} for states {achieved.shape} and goal states "
                f"{desired.shape}, got {found.dtype} of shape {found.shape}"
            )
        return found

    def places(self, rows: Rows, states: Floats, size: int) -> Floats:
        return np.zeros((len(states), 0, 2))  # how it is drawn is its own affair

    def dense_reward(self, achieved: Floats, desired: Floats) -> Floats:
        return -np.asarray(np.linalg.norm(achieved - desired, axis=-1))

    def draw(self, rows: Rows, states: Floats, size: int, overlay_goals: bool = False) -> Frames:
        frames = np.zeros((len(rows), size, size, 3), np.uint8)
        for row, frame, state in zip(rows, frames, states, strict=True):
            env = self._envs[row]
            if not self._replays or not np.array_equal(self._state_of(env), state):  # replaying takes long
                env = self._aside
                self._set(env.unwrapped, state.copy())
            frame[:] = resized(rendered(env), size)
        if overlay_goals:
            goals = self.draw(rows, self.goal_states[rows], size)
            frames = (frames // 3 * 2 + goals // 3).astype(np.uint8)
        return frames

    def _state_of(self, env: gym.Env[Any, Any]) -> Floats:
        state = as_numbers("the state", self._get(env.unwrapped))
        if state.ndim != 1:
            raise ValueError(f"a state must be a vector, got shape {state.shape}")
        return state.copy()


def _start(env: gym.Env[Any, Any]) -> None:
    """Let an environment draw its first frame: MuJoCo's camera looks at where things are in it from then on."""
    env.reset(seed=0)
    rendered(env)


def _made(make: Make | str) -> gym.Env[Any, Any]:
    env: Any = gym.make(make, render_mode="rgb_array") if isinstance(make, str) else make()
    if not isinstance(env, gym.Env):
        raise TypeError(f"make must return a gymnasium.Env, got {env!r}")
    if env.render_mode != "rgb_array":
        raise ValueError(f'{env} must be made with render_mode="rgb_array", got {env.render_mode!r}')
    return env


def _own_success(env: gym.Env[Any, Any]) -> Success:
    try:
        success: Success = env.get_wrapper_attr("success")
    except AttributeError:
        raise ValueError(
            f"{env} has no method success(states, goals), which says which states are at their goals; write one, or "
            "register the environment with register_goal_env(…, success=…)"
        ) from None
    return success


def state_access(env: Any) -> tuple[GetState, SetState]:
    """Return how an unwrapped environment's state is read and set.

    Raises:
        ValueError: it is not known how.
    """
    if all(hasattr(env, name) for name in ("model", "data", "set_state")) and hasattr(env.data, "qpos"):
        return _mujoco_state, _set_mujoco_state
    if callable(getattr(env, "get_state", None)) and callable(getattr(env, "set_state", None)):
        return methodcaller("get_state"), _set_state
    if isinstance(getattr(env, "state", None), (np.ndarray, tuple, list)):
        return attrgetter("state"), _set_attribute
    raise ValueError(
        f"{type(env).__name__} has neither MuJoCo's model and data, nor get_state() and set_state(state), nor an "
        "attribute state: say how its state is read and set, state=(get, set), or, where it can only be read, state=get"
    )


def _set_state(env: Any, state: Floats) -> None:
    env.set_state(state)


def _set_attribute(env: Any, state: Floats) -> None:
    env.state = state


def _mujoco_state(env: Any) -> Floats:
    return np.concatenate([env.data.qpos, env.data.qvel])


def _set_mujoco_state(env: Any, state: Floats) -> None:
    env.set_state(state[: env.model.nq], state[env.model.nq :])


def _control_rate(env: gym.Env[Any, Any]) -> float:
    dt = getattr(env.unwrapped, "dt", None)
    # MuJoCo's environments have dt as the time of a step; in others, such as Pendulum, it is that of the physics too.
    rate = 1 / dt if isinstance(dt, float) and dt > 0 else env.metadata.get("render_fps")
    if not rate:
        raise ValueError(f"{env} does not say how many actions it takes a second: give control_rate, in Hz")
    return float(rate)


def rendered(env: gym.Env[Any, Any]) -> Any:
    """Return what an environment draws.

    Gymnasium's MuJoCo environments draw with the context that was made current last, be it another environment's, and
    all black where that is gone; so their own is made current.
    """
    for renderer in _renderers(env):
        renderer.viewer.make_context_current()
    frame = env.render()
    if not _VIEWERS:
        atexit.register(_free_all)  # after MuJoCo has registered its own end, and so before it
    _VIEWERS.update(renderer.viewer for renderer in _renderers(env))
    return frame


_VIEWERS: set[Any] = set()  # held until they are freed, as their end at any other time spoils others' frames


def _free(viewer: Any) -> None:
    """Free a renderer in its own context: MuJoCo frees by numbers, which are another's in another context."""
    _VIEWERS.discard(viewer)
    viewer.make_context_current()
    viewer.con.free()
    viewer.close()


def _free_all() -> None:
    for viewer in tuple(_VIEWERS):
        with suppress(Exception):  # of one whose environment was closed by somebody else
            _free(viewer)


def close_with_renderers(env: gym.Env[Any, Any]) -> None:
    """Close an environment whose frames :func:`rendered` has drawn."""
    for renderer in _renderers(env):
        _free(renderer.viewer)
        renderer.viewer = None
    env.close()


def _renderers(env: gym.Env[Any, Any]) -> Iterator[Any]:
    """Yield what Gymnasium's MuJoCo environments draw with, in this one and in those that it is made of."""
    inside: Any = env.unwrapped
    renderer = getattr(inside, "mujoco_renderer", None)
    if getattr(renderer, "viewer", None) is not None:
        yield renderer
    for part in vars(inside).values():
        if isinstance(part, gym.Env) and part is not inside:
            yield from _renderers(part)


def resized(frame: Any, size: int) -> NDArray[np.uint8]:
    """Return what ``render`` returned with another side, in pixels.

    Raises:
        ValueError: it is no frame.
    """
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3:
        got = f"{frame.dtype} of shape {frame.shape}" if isinstance(frame, np.ndarray) else repr(frame)
        raise ValueError(f"render() must return uint8 frames (height, width, 3), got {got}")
    if frame.shape[:2] == (size, size):
        return frame
    how = cv2.INTER_AREA if min(frame.shape[:2]) > size else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(frame, (size, size), interpolation=how), np.uint8)


class ForeignGoalEnv(GoalEnv):
    """One environment that was registered by :func:`~wmcontrol.envs.register_goal_env`."""

    world_class = ForeignWorld


class ForeignGoalVectorEnv(GoalVectorEnv):
    """Several of them, stepped one after another."""

    world_class = ForeignWorld
