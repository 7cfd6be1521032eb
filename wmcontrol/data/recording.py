"""Recording episodes of any Gymnasium environment whose observations have pixels."""

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from ..checks import check_whole
from .arrays import ArrayDataset
from .collecting import View
from .policies.common import Uniform

_HOLD = 5  # steps that a random action lasts, on average: single ones mostly cancel out


def record(
    env: gym.Env[Any, Any],
    num_episodes: int,
    *,
    agent: Any = None,
    num_frames: int | None = None,
    control_rate: float | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> ArrayDataset:
    """Record frames, actions and rewards in memory; :func:`~wmcontrol.data.convert` saves them.

    All episodes are equally long. One that ends by itself before stays where it is, with rewards of 0, so that a model
    learns that nothing comes after.

    Args:
        env: with ``pixels`` (height, width, 3), uint8, in its observations, as
            :class:`~wmcontrol.envs.PixelObservation` puts them there.
        num_episodes: how many. For example 80.
        agent: who acts, with the ``predict`` of Stable-Baselines3; by default actions are random, and each lasts for 5
            steps on average.
        num_frames: of an episode; by default as many as the environment's time limit allows. For example 101.
        control_rate: actions per second, Hz; by default the environment's ``render_fps``. For example 20.
        seed: of all of them. For example 1.
        progress: is told how many episodes are done, of how many.

    Raises:
        ValueError: the environment has no pixels, no control rate or no limit, and none is given.
    """
    check_whole("num_episodes", num_episodes)
    limit = env.spec.max_episode_steps if env.spec is not None else None
    if num_frames is None:
        if limit is None:
            raise ValueError(f"num_frames: {env} has no time limit, so say how long an episode is")
        num_frames = limit + 1
    check_whole("num_frames", num_frames, least=2)
    rate = control_rate or env.metadata.get("render_fps")
    if not rate:
        raise ValueError(f"control_rate: {env} does not say how many actions it takes a second; give it, in Hz")
    frames, actions, rewards = [], [], []
    for number in range(num_episodes):
        rng = np.random.default_rng((seed, number))
        observation, _ = env.reset(seed=int(rng.integers(2**31)))
        if not hasattr(observation, "keys") or "pixels" not in observation:
            raise ValueError(f'{env} has no "pixels" in its observations; wrap it in wmcontrol.envs.PixelObservation')
        script = Uniform(num_frames, rng, env.action_space, _HOLD) if agent is None else None
        state = agent.start([int(rng.integers(2**32))]) if hasattr(agent, "start") else None
        seen, done, given, over = [observation["pixels"]], [], [], False
        for step in range(num_frames - 1):
            if script is not None:
                action = script.act(View(np.zeros(0), {}, {}))
            else:
                batch = {key: value[None] for key, value in observation.items()}
                chosen, state = agent.predict(
                    batch, state=state, episode_start=np.array([step == 0]), deterministic=True
                )
                action = chosen[0]
            done.append(np.asarray(action, env.action_space.dtype))
            if not over:
                observation, reward, over, _, _ = env.step(done[-1] if done[-1].ndim else done[-1][()])
                given.append(float(reward))
            else:
                given.append(0.0)
            seen.append(observation["pixels"])
        frames.append(np.stack(seen))
        actions.append(np.stack(done))
        rewards.append(np.array(given))
        if progress is not None:
            progress(number + 1, num_episodes)
    return ArrayDataset(frames, actions, rewards=rewards, control_rate=float(rate), action_space=env.action_space)
