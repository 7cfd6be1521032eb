"""Comparisons that are ready made."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..evaluation.protocols import PROTOCOLS, Protocol
from ..evaluation.result import env_label
from ..models import PlanningSettings
from ..planners import Planner, fast
from ..training import FinetuneSettings, PriorSettings
from .settings import CollectSettings, Comparison, EnvironmentSettings

# The trajectories of the packaged models, their optimiser steps, and how agents plan with them (docs/packaged.md).
ENVIRONMENTS: Mapping[str, EnvironmentSettings] = {
    "wall": EnvironmentSettings(
        data=CollectSettings(env_id="wmcontrol/Wall-v0", policy="random", num_episodes=2_000, num_frames=(50,)),
        training=FinetuneSettings(num_steps=1_500, warmup_steps=150),
    ),
    "pusht": EnvironmentSettings(
        data=CollectSettings(env_id="wmcontrol/PushT-v0", policy="pushes", num_episodes=18_500, num_frames=(100, 300)),
        training=FinetuneSettings(num_steps=12_000),
        planning=PlanningSettings(standardize=1.0),  # what tells how a block is turned varies little in a token
    ),
    "pointmaze": EnvironmentSettings(
        data=CollectSettings(
            env_id="wmcontrol/PointMaze_UMaze-v0", policy="random", num_episodes=2_000, num_frames=(100,)
        ),
        training=FinetuneSettings(num_steps=4_000),
        # One frame does not tell the velocity, and a search over the noise of a prior gains nothing (docs/packaged.md).
        planning=PlanningSettings(context_frames=3, context_steps=10, search_space="actions"),
    ),
}


def _registered(env_id: str) -> EnvironmentSettings:
    """Return what is tried first in an environment that a user has registered."""
    return EnvironmentSettings(
        data=CollectSettings(env_id=env_id, policy="random", num_episodes=2_000, num_frames=(100,)),
        training=FinetuneSettings(),
        planning=PlanningSettings(context_frames=3, context_steps=10),  # one frame tells no velocity
    )


def usual_comparison(
    envs: Sequence[str],
    protocol: Protocol,
    planner: Planner,
    *,
    data: Sequence[str | Path] | None = None,
    reader: Mapping[str, Any] | None = None,
    num_steps: int | None = None,
    context_steps: int | None = None,
    planning: Mapping[str, Any] | None = None,
    packaged: bool = False,
    oracle_tasks: int = 128,
    **settings: Any,
) -> Comparison:
    """Return a comparison in some environments with what suits each of them, but for what is given.

    Args:
        envs: names of ``ENVIRONMENTS``; or ids of environments that a user has registered, with the module that
            registers them before them, ``my_module:mine/Reacher-v0``, or ``my_module:make_env``, a function of it:
            there it begins with random actions and the usual training.
        protocol: of the evaluation, with the number of tasks.
        planner: searches for plans.
        data: trajectories of the user's own, a folder for each of ``envs``; by default they are collected.
        reader: settings of what reads them.
        num_steps: optimiser steps with all trajectories.
        context_steps: environment steps that agents observe before they act, with as many frames of context.
        planning: changes of the :class:`~wmcontrol.PlanningSettings`.
        packaged: judge the packaged models too.
        oracle_tasks: as of :class:`Comparison`, at most as many as there are tasks.
        settings: more of :class:`Comparison`.

    Raises:
        ValueError: it says which argument, and what was expected.
    """
    names = [env_label(env).lower() for env in envs]
    if not names or len(set(names)) < len(names):
        raise ValueError(f"envs: expected one or more, each once; got {', '.join(envs) or 'none'}")
    if data is not None and len(data) != len(envs):
        raise ValueError(f"data.path: expected {len(envs)} of them, one for each environment; got {len(data)}")
    environments = {}
    for i, (name, env) in enumerate(zip(names, envs, strict=True)):
        if env not in ENVIRONMENTS and not {"/", ":"} & {*env}:
            raise ValueError(f"envs: expected some of {', '.join(ENVIRONMENTS)}, or module:ID of yours; got {env}")
        given = ENVIRONMENTS.get(env) or _registered(env)
        if data is not None:
            given = replace(given, data=str(data[i]), reader=reader or {})
        changes = dict(planning or {})
        if context_steps is not None:
            frames = 1 + context_steps // given.training.frameskip
            changes |= {"context_steps": context_steps, "context_frames": frames}
        training = given.training
        if num_steps is not None:
            training = replace(training, num_steps=num_steps, warmup_steps=min(200, num_steps // 10))
        environments[name] = replace(
            given,
            training=training,
            planning=replace(given.planning, **changes),
            finished=name if packaged and name in ENVIRONMENTS else None,
        )
    return Comparison(
        environments=environments,
        protocol=protocol,
        num_tasks=protocol.num_tasks,
        oracle_tasks=min(oracle_tasks, protocol.num_tasks),
        planner=planner,
        **settings,
    )


def demo(
    seed: int = 0,
    *,
    num_episodes: int = 300,
    num_steps: int = 300,
    batch_size: int = 64,
    num_tasks: int = 64,
    oracle_tasks: int = 32,
    num_iterations: int = 7,
    prior_steps: int = 600,
) -> Comparison:
    """Return a comparison on Wall; with these sizes it takes about three minutes of two cores.

    Args:
        seed: of training, tasks and agents.
        num_episodes: to train on; a sixth as many are for tasks.
        num_steps: of the optimiser.
        batch_size: windows of a step.
        num_tasks: in all.
        oracle_tasks: with the true simulator.
        num_iterations: of the planner, :func:`~wmcontrol.planners.fast`.
        prior_steps: optimiser steps of the action prior.
    """
    data = CollectSettings(
        env_id="wmcontrol/Wall-v0",
        policy="random",
        num_episodes=num_episodes,
        num_frames=(50,),
        num_unseen=num_episodes // 6,
    )
    training = FinetuneSettings(num_steps=num_steps, warmup_steps=num_steps // 10, batch_size=batch_size)
    return Comparison(
        environments={"wall": EnvironmentSettings(data=data, training=training)},
        modes=("scratch", "full"),
        num_train_trajectories=(),
        protocol=PROTOCOLS["paper"],
        num_tasks=num_tasks,
        oracle_tasks=oracle_tasks,
        planner=fast(num_iterations=num_iterations),
        prior=PriorSettings(num_steps=prior_steps, width=192),
        seed=seed,
    )
