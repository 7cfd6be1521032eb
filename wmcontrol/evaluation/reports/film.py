"""Films of episodes: what the agent sees, the goal, and what it costs over time.

Letters: ``B`` episodes, ``T`` environment steps, ``P`` patches of a frame, ``D`` numbers in a token.
"""

import io
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...agents.planning import PlanningAgent
from ...checks import check_whole
from ...envs.contract import image_size
from ...files import atomic_write
from ..episodes import StepRecord, check, distances, make_env, rollout_episodes, task_seed
from ..protocols import Protocol, protocol_named
from ..tasks import Tasks
from .paths import true_paths
from .screen import Curve, Episode, Floats, PlanSeen, Screen

_STEPS_PER_SECOND = 5  # slow enough to watch
_SHOWN = 16  # proposals of an action prior
_STANDS = 8  # frames that the start and the end stand still


def film(
    agent: Any,
    tasks: Tasks,
    protocol: Protocol | str,
    path: str | os.PathLike[str],
    *,
    num_episodes: int = 3,
    seed: int = 0,
    title: str = "",
) -> list[bool]:
    """Play the first tasks as :func:`~wmcontrol.evaluation.evaluate` does with the same seed, and save a video of it.

    Each episode has a row: what the agent sees, the goal, the cost of each frame that came beside that of the frames
    that its plans imagined, and for an agent that plans its last search. Costs are of the saved distance to the goal,
    though plans of agents for far goals look at other ones; the row then says where they are headed. Lines over the
    frame are where the plan really leads; thin ones, where some of the proposals do that the action prior made for it.
    Of a model with a decoder (:func:`~wmcontrol.training.fit_decoder`) what the plan imagined runs beside what came.
    For other agents the curve is the distance to the goal.

    Args:
        agent: as for ``evaluate``.
        tasks: what to do, and where.
        protocol: a name or one of your own.
        path: the MP4 file (H.264), five environment steps a second; its folder is made if need be.
        num_episodes: how many of the tasks, if there are so many.
        seed: of the agent's random numbers.
        title: what stands above.

    Returns:
        For each episode whether it was solved at the end.

    Raises:
        TypeError, ValueError: what does not fit, before an episode begins.
        OSError: the file cannot be written.
    """
    path, protocol = Path(path), protocol_named(protocol)
    check_whole("num_episodes", num_episodes)
    check(agent, tasks, protocol, seed=seed)
    if path.suffix != ".mp4":
        raise ValueError(f"a film is an MP4 file: give a path that ends in .mp4, got {path}")
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen = tasks.tasks[:num_episodes]
    with closing(make_env(tasks.env_id, len(chosen), tasks.env_settings, image_size(agent))) as env:
        seeds = [task_seed(seed, number) for number in range(len(chosen))]
        steps, states = [], []
        for step in rollout_episodes(env, agent, chosen, seeds, protocol.budget):
            steps.append(step)
            states.append(env.get_state())
        unit, curves = curves_of(env, agent, steps, context_steps=chosen[0].replay.shape[0])
        for row, curve in enumerate(curves):
            looks = {name: value[row] for name, value in env.variation.items()}
            where = partial(true_paths, tasks.env_id, tasks.env_settings, looks)
            curve.plans[:] = [
                replace(
                    plan,
                    paths=where(states[plan.step][row], plan.actions, size=steps[0].observation["pixels"].shape[1]),
                )
                for plan in curve.plans
            ]
    frames = np.stack([step.observation["pixels"] for step in steps], 1)  # (B, 1 + T, height, width, 3)
    solved = np.stack([step.success for step in steps], 1)
    goals = steps[0].observation["goal_pixels"]
    screen = Screen([Episode(*each) for each in zip(frames, goals, solved, curves, strict=True)], title, unit)
    still = {0: _STANDS, protocol.budget: _STANDS}
    pictures = ([screen.draw(step)] * still.get(step, 1) for step in range(protocol.budget + 1))
    save_film(chain.from_iterable(pictures), path, _STEPS_PER_SECOND)
    return [bool(each[-1]) for each in solved]


def save_film(frames: Iterable[Any], path: Path, rate: float) -> None:
    """Save frames, (height, width, 3) uint8 each, as an MP4 file (H.264) of ``rate`` frames per second.

    Raises:
        OSError: as of :func:`~wmcontrol.files.atomic_write`.
    """
    import imageio.v3 as iio

    # In memory first: what the video library says of a full disk is a traceback, and another one when it closes.
    film = io.BytesIO()
    with iio.imopen(film, "w", plugin="pyav", extension=".mp4") as opened:
        opened.init_video_stream("libx264", fps=rate, pixel_format="yuv420p")
        for frame in frames:
            opened.write_frame(frame)
    with atomic_write(path) as file:
        file.write(film.getvalue())


def curves_of(env: Any, agent: Any, steps: Sequence[StepRecord], *, context_steps: int) -> tuple[str, list[Curve]]:
    """Return what costs are, in words, and a curve for each episode.

    Of an agent that plans they are its own objective, of frames that came and of its plans; of others the distance of
    the true state to the goal.

    Args:
        env: where.
        agent: that acted.
        steps: of the episodes, ``1 + T``.
        context_steps: environment steps that the agent had seen before the first of them.
    """
    if isinstance(agent, PlanningAgent):
        return "cost of the frame", _latent_curves(agent, steps, context_steps)
    away = np.array([distances(env, step.observation)["distance"] for step in steps])  # (1 + T, B)
    return "distance to the goal", [Curve(costs, [], {}) for costs in away.T]


def _latent_curves(agent: PlanningAgent, steps: Sequence[StepRecord], context_steps: int) -> list[Curve]:
    frames = np.stack([step.observation["pixels"] for step in steps], 1)  # (B, 1 + T, height, width, 3)
    curves, goals = [], []
    for episode, goal in zip(frames, steps[0].observation["goal_pixels"], strict=True):
        tokens = agent.model.encode(torch.from_numpy(np.concatenate([episode, goal[None]]))[None])[0]  # (2 + T, P, D)
        curves.append(Curve(_costs(agent, tokens[:-1], tokens[-1:]), [], {}))
        goals.append(tokens[-1:])
    frameskip = agent.model.frameskip
    # Nothing is new within a model step. A step's state is the agent's from before its frame came.
    for acted in range(0, len(steps) - 1, frameskip):
        for curve, goal, told in zip(curves, goals, agent.explain(steps[acted + 1].state), strict=True):
            if told is None:
                continue
            begun = told.step - context_steps
            if not curve.plans or curve.plans[-1].step != begun:
                actions = np.concatenate([told.proposals[:_SHOWN], told.actions[None]])
                lands = begun + agent.horizon * frameskip
                costs = _costs(agent, told.imagined_tokens, goal)
                headed = "" if told.path is None else told.path.headed
                curve.plans.append(
                    PlanSeen(begun, lands, costs, told.history, actions, imagined=told.imagined, headed=headed)
                )
            if len(told.surprise):
                curve.surprises[acted] = (float(told.surprise[-1]), float(told.change[-1]))
    return curves


@torch.no_grad()
def _costs(agent: PlanningAgent, tokens: Tensor, goal: Tensor) -> Floats:
    """Return the cost of each of T frames (T, P, D), as if a plan for the goal (1, P, D) ended there."""
    assert agent.model.normalizer is not None
    actions = tokens.new_zeros(1, len(tokens), 1, agent.model.normalizer.action_dim)
    costs: Floats = agent.objective(tokens[None, :, None], goal, actions)[0].double().cpu().numpy()
    return costs
