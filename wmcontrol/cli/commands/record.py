"""``wmcontrol record``."""

from contextlib import closing
from dataclasses import dataclass
from typing import Any

from ..objects import made, out_folder, plain
from ..progress import progress_bar


@dataclass
class Config:
    """Record frames, actions and rewards of random actions in any Gymnasium environment that draws frames.

    It needs no goals; what follows are wmcontrol encode, finetune, fit_reward and returns. Actions last for 5 steps on
    average. Episodes are in memory until all are recorded, and then saved as a Minari data set.

    Example: wmcontrol record env.id=Pendulum-v1 num_episodes=80 num_frames=101 out=data/pendulum

    Args:
        image_size: side of the frames in pixels. For example 64.
        out: the folder to save them in. For example data/pendulum.
    """

    image_size: int = 64
    out: str = "outputs/record"


def run(config: Any) -> None:
    """Record them."""
    from ...data import convert, record
    from ...envs.pixels import make_with_pixels

    out, how = out_folder(config.out), ("num_episodes", "num_frames", "control_rate", "seed")
    with made("env"):
        env = make_with_pixels(config.env.id, plain(config.env.settings), config.image_size)
    with closing(env), made(), progress_bar("recording", "episodes") as progress:
        recorded = record(env, progress=progress, **{name: config[name] for name in how})
    about = {"env": config.env.id, "settings": plain(config.env.settings)}
    data = convert(recorded, out, about=about)
    print(f"{len(data)} episodes: {out}")
