"""Comparisons that are ready made."""

from collections.abc import Mapping

from ..evaluation import PROTOCOLS
from ..models import PlanningSettings
from ..planners import fast
from ..training import FinetuneSettings
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
        planning=PlanningSettings(context_frames=3, context_steps=10),  # one frame does not tell the velocity
    ),
}


def registered(env_id: str) -> EnvironmentSettings:
    """Return what is tried first in an environment that a user has registered: random actions, and the usual training.

    Args:
        env_id: its id, with the module that registers it before it, ``my_module:mine/Reacher-v0``.
    """
    data = CollectSettings(env_id=env_id, policy="random", num_episodes=2_000, num_frames=(100,))
    return EnvironmentSettings(
        data=data,
        training=FinetuneSettings(),
        planning=PlanningSettings(context_frames=3, context_steps=10),  # one frame tells no velocity
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
        seed=seed,
    )
