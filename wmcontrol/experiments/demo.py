"""``wmcontrol demo``: one episode of each environment, to look at.

The policies here are scripts written for these environments, which know the state and the layout. They show what the
environments do; they say nothing of what planning from pixels can do.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .. import ENV_IDS
from ..envs.pointmaze.mazes import BODY_ORIGIN, MAZES, WALL_ORIGIN
from .files import whole_file
from .sheets import Captioned, Picture, enlarged, save_sheet

Floats = NDArray[np.float64]
Policy = Callable[[dict[str, Floats]], Floats]

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


def run_demo(out: Path, seed: int, max_steps: int = 300) -> None:
    """Save a video of each environment and a contact sheet of all in the folder ``out``, and say where they lie."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    rows: dict[str, list[Captioned]] = {}
    videos = []
    with Progress(*columns, console=console) as progress:
        for env_id in ENV_IDS:
            name = _short(env_id)
            task = progress.add_task(name, total=max_steps)
            env: gym.Env[Any, Any] = gym.make(env_id, render_mode="rgb_array", render_size=_RENDER_SIZE)
            moments = _play(env, _policy(name, env), seed, max_steps, lambda task=task: progress.advance(task))
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
    with whole_file(path) as temporary, iio.imopen(temporary, "w", plugin="pyav") as file:
        file.init_video_stream("libx264", fps=rate, pixel_format="yuv420p")
        # The last moment stands still for a second.
        for moment in (*moments, *[moments[-1]] * round(rate)):
            seen = [enlarged(picture, _RENDER_SIZE // 2) for picture in (moment.observed, moment.goal)]
            file.write_frame(np.hstack([moment.frame, np.vstack(seen)]))


def _pick(moments: Sequence[Moment]) -> list[Captioned]:
    """Pick moments from first to last, evenly spaced."""
    steps = np.unique(np.linspace(0, len(moments) - 1, _FRAMES_ON_SHEET).round().astype(int)).tolist()
    picked = []
    for step in steps:
        moment = moments[step]
        distance = "success" if moment.success else f"distance {moment.distance}"
        picked.append((f"step {step}, {distance}", moment.frame))
    return picked


# The policies


def _policy(name: str, env: gym.Env[Any, Any]) -> Policy:
    if name == "PushT":
        return _push
    if name == "Wall":
        return _through_door
    maze = env.spec.kwargs["maze"] if env.spec else ""
    return lambda observation: _through_maze(maze, observation)


def _through_door(observation: dict[str, Floats]) -> Floats:
    """Head for the door's near side, through it, and then for the goal. For Wall with its fixed layout."""
    wall, door, clear = 32.0, 30.0, 5.0
    place, goal = observation["observation"], observation["desired_goal"]
    side = np.sign(goal[0] - wall)  # of the wall, where the goal is
    if (place[0] - wall) * side > clear - 1:
        target = goal
    elif abs(place[1] - door) < 1:
        target = np.array([wall + clear * side, door])
    else:
        target = np.array([wall - clear * side, door])
    way = target - place
    # Two pixels are a whole action.
    return np.asarray(way / max(2.0, np.abs(way).max()))


def _push(observation: dict[str, Floats]) -> Floats:
    """Go behind the block as seen from its goal, and push through its middle. The angle is left to chance."""
    agent, block, angle = observation["observation"][:2], observation["observation"][2:4], observation["observation"][4]
    goal, goal_angle = observation["desired_goal"][2:4], observation["desired_goal"][4]
    middle, goal_middle = (p + 45 * np.array([-np.sin(a), np.cos(a)]) for p, a in ((block, angle), (goal, goal_angle)))
    ahead = goal_middle - middle
    ahead = ahead / max(np.linalg.norm(ahead), 1e-6)
    aside = np.array([-ahead[1], ahead[0]])
    along, across = (agent - middle) @ ahead, (agent - middle) @ aside
    if along < 0 and abs(across) < 15:
        target = agent + 30 * ahead - across * aside
    elif along < -80:
        target = middle - 100 * ahead
    else:
        # Around the block, on the side where the agent is.
        target = middle - 110 * ahead + np.copysign(110, across) * aside
    return np.clip((target - agent) / 100, -0.5, 0.5)


def _through_maze(maze: str, observation: dict[str, Floats]) -> Floats:
    """Head for the next cell on the shortest way, under PD control."""
    place, velocity, goal = observation["observation"][:2], observation["observation"][2:], observation["desired_goal"]
    origin = BODY_ORIGIN - WALL_ORIGIN
    here, there = (tuple(np.rint(p + origin).astype(int).tolist()) for p in (place, goal))
    target = goal if here == there else np.array(_next_cell(maze, here, there)) - origin
    return np.clip(10 * (target - place) - velocity, -1, 1)


def _next_cell(maze: str, here: tuple[int, ...], there: tuple[int, ...]) -> tuple[int, ...]:
    """Return the first step of a shortest way over free cells, found from its end."""
    toward: dict[tuple[int, ...], tuple[int, ...]] = {there: there}
    queue = deque([there])
    while here not in toward:
        cell = queue.popleft()
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            neighbour = (cell[0] + step[0], cell[1] + step[1])
            if neighbour not in toward and MAZES[maze][neighbour[0]][neighbour[1]] != "#":
                toward[neighbour] = cell
                queue.append(neighbour)
    return toward[here]
