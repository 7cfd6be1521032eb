"""``wmcontrol scenes``."""

from dataclasses import dataclass
from typing import Any

from ..objects import made, plain, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Make clips of bodies that fall, bounce and hide, to train and to test on, and pairs of films: one cannot be.

    Clips are videos without actions, which wmcontrol encode reads, with exact masks, identities and depths beside
    them. The same keys give the same pixels. Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol scenes num_clips=10000 jobs=4 out=data/scenes

    Args:
        out: the folder to save them in; by default one of these settings, under outputs/scenes. For example
            data/scenes.
    """

    out: str | None = None


def run(config: Any) -> None:
    """Make them."""
    from ...scenes import save_scenes, scene_sets

    told = {name: value for name, value in plain(config).items() if name not in ("out", "imports", "jobs")}
    with made():
        sets = scene_sets(**told)
    out = run_folder(config, "scenes", apart=("jobs",))
    with progress_bar("making scenes", "clips and pairs") as progress:
        save_scenes(out, sets, jobs=config.jobs, progress=progress)
    for part in sorted(sets):
        print(out / part)
