"""Collecting and converting into a Minari data set on disk, so that a kill loses little and a rerun goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym

from ..data import Trajectory, TrajectoryDataset, open_dataset
from ..data.collecting import CollectPolicy, collect
from ..data.drawn import DrawnFrames
from ..data.environment import world_settings
from ..data.formats.minari_writer import MinariWriter
from ..files import exclusive_lock
from .errors import UsageError
from .progress import progress_bar

# What is written at once, and lost by a kill. A part is a file.
_STEPS, _FRAMES = 10_000, 2_000


def collect_into(
    folder: Path,
    env_id: str,
    policy: CollectPolicy,
    episodes: int,
    *,
    seed: int,
    env_settings: Mapping[str, Any],
    keep_pixels: int | None,
    settings: Mapping[str, Any],
) -> None:
    """Collect episodes into a data set in ``folder``, or go on collecting.

    Args:
        folder: where.
        env_id: the environment.
        policy: who acts.
        episodes: how many in the end.
        seed: of all of them.
        env_settings: further settings of the environment.
        keep_pixels: side of frames that are kept; None for states only.
        settings: what else is to be remembered with the data.
    """
    chosen = {**env_settings, **policy.env_settings}
    try:
        env = gym.make(env_id, **chosen)
    except (TypeError, gym.error.Error) as error:
        raise UsageError(f"settings: {env_id} cannot be made with {chosen}: {error}") from error
    space = env.action_space
    assert isinstance(space, gym.spaces.Box)
    rate = env.get_wrapper_attr("control_rate")
    env.close()
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        writer = _writer(
            folder,
            env_id=env_id,
            control_rate=rate,
            action_bounds=(space.low, space.high),
            settings={**settings, "env_settings": chosen, "pixels": keep_pixels},
        )
        if writer is None:
            return
        batches = collect(env_id, policy, episodes, seed=seed, start=writer.written, env_settings=env_settings)
        trajectories = (_with_pixels(env_id, chosen, t, keep_pixels) for batch in batches for t in batch)
        _write(writer, trajectories, episodes, "collecting")


def convert_into(folder: Path, dataset: TrajectoryDataset, source: Path, *, keep_pixels: bool) -> None:
    """Write a data set of any layout into ``folder``, or go on writing it.

    Args:
        folder: where.
        dataset: what.
        source: where it was read from, to be remembered.
        keep_pixels: whether frames are kept; those that are drawn from states never are.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        writer = _writer(
            folder,
            env_id=dataset.env_id,
            control_rate=dataset.control_rate,
            action_bounds=dataset.action_bounds,
            settings={
                "source": str(source),
                "fingerprint": dataset.fingerprint(),
                "env_settings": dict(dataset.env_settings),
                "pixels": keep_pixels,
            },
        )
        if writer is None:
            return
        rest = (dataset.trajectory(i) for i in range(writer.written, len(dataset)))
        if not keep_pixels:
            rest = (replace(trajectory, frames=None) for trajectory in rest)
        _write(writer, map(_without_drawn, rest), len(dataset), "converting")


def _writer(folder: Path, **settings: Any) -> MinariWriter | None:
    """Return the writer of a data set, or None, having said so, if it is finished."""
    try:
        return MinariWriter(folder, **settings)
    except FileExistsError:
        data = open_dataset(folder)
        data.trajectory(len(data) - 1)  # or it is an error that says what is broken
        print(f"{folder} is finished already")
        return None


def _write(writer: MinariWriter, trajectories: Iterable[Trajectory], total: int, what: str) -> None:
    if writer.written:
        print(f"going on from episode {writer.written}")
    waiting: list[Trajectory] = []
    with progress_bar(what, "episodes") as progress:
        progress(writer.written, total)
        for trajectory in trajectories:
            waiting.append(trajectory)
            limit = _STEPS if trajectory.frames is None else _FRAMES
            if sum(map(len, waiting)) >= limit:
                writer.add(waiting)
                waiting = []
            progress(writer.written + len(waiting), total)
        writer.add(waiting)
    with progress_bar("writing", "episodes") as progress:
        data = writer.finish(progress)
    size = sum(file.stat().st_size for file in data.iterdir())
    print(f"{total} episodes, {size / 1e6:,.1f} MB: {writer.folder}")


def _without_drawn(trajectory: Trajectory) -> Trajectory:
    return replace(trajectory, frames=None) if isinstance(trajectory.frames, DrawnFrames) else trajectory


def _with_pixels(env_id: str, settings: Mapping[str, Any], trajectory: Trajectory, size: int | None) -> Trajectory:
    if size is None:
        return trajectory
    assert trajectory.states is not None
    drawn = DrawnFrames(env_id, trajectory.states, size, trajectory.variation, world_settings(env_id, settings))
    return replace(trajectory, frames=drawn)
