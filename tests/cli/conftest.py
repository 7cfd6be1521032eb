import logging
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wmcontrol.cli.commands import collect
from wmcontrol.cli.errors import UsageError
from wmcontrol.cli.main import main

Moods = Callable[[Any], None]


@pytest.fixture(autouse=True)
def no_log_is_left() -> Iterator[None]:
    """Take back what a command does to logging: to the next test's stderr nothing is logged."""
    handlers, level = [*logging.root.handlers], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = handlers, level


def act(config: Any) -> None:
    """What ``wmcontrol collect`` does here instead of collecting: its mood is the number of episodes."""
    print(config.num_episodes, config.env.id, config.seed)
    mood = int(config.num_episodes)
    if mood == 1:
        raise ValueError("the value\nis wrong")
    if mood == 2:
        Path("/nowhere/at/all").read_text()
    if mood == 3:
        raise ImportError('run: pip install "wmcontrol[data]"')
    if mood == 4:
        raise UsageError("that cannot be")
    if mood == 5:
        raise KeyError("a bug")
    if mood == 6:
        print("started", flush=True)
        time.sleep(60)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trajectories in Wall; returns their folder."""
    pytest.importorskip("h5py")
    folder = tmp_path_factory.mktemp("data") / "wall"
    assert main(["collect", "env=wall", "num_episodes=20", "policy.num_frames=45", f"out={folder}"]) == 0
    return folder


@pytest.fixture
def moody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collect, "run", act)


OWN_MODULE = '''
import numpy as np
import torch

from wmcontrol import Predictor, RandomShooting
from wmcontrol.encoders import Encoder, register_encoder
from wmcontrol.models import register_predictor


class Still:
    """Collects: every action is the same."""

    env_settings = {}

    def __init__(self, frames=5, push=0.0):
        self.frames, self.push = frames, push

    def script(self, rng):
        return Script(self.frames, self.push)


class Script:
    options = {}

    def __init__(self, num_frames, push):
        self.num_frames, self.push = num_frames, push

    def act(self, view):
        return np.full(2, self.push)


def planner(candidates):
    return RandomShooting(num_samples=candidates)


class Nearness:
    """An objective: how near the last latents are to the goal's."""

    def __init__(self, scale=1.0):
        self.scale = scale

    def __call__(self, latents, goal, actions):
        return self.scale * (latents[:, :, -1] - goal[:, None]).abs().mean((-2, -1))


@register_encoder
class Corner(Encoder):
    """An encoder: the colour of the upper left corner, in one token."""

    carries_weights = False

    def __init__(self, side=8):
        super().__init__()
        self.side, self.dim = side, 3

    def settings(self):
        return {"side": self.side}

    def grid(self, height, width):
        return 1, 1

    def _tokens(self, frames):
        corner = frames[..., : self.side, : self.side, :].float().mean((-3, -2)) / 255
        return corner[..., None, :]


@register_predictor
class Damped(Predictor):
    """A predictor: a small one, whose tokens are drawn towards zero."""

    def __init__(self, dim, width=32, damping=0.5):
        super().__init__(dim, width, depth=1, num_heads=1)
        self.damping = damping

    def settings(self):
        return {"dim": self.dim, "width": self.width, "damping": self.damping}

    def _embed(self, tokens, previous_actions):
        return self.damping * super()._embed(tokens, previous_actions)
'''


@pytest.fixture
def own_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's own module in the folder that commands are run in; returns its name."""
    name = f"own_{tmp_path.name.replace('-', '_')}"
    # Classes of encoders and predictors register their names, for the whole process.
    (tmp_path / f"{name}.py").write_text(
        OWN_MODULE.replace("Corner", f"Corner_{name}").replace("Damped", f"Damped_{name}")
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return name
