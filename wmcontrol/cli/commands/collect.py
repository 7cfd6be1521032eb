"""``wmcontrol collect``."""

from dataclasses import dataclass
from typing import Any

from ..objects import made, make, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Collect trajectories in an environment with a policy, and save them as a Minari data set.

    The same keys give the same file. Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol collect env=wall policy=door num_episodes=18500 seed=1 out=data/wall

    Args:
        num_episodes: how many episodes. For example 18500.
        seed: which episodes. For example 1.
        out: the folder to save them in; by default one of these settings, under outputs/collect. For example
            data/wall.
        keep_pixels: save frames with this side in pixels; by default states only, of which frames are drawn when they
            are read. For example 64.
    """

    num_episodes: int = 2000
    seed: int = 0
    out: str | None = None
    keep_pixels: int | None = None


def run(config: Any) -> None:
    """Collect them."""
    from omegaconf import OmegaConf

    from ...data import collect
    from ...data.collecting import collect_batches

    policy = make(config.policy, "policy")
    told: Any = OmegaConf.to_container(config, resolve=True)
    env_id, settings = config.env.id, told["env"]["settings"]
    with made():  # what is refused is refused now, and not when a folder has been begun
        collect_batches(env_id, policy, config.num_episodes, seed=config.seed, env_settings=settings)
    out = run_folder(config, "collect")
    with progress_bar("collecting", "episodes") as progress:
        data = collect(
            env_id,
            policy,
            config.num_episodes,
            folder=out,
            seed=config.seed,
            env_settings=settings,
            keep_pixels=config.keep_pixels,
            about=None if getattr(policy, "about", None) else {"policy": told["policy"]},
            progress=progress,
        )
    print(f"{len(data)} episodes: {out}")
