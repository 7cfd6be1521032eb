"""Play one episode of each environment with a scripted policy: a video of each, and a contact sheet.

The policies are scripts written for these environments, which know the state and the layout. They show what the
environments do; they say nothing of what planning from pixels can do.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from wmcontrol import ENV_IDS
from wmcontrol.evaluation.reports.film import save_film

from .scripted import Policy, policy_for
from .sheets import Captioned, Picture, enlarged, save_sheet

Floats = NDArray[np.float64]

_RENDER_SIZE = 256
_FRAMES_ON_SHEET = 8


@dataclass(frozen=True)
class Moment:
    """What is seen of one step."""

    frame: Picture  # (256, 256, 3), with the goal overlaid
    observed: Picture  # (64, 64, 3), what an agent sees
    goal: Picture  # (64, 64, 3), what it shall see
    distance: str  # to the goal, in words
    success: bool


def play_episodes(out: Path, seed: int, max_steps: int = 300) -> None:
    """Save a video of each environment and a contact sheet of all in the folder ``out``, and say where they lie."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"))
    rows: dict[str, list[Captioned]] = {}
    videos = []
    with Progress(*columns, console=console) as progress:
        for env_id in ENV_IDS:
            name = _short(env_id)
            task = progress.add_task(name, total=max_steps)
            env: gym.Env[Any, Any] = gym.make(env_id, render_mode="rgb_array", render_size=_RENDER_SIZE)
            moments = _play(env, policy_for(env_id), seed, max_steps, partial(progress.advance, task))
            video = out / f"{name}.mp4"
            _save_video(video, moments, env.unwrapped.control_rate)  # type: ignore[attr-defined]
            env.close()
            rows[name] = _pick(moments)
            end = "at the goal" if moments[-1].success else "not at the goal"
            progress.update(task, total=len(moments) - 1, description=f"{name}: {end}")
            videos.append(video)
        sheet = out / "contact_sheet.png"
        save_sheet(sheet, rows, cell=150)
    for path in (*videos, sheet):
        console.print(str(path), soft_wrap=True, highlight=False)


def _short(env_id: str) -> str:
    """Return ``PushT`` for ``wmcontrol/PushT-v0``."""
    return env_id.split("/")[1].removesuffix("-v0")


def _play(
    env: gym.Env[Any, Any], policy: Policy, seed: int, max_steps: int, on_step: Callable[[], None]
) -> list[Moment]:
    observation, info = env.reset(seed=_far_seed(env, seed))
    moments = [_moment(env, observation, info)]
    for _ in range(max_steps):
        observation, _, terminated, truncated, info = env.step(policy(observation))
        moments.append(_moment(env, observation, info))
        on_step()
        if terminated or truncated:
            break
    return moments


def _far_seed(env: gym.Env[Any, Any], seed: int) -> int:
    """Return the one of ten seeds whose episode starts farthest from its goal, so that there is something to see."""
    seeds = range(10 * seed, 10 * seed + 10)

    def way(seed: int) -> float:
        observation, _ = env.reset(seed=seed)
        return float(np.linalg.norm(observation["achieved_goal"][:4] - observation["desired_goal"][:4]))

    return max(seeds, key=way)


def _moment(env: gym.Env[Any, Any], observation: dict[str, Any], info: dict[str, Any]) -> Moment:
    frame: Any = env.render()
    distance = _distance(observation["achieved_goal"], observation["desired_goal"])
    return Moment(frame, observation["pixels"], observation["goal_pixels"], distance, info["success"])


def _distance(achieved: Floats, desired: Floats) -> str:
    """Say how far it is to the goal: places, and for Push-T the block's angle."""
    places = f"{np.linalg.norm(achieved[:4] - desired[:4]):.3g}"
    if len(achieved) < 5:
        return places
    turn = (achieved[4] - desired[4] + np.pi) % (2 * np.pi) - np.pi
    return f"{places} px, {abs(np.rad2deg(turn)):.0f}°"


def _save_video(path: Path, moments: Sequence[Moment], rate: float) -> None:
    """Save the frames, with what the agent sees (above) and shall see (below) to their right."""
    save_film(map(_picture, (*moments, *[moments[-1]] * round(rate))), path, rate)  # the last stands still for a second


def _picture(moment: Moment) -> NDArray[np.uint8]:
    seen = [enlarged(picture, _RENDER_SIZE // 2) for picture in (moment.observed, moment.goal)]
    return np.hstack([moment.frame, np.vstack(seen)])


def _pick(moments: Sequence[Moment]) -> list[Captioned]:
    """Pick moments from first to last, evenly spaced."""
    steps = np.unique(np.linspace(0, len(moments) - 1, _FRAMES_ON_SHEET).round().astype(int)).tolist()
    picked = []
    for step in steps:
        moment = moments[step]
        distance = "success" if moment.success else f"distance {moment.distance}"
        picked.append((f"step {step}, {distance}", moment.frame))
    return picked


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("outputs/episodes"), help="the folder to save in (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which episodes (default: %(default)s)")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    play_episodes(args.out, args.seed)


if __name__ == "__main__":
    main()
