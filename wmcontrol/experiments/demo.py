"""``wmcontrol demo``: a comparison of a few minutes."""

from ..evaluation import PROTOCOLS
from .compare_settings import Comparison
from .recipes import Data


def small_comparison(
    seed: int = 0,
    *,
    episodes: int = 300,
    num_steps: int = 300,
    batch_size: int = 64,
    num_tasks: int = 64,
    oracle_tasks: int = 32,
    num_iterations: int = 7,
) -> Comparison:
    """Return a comparison on Wall; with these sizes it takes about three minutes of two cores.

    Args:
        seed: of training, tasks and agents.
        episodes: to train on; a sixth as many are for tasks.
        num_steps, batch_size: of the optimiser.
        num_tasks: in all.
        oracle_tasks: with the true simulator.
        num_iterations: of the planner, :func:`~wmcontrol.planners.fast`.
    """
    return Comparison(
        data={
            "wall": Data(env="wall", policy="random", episodes=episodes, frames=(50,), unseen_episodes=episodes // 6)
        },
        modes=("scratch", "full"),
        labelled=(),
        training={"wall": {"num_steps": num_steps, "batch_size": batch_size}},
        protocol=PROTOCOLS["paper"],
        num_tasks=num_tasks,
        oracle_tasks=oracle_tasks,
        planner="fast",
        planner_settings={"num_iterations": num_iterations},
        objective={"wall": {"metric": "cosine"}},
        warmup={"wall": 0},
        seed=seed,
    )
