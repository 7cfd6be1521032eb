"""``wmcontrol show episodes``."""

from dataclasses import dataclass
from typing import Any

from ..objects import path_of


@dataclass
class Config:
    """Play one episode of each environment with a scripted policy; save a video of each and a contact sheet.

    Example: wmcontrol show episodes out=videos

    Args:
        out: the folder to save the files in. For example videos.
        seed: which episodes to play. For example 1.
    """

    out: str = "outputs/show_episodes"
    seed: int = 0


def run(config: Any) -> None:
    """Play the episodes."""
    from ...experiments.show_episodes import play_episodes

    out = path_of(config.out)
    out.mkdir(parents=True, exist_ok=True)
    play_episodes(out, config.seed)
