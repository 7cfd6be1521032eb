"""Rewards from the command line: recorded, learned by a head, and judged."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest
from foreign_envs import Ball
from naming import naming

from wmcontrol import WorldModel
from wmcontrol.cli.main import main
from wmcontrol.data import open_dataset
from wmcontrol.planners import RandomShooting

NAMES = WALK, ENDLESS, CHOICES, BLIND, DARK = [
    f"test/{name}-v0" for name in ("Walk", "Endless", "Choices", "Blind", "Dark")
]
Captured = pytest.CaptureFixture[str]


class Walk(Ball):
    """The ball, rewarded by how far to the right it is."""

    def step(self, action: object) -> object:
        self.place = np.clip(self.place + action, -10, 10)
        return self.place, float(self.place[0]), False, False, {}


class Choices(Walk):
    """The same, with four directions to choose from."""

    action_space = gym.spaces.Discrete(4)


class Blind(gym.Env):
    """Draws nothing."""

    observation_space = action_space = gym.spaces.Box(-1, 1, (2,))

    def __init__(self, render_mode: str | None = None):
        self.render_mode = render_mode


@pytest.fixture(autouse=True)
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    gym.register(WALK, Walk, max_episode_steps=6)
    gym.register(ENDLESS, Walk)
    gym.register(CHOICES, Choices, max_episode_steps=6)
    gym.register(BLIND, Blind, max_episode_steps=6)
    gym.register(DARK, lambda: Walk(), max_episode_steps=6)
    yield
    for name in NAMES:
        gym.registry.pop(name)


def test_an_environment_without_goals_is_shown(capsys: Captured) -> None:
    assert main(["show", f"env.id={WALK}", "out=sheet.png"]) == 0
    assert capsys.readouterr().out.split() == ["sheet.png"]
    picture = iio.imread("sheet.png")
    assert picture.shape[0] == pytest.approx(390 + 155 * 6, abs=2)  # six rows of frames, and a row of figures
    assert picture.std() > 5
    assert main(["show", "env.id=test/None-v0", "out=none.png"]) == 2
    assert "test/None-v0" in capsys.readouterr().err


def test_an_environment_without_goals_is_recorded_learned_and_judged(capsys: Captured) -> None:
    pytest.importorskip("h5py")
    recording = ["record", f"env.id={WALK}", "num_episodes=12", "num_frames=31", "image_size=16", "out=data"]
    assert main(recording) == 0
    rewards = open_dataset("data").trajectory(0).rewards
    assert rewards is not None
    assert len(rewards) == 30
    assert main(["encode", "data.path=data", "encoder.num_components=4", "out=stores"]) == 0
    (store,) = (path.parent for path in Path("stores").glob("*/store.json"))
    small = [
        "mode=scratch",
        "frameskip=1",
        "num_frames=3",
        "num_steps=1",
        "warmup_steps=1",
        "batch_size=4",
        "device=cpu",
    ]
    assert main(["finetune", f"store={store}", *small, "out=model"]) == 0
    fit = ["fit_reward", f"store={store}", "num_steps=5", "batch_size=8"]
    assert main([*fit, "base=model/model", "out=rewarded"]) == 0
    assert WorldModel.load("rewarded/model").reward is not None
    assert main([*fit, "base=wall", "out=not"]) == 2
    judged = ["returns", f"env.id={WALK}", "num_episodes=2", "device=cpu"]
    searching = ["planner=random_shooting", "planner.num_samples=2", "planner.num_iterations=1", "horizon=2"]
    capsys.readouterr()
    assert main([*judged, *searching, "model.path=model/model"]) == 2
    assert re.search(naming("model", "fit_reward"), capsys.readouterr().err)
    assert main([*judged, *searching, "model.path=rewarded/model", "out=found"]) == 0
    found = json.loads(Path("found/returns.json").read_text())
    assert set(found) == {"random actions", "world model"}
    assert len(found["world model"]["returns"]) == 2
    assert main(["returns", f"env.id={ENDLESS}", "agent=random", "num_episodes=2", "max_steps=3", "out=short"]) == 0
    capsys.readouterr()
    assert main(["returns", f"env.id={CHOICES}", "num_episodes=2", "model.path=rewarded/model"]) == 2
    assert re.search(naming("model", "2 numbers", "Discrete(4)"), capsys.readouterr().err)
    with pytest.MonkeyPatch.context() as patch:  # without a planner it is what suits the model, here one of the paper's
        patch.setattr(
            "wmcontrol.agents.planning.CEM", lambda **given: asked.append(given) or RandomShooting(num_samples=2)
        )
        asked: list[dict] = []
        assert main([*judged, "horizon=2", "model.path=rewarded/model", "out=usual"]) == 0
    assert asked == [{"std": 2.0}]


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["record", "env.id=Nothing-v0"], "Nothing-v0"),
        (["record", f"env.id={WALK}", "control_rate=0", "num_frames=1"], "num_frames"),
        (["returns", f"env.id={WALK}", "agent=simulator"], "simulator"),
        (["returns", f"env.id={ENDLESS}", "agent=random"], "max_steps"),
        (["returns", f"env.id={WALK}", "agent=random", "max_steps=0"], "max_steps"),
        (["evaluate", f"env.id={WALK}", "agent=random"], "register_goal_env"),
        (["collect", f"env.id={WALK}"], "record"),
        pytest.param(
            ["show", f"env.id={BLIND}", "out=a.png"],
            "rgb_array",
            marks=pytest.mark.filterwarnings("ignore:.*not in the possible render_modes"),  # Gymnasium says it too
        ),
        (["show", f"env.id={DARK}", "out=a.png"], "render_mode"),
        (["fit_reward", "store=nowhere", "base=wall"], "nowhere"),
    ],
)
def test_what_is_wrong_is_told_with_exit_code_2(words: list[str], fact: str, capsys: Captured) -> None:
    assert main(words) == 2
    assert fact in capsys.readouterr().err
