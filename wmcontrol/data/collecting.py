"""Collecting trajectories: many episodes at once, each of them a function of its number and the seed alone.

A :class:`CollectPolicy` says what is done, a :class:`Script` of it for one episode; :func:`agent_policy` makes one of
an agent. An episode's script draws from a generator of its own and its world starts from a seed of its own, so that
how many episodes run side by side, and where a run was killed and taken up again, changes nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout
from ..checks import check_whole
from ..envs.contract import check_fits, image_size, shown_to
from ..envs.making import make_vector
from .trajectory import Floats, Provenance, Trajectory

Length = int | tuple[int, int]  # frames of an episode, or from how many to how many


@dataclass(frozen=True, slots=True)
class View:
    """What a script knows when it acts."""

    state: Floats  # (n,) the environment's get_state()
    observation: Mapping[str, NDArray[Any]]  # of this environment
    variation: Mapping[str, Floats]  # the values of its variations in this episode


class Script(ABC):
    """What is done in one episode; whatever has these attributes and this method will do.

    Attributes:
        num_frames: how long the episode is; one action fewer.
        options: for the environment's reset, as where to start.
    """

    def __init__(self, num_frames: int, options: Mapping[str, Any] | None = None):
        self.num_frames = num_frames
        self.options: Mapping[str, Any] = options or {}

    @abstractmethod
    def act(self, view: View) -> NDArray[Any]:
        """Return the next action, of the shape of the action space; it is clipped to the bounds."""


class CollectPolicy(Protocol):
    """A policy to collect with."""

    @property
    def env_settings(self) -> Mapping[str, Any]:
        """What the environment must be made with, as frames for a policy that looks at them."""

    def script(self, rng: np.random.Generator) -> Script:
        """Return the script of an episode, whose randomness all comes from ``rng``, then and later."""


@dataclass(frozen=True)
class Scripted:
    """A policy whose scripts are all made in one way.

    Args:
        make: makes a script, of a number of frames and a generator.
        num_frames: of an episode, or from how many to how many, each as likely.
        env_settings: what the environment must be made with.
        agent: who acts, where it is an agent.
        about: its name and settings, as JSON has them, which are recorded with the data.

    Raises:
        ValueError: ``num_frames`` is neither a number nor two, or less than 2.
    """

    make: Callable[[int, np.random.Generator], Script]
    num_frames: Length
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    agent: Any = None
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._least_and_most()

    def script(self, rng: np.random.Generator) -> Script:
        """Return the script of an episode."""
        low, high = self._least_and_most()
        return self.make(int(rng.integers(low, high, endpoint=True)), rng)

    def _least_and_most(self) -> tuple[int, int]:
        asked = self.num_frames
        pair = asked if isinstance(asked, (tuple, list)) else (asked, asked)
        whole = len(pair) == 2 and all(isinstance(n, (int, np.integer)) and not isinstance(n, bool) for n in pair)
        if not whole or not 2 <= pair[0] <= pair[1]:
            raise ValueError(f"num_frames must be 2 or more, or the least and the most, got {asked!r}")
        return int(pair[0]), int(pair[1])


def agent_policy(agent: Any, num_frames: Length, settings: Mapping[str, Any] | None = None) -> Scripted:
    """Return a policy that lets an agent act: whatever has the ``predict`` of Stable-Baselines3.

    It is shown what ``evaluate`` would show it. Each episode is asked for by itself: a network's answer depends, in its
    last digits, on what else is in the batch, and an episode must not.

    Args:
        agent: who acts.
        num_frames: of an episode, or from how many to how many.
        settings: further settings of the environment that it acts in.
    """
    space, frames = getattr(agent, "observation_space", None), dict[str, Any]()
    if not isinstance(space, gym.spaces.Dict) or any(key.endswith("pixels") for key in space.spaces):
        size = image_size(agent)
        frames = {"obs_type": "pixels_state"} | ({} if size is None else {"image_size": size})

    def script(length: int, rng: np.random.Generator) -> Script:
        return AgentScript(agent, length, int(rng.integers(2**32)))

    return Scripted(script, num_frames, {**frames, **(settings or {})}, agent)


class AgentScript(Script):
    """One episode of an agent, which remembers in it what it remembers.

    Args:
        agent: who acts.
        num_frames: how long the episode is, ``before`` included.
        seed: of the agent's random numbers.
        options: for the environment's reset.
        before: (w, A) actions that are done first, while the agent looks on, if it can.
    """

    def __init__(
        self,
        agent: Any,
        num_frames: int,
        seed: int,
        options: Mapping[str, Any] | None = None,
        before: Floats | tuple[()] = (),
    ):
        super().__init__(num_frames, options)
        self._agent, self._before = agent, [np.asarray(action) for action in before]
        self._state = agent.start([seed]) if hasattr(agent, "start") else None
        self._first = np.ones(1, bool)

    def act(self, view: View) -> NDArray[Any]:
        """Return what the agent does, or what is done before."""
        if self._before and not hasattr(self._agent, "observe"):
            return self._before.pop(0)
        shown: dict[str, Any] = {key: values[None] for key, values in view.observation.items()}
        if getattr(self._agent, "reads_state", False):
            varied = {name: values[None] for name, values in view.variation.items()}
            shown |= {"state": view.state[None], "variation": varied}
        seen, first = shown_to(self._agent, shown), self._first
        self._first = np.zeros(1, bool)
        if self._before:
            action = self._before.pop(0)
            self._state = self._agent.observe(seen, self._state, action[None], episode_start=first)
            return action
        actions, self._state = self._agent.predict(seen, state=self._state, episode_start=first, deterministic=True)
        chosen: NDArray[Any] = np.asarray(actions)[0]
        return chosen


@dataclass
class _Running:
    """An episode on its way."""

    number: int
    script: Script
    variation: dict[str, Floats]  # all of its values
    varied: bool  # whether they are worth recording
    states: list[Floats] = field(default_factory=list)
    actions: list[NDArray[Any]] = field(default_factory=list)  # vectors (A,)
    rewards: list[float] = field(default_factory=list)


def collect_batches(
    env_id: str,
    policy: Any,
    num_episodes: int,
    *,
    seed: int,
    num_frames: Length | None = None,
    batch: int = 64,
    start: int = 0,
    env_settings: Mapping[str, Any] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[list[Trajectory]]:
    """Collect the episodes ``start`` to ``num_episodes - 1``, as :func:`wmcontrol.data.collect`, and yield them.

    Args:
        env_id: an environment whose vector form has ``get_state``, ``control_rate`` and ``variation``, as ours have.
        policy: who acts: an agent as ``evaluate`` judges them, such as a ``PlanningAgent`` or a policy that
            Stable-Baselines3 has trained; or a :class:`CollectPolicy`.
        num_episodes: how many there are in the end.
        seed: of all of them.
        num_frames: how many frames an agent's episodes have, or from how many to how many; other policies know.
        batch: how many run side by side; it changes speed, not results.
        start: the first episode that is missing.
        env_settings: further settings of the environment.
        progress: is told how many episodes are done, of how many.

    Returns:
        an iterator over lists of trajectories, in the order of their numbers. Trajectories have no frames. Their
        ``variation`` holds all values where the settings or the script vary anything or a value is not the default,
        and else nothing.

    Raises:
        TypeError: ``policy`` is none.
        ValueError: numbers that make no sense, settings that contradict the policy's, an environment that cannot be
            collected from, a script of no actions, an agent that was made for other observations, other actions or
            another rate of them.
    """
    for name, value, least in (
        ("num_episodes", num_episodes, 1),
        ("batch", batch, 1),
        ("start", start, 0),
        ("seed", seed, 0),
    ):
        check_whole(name, value, least)
    if start > num_episodes:
        raise ValueError(f"start must be from 0 to num_episodes = {num_episodes}, got {start}")
    acting = policy_of(policy, num_frames)
    chosen = _settings(acting, env_settings or {})
    if isinstance(acting, Scripted) and acting.agent is not None:
        with closing(make_vector(env_id, 1, chosen)) as env:
            check_fits(acting.agent, env)
    return _collect(env_id, acting, num_episodes, seed, batch, start, chosen, progress)


def policy_of(policy: Any, num_frames: Length | None) -> CollectPolicy:
    """Return who collects; of an agent, a policy whose episodes have as many frames.

    Raises:
        TypeError: ``policy`` is neither a policy nor an agent.
        ValueError: ``num_frames`` is missing for an agent, or given for a policy that knows.
    """
    if callable(getattr(policy, "script", None)):
        if num_frames is not None:
            raise ValueError("num_frames is for agents; this policy knows how long its episodes are")
        known: CollectPolicy = policy
        return known
    if not callable(getattr(policy, "predict", None)):
        raise TypeError(f"a policy has a method predict, as Stable-Baselines3's, or script(rng); got {policy!r}")
    if num_frames is None:
        raise ValueError("an agent does not know how long its episodes are; give num_frames")
    return agent_policy(policy, num_frames)


def _settings(policy: CollectPolicy, asked: Mapping[str, Any]) -> dict[str, Any]:
    if not isinstance(asked, Mapping):
        raise TypeError(f"env_settings must be settings of the environment by name, got {asked!r}")
    for name, value in policy.env_settings.items():
        if name in asked and asked[name] != value:
            raise ValueError(f"this policy acts in an environment with {name}={value!r}, not {asked[name]!r}")
    for name in ("terminate_on_success", "autoreset_mode", "max_episode_steps"):
        if name in asked:
            raise ValueError(f"{name} is the collector's: an episode is as long as its script says; leave it out")
    return {"obs_type": "state", **asked, **policy.env_settings}


def _collect(
    env_id: str,
    policy: CollectPolicy,
    num_episodes: int,
    seed: int,
    batch: int,
    start: int,
    settings: Mapping[str, Any],
    progress: Callable[[int, int], None] | None,
) -> Iterator[list[Trajectory]]:
    if start == num_episodes:
        return
    env = make_vector(env_id, min(batch, num_episodes - start), settings)
    try:
        recorder = _Recorder(env, env_id, "variation" in settings)
        running: list[_Running | None] = [None] * env.num_envs
        begun = given = start
        done: dict[int, Trajectory] = {}
        resting: set[int] = set()
        while given < num_episodes:
            for row in range(env.num_envs):
                if running[row] is None and begun < num_episodes:
                    running[row] = recorder.begin(row, begun, seed, policy)
                    begun += 1
                elif running[row] is None and row not in resting:
                    recorder.rest(row)
                    resting.add(row)
            for row in recorder.step(running):
                episode = running[row]
                assert episode is not None
                done[episode.number], running[row] = recorder.trajectory(episode), None
            ready = []
            while given in done:
                ready.append(done.pop(given))
                given += 1
            if ready:
                if progress is not None:
                    progress(given, num_episodes)
                yield ready
    finally:
        env.close()


class _Recorder:
    """The environment, and what is recorded of it."""

    def __init__(self, env: Any, env_id: str, varied: bool):
        self._env, self._env_id, self._varied = env, env_id, varied
        self._layout = ActionLayout.of(env.single_action_space)
        self._dtype = np.float64 if self._layout.choices else env.single_action_space.dtype
        self._bounds = [bound.astype(self._dtype) for bound in self._layout.bounds(env.single_action_space)]
        # Rows are started one by one later on, and each such reset shows them all.
        self._observation: Mapping[str, NDArray[Any]] = env.reset(seed=0)[0]

    def begin(self, row: int, number: int, seed: int, policy: CollectPolicy) -> _Running:
        """Start an episode in this row."""
        of_script, of_world = np.random.SeedSequence((seed, number)).spawn(2)
        script = policy.script(np.random.default_rng(of_script))
        if script.num_frames < 2:
            raise ValueError(f"episode {number} must have 2 frames or more, got {script.num_frames}")
        self._restart(row, int(of_world.generate_state(1, np.uint64)[0]), script.options)
        values = {name: held[row] for name, held in self._env.variation.items()}
        varied = self._varied or "variation" in script.options
        if not varied:
            varied = any((values[name] != known.default).any() for name, known in self._env.variations.items())
        return _Running(number, script, values, varied)

    def rest(self, row: int) -> None:
        """Start a row anew that is stepped on for nothing: a state that is replayed has room for one episode."""
        self._restart(row, 0, {})

    def _restart(self, row: int, seed: int, options: Mapping[str, Any]) -> None:
        seeds: list[int | None] = [None] * self._env.num_envs
        seeds[row] = seed
        mask = np.arange(self._env.num_envs) == row
        self._observation, _ = self._env.reset(seed=seeds, options={**options, "reset_mask": mask})

    def step(self, running: list[_Running | None]) -> list[int]:
        """Let every episode act once; return the rows of those that are over."""
        env = self._env
        states = env.get_state()
        actions = np.zeros((env.num_envs, self._layout.size), self._dtype)
        for row, episode in enumerate(running):
            if episode is None:
                continue
            if not episode.states:
                episode.states.append(states[row])
            observation = {name: seen[row] for name, seen in self._observation.items()}
            view = View(states[row], observation, episode.variation)
            # In the precision of the action space, in which it may be stored: what is recorded is what was done.
            actions[row] = np.clip(self._layout.to_vectors(episode.script.act(view)), *self._bounds)
        self._observation, rewards, *_ = env.step(self._layout.to_actions(actions))
        states = env.get_state()
        over = []
        for row, episode in enumerate(running):
            if episode is not None:
                episode.actions.append(actions[row])
                episode.rewards.append(float(rewards[row]))
                episode.states.append(states[row])
                if len(episode.states) == episode.script.num_frames:
                    over.append(row)
        return over

    def trajectory(self, episode: _Running) -> Trajectory:
        """Return what an episode that is over has recorded."""
        return Trajectory(
            times=np.arange(len(episode.states)) / self._env.control_rate,
            provenance=Provenance("collected", Path(self._env_id), f"episode_{episode.number}"),
            states=np.stack(episode.states),
            actions=np.stack(episode.actions).astype(np.float64),
            rewards=np.array(episode.rewards),
            variation=episode.variation if episode.varied else {},
        )
