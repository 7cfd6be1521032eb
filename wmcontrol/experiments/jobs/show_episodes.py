"""``wmcontrol show episodes``."""

from dataclasses import dataclass
from pathlib import Path

from ..files import folder_to_save_in
from ..keys import key
from ..record import write_record


@dataclass
class Config:
    """Play one episode of each environment with a scripted policy; save a video of each and a contact sheet."""

    out: Path = key("the folder to save the files in", default=Path("outputs/show_episodes"), example="videos")
    seed: int = key("which episodes to play", default=0, at_least=0, example="1")


def run(config: Config) -> None:
    """Play the episodes."""
    out = folder_to_save_in(config.out)
    from ..show_episodes import play_episodes

    write_record(out, "show episodes", config)
    play_episodes(out, config.seed)
