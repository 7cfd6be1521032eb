"""Data sets that are collected or converted: in memory, or as a Minari set in a folder, where a killed run resumes."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ..actions import ActionLayout
from ..envs import ENV_IDS
from ..envs.making import make_vector
from ..envs.registration import bare_id, is_goal_env
from ..runs import open_run
from .arrays import InMemory
from .collecting import Length, collect_batches, policy_of
from .dataset import TrajectoryDataset
from .environment import DrawnFrames, world_settings
from .formats import open_dataset
from .formats.minari_writer import MinariWriter
from .trajectory import Trajectory

_STEPS, _FRAMES = 10_000, 2_000  # written at once, and lost by a kill: of trajectories of states, and of frames
Progress = Callable[[int, int], None]


class _Collected(InMemory):
    """Trajectories of one environment, in memory; frames are drawn from their states."""

    def __init__(self, trajectories: Sequence[Trajectory], env_settings: Mapping[str, Any], made_in: Mapping[str, Any]):
        super().__init__(trajectories)
        self.env_id, self.control_rate = made_in["env_id"], made_in["control_rate"]
        self.action_bounds, self.env_settings = made_in["action_bounds"], env_settings
        self.action_layout = None if made_in["action_layout"].is_vector else made_in["action_layout"]

    def fingerprint(self) -> str:
        side = getattr(self._trajectories[0].frames, "image_size", None)
        about = [self.env_id, self.control_rate, self.env_settings, side]
        digest = hashlib.sha256(json.dumps(about, sort_keys=True, default=repr).encode())
        for trajectory in self._trajectories:
            for numbers in (trajectory.states, trajectory.actions, *trajectory.variation.values()):
                digest.update(np.ascontiguousarray(numbers).data)
            if trajectory.rewards is not None:
                digest.update(trajectory.rewards.tobytes())
        return digest.hexdigest()


def collect(
    env_id: str,
    policy: Any,
    num_episodes: int,
    *,
    folder: str | Path | None = None,
    seed: int = 0,
    num_frames: Length | None = None,
    env_settings: Mapping[str, Any] | None = None,
    keep_pixels: int | None = None,
    rewards: bool = False,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> TrajectoryDataset:
    """Collect episodes in an environment: states and the actions that were really applied.

    The same arguments give the same data, in a folder the same bytes. A killed run resumes when the same call is made
    again, and a finished one is read.

    Args:
        env_id: one of ``wmcontrol.ENV_IDS``, or of an environment that :func:`~wmcontrol.envs.register_goal_env`
            registered; or any whose vector form has ``get_state``, ``control_rate`` and ``variation`` as theirs.
        policy: who acts: a function of :mod:`wmcontrol.data.policies`, an agent as ``evaluate`` takes them, such as a
            ``PlanningAgent`` or a policy that Stable-Baselines3 has trained, or a
            :class:`~wmcontrol.data.collecting.CollectPolicy`.
        num_episodes: how many.
        folder: where they are saved as a Minari data set; None keeps them in memory.
        seed: of all of them.
        num_frames: how many frames an agent's episodes have, or from how many to how many; other policies know.
        env_settings: further settings of the environment.
        keep_pixels: in a folder, save frames with this side in pixels. By default frames of our environments are drawn
            from the states when they are read, and those of others are saved, 64 pixels wide.
        rewards: whether to record rewards too, which are of each episode's goal.
        about: in a folder, what else tells these data from others, as JSON has it; it is kept with them, and other
            values in the same folder are refused. What a policy says of itself, as those of
            :mod:`wmcontrol.data.policies` do, is ``"policy"`` unless it is given.
        progress: is told how many episodes are done, of how many.

    Returns:
        The data set, with frames that are drawn from the states.

    Raises:
        TypeError: ``policy`` is none.
        ValueError: numbers that make no sense, settings that contradict the policy's, an environment that cannot be
            collected from, an agent that does not fit it, or a folder of other data; it says what differs.
        OSError: the folder cannot be written to.
    """
    env_id = bare_id(env_id)
    acting = policy_of(policy, num_frames)
    # What is refused is refused now, and not when a folder has been begun.
    collect_batches(env_id, acting, num_episodes, seed=seed, env_settings=env_settings)
    chosen = {**(env_settings or {}), **acting.env_settings}
    with closing(make_vector(env_id, 1, {"obs_type": "state", **chosen})) as env:
        rate, space = float(env.control_rate), env.single_action_space
    layout = ActionLayout.of(space)
    made_in = {
        "env_id": env_id,
        "control_rate": rate,
        "action_bounds": layout.bounds(space),
        "action_layout": layout,
    }
    world = world_settings(env_id, chosen) if is_goal_env(env_id) else None

    def episodes(start: int, progress: Progress | None = None) -> Iterator[Trajectory]:
        batches = collect_batches(
            env_id, acting, num_episodes, seed=seed, start=start, env_settings=env_settings, progress=progress
        )
        for collected in chain.from_iterable(batches):
            trajectory = collected if rewards else replace(collected, rewards=None)
            if world is not None and trajectory.states is not None:
                frames = DrawnFrames(env_id, trajectory.states, keep_pixels or 64, trajectory.variation, world)
                yield replace(trajectory, frames=frames)
            else:
                yield trajectory

    if keep_pixels is None and env_id not in ENV_IDS and world is not None:
        keep_pixels = 64  # who reads the set may not have the environment
    if folder is None:
        return _Collected(list(episodes(0, progress)), chosen, made_in)
    told = dict(getattr(acting, "about", {}))
    about = {**({"policy": told} if told else {}), **(about or {})}
    settings = {**about, "seed": seed, "env_settings": chosen, "pixels": keep_pixels}
    settings |= {"rewards": True} if rewards else {}
    asked = {"num_episodes": num_episodes, "num_frames": num_frames}
    with open_run(folder, "collect", {"env_id": env_id, **asked, **settings}) as held:
        return _save(held, episodes, num_episodes, bool(keep_pixels), made_in, settings, progress)


def convert(
    dataset: TrajectoryDataset,
    folder: str | Path,
    *,
    keep_pixels: bool = True,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> TrajectoryDataset:
    """Save a data set of any layout as a Minari data set; a killed run resumes when the same call is made again.

    Args:
        dataset: what.
        folder: where.
        keep_pixels: whether frames are saved; those that are drawn from states never are.
        about: what else is to be remembered with the data, such as where they were read from, as JSON has it.
        progress: is told how many episodes are saved, of how many.

    Returns:
        The saved set.

    Raises:
        ValueError: trajectories that differ in shape, or a folder of other data; it says what differs.
        OSError: the folder cannot be written to.
    """
    settings = {
        **(about or {}),
        "fingerprint": dataset.fingerprint(),
        "env_settings": dict(dataset.env_settings),
        "pixels": keep_pixels,
    }
    made_in = {name: getattr(dataset, name) for name in ("env_id", "control_rate", "action_bounds", "action_layout")}

    def rest(written: int) -> Iterator[Trajectory]:
        for index in range(written, len(dataset)):
            trajectory = dataset.trajectory(index)
            yield replace(trajectory, frames=None) if isinstance(trajectory.frames, DrawnFrames) else trajectory

    with open_run(folder, "convert", {"env_id": dataset.env_id, **settings}) as held:
        return _save(held, rest, len(dataset), keep_pixels, made_in, settings, progress)


def _save(
    folder: Path,
    rest: Callable[[int], Iterator[Trajectory]],
    total: int,
    keep_pixels: bool,
    made_in: Mapping[str, Any],
    settings: Mapping[str, Any],
    progress: Progress | None,
) -> TrajectoryDataset:
    """Write what is missing, some trajectories at once, and open the set."""
    try:
        writer = MinariWriter(folder, **made_in, settings=settings)
    except FileExistsError:
        found = open_dataset(folder)
        found.trajectory(len(found) - 1)  # or it is an error that says what is broken
        return found
    waiting: list[Trajectory] = []
    for trajectory in rest(writer.written):
        waiting.append(trajectory if keep_pixels else replace(trajectory, frames=None))
        limit = _STEPS if waiting[-1].frames is None else _FRAMES
        if sum(map(len, waiting)) >= limit:
            writer.add(waiting)
            waiting = []
        if progress is not None:
            progress(writer.written + len(waiting), total)
    writer.add(waiting)
    writer.finish()
    return open_dataset(folder)
