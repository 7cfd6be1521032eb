"""``wmcontrol show``."""

import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..objects import made, open_data, out_folder

_EPISODES = 6
_FRAMES = 51  # of an episode in an environment without goals


@dataclass
class Config:
    """Draw a contact sheet of a data set: frames, actions, and how far things get in 25 steps.

    With env=NAME it is of six episodes of random actions there. An environment of yours with goals, env.id=module:ID,
    is tried before: what planning needs and does not find is told. One without goals, as env.id=Pendulum-v1, is shown
    too.

    Example: wmcontrol show data.path=data/wall out=wall.png

    Args:
        out: the picture to save. For example wall.png.
    """

    out: str = "outputs/sheet.png"


def run(config: Any) -> None:
    """Draw it."""
    from ...data.sheet import save_sheet

    out = Path(config.out)
    if out.suffix.lower() != ".png":
        raise UsageError(f"out: expected a file that ends in .png, got '{out}'")
    out_folder(out.parent)
    dataset = open_data(config.data) if config.env.id is None else _at_random(config)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_sheet(dataset, out, config.env.id)
    print(out)


def _at_random(config: Any) -> Any:
    """Return a few episodes of random actions in an environment, and tell what is wrong with one of the user's."""
    import gymnasium as gym
    from omegaconf import OmegaConf

    from ...data import collect, policies, record
    from ...envs import ENV_IDS, check_goal_env
    from ...envs.pixels import make_with_pixels
    from ...envs.registration import bare_id, is_goal_env

    if config.data.path is not None:
        raise UsageError("give data.path=PATH, to draw data, or env=NAME, to draw random actions; got both")
    env_id = config.env.id
    settings: Any = OmegaConf.to_container(config.env.settings)
    with made("env"):
        if not is_goal_env(bare_id(env_id)) and bare_id(env_id) in gym.registry:
            with closing(make_with_pixels(env_id, settings)) as env:
                return record(env, _EPISODES, num_frames=_FRAMES, control_rate=config.data.control_rate)
        policy = policies.random(env_id)
        for wrong in () if env_id in ENV_IDS else check_goal_env(env_id):
            print(f"{env_id}: {wrong}", file=sys.stderr)
        return collect(env_id, policy, _EPISODES, env_settings=settings)
