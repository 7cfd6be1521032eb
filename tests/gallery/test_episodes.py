"""One episode of each environment is filmed, and the scripts that act in it reach their goals."""

from pathlib import Path

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest

import wmcontrol
from experiments.gallery.episodes import main, play_episodes
from experiments.gallery.scripted import policy_for
from experiments.gallery.sheets import enlarged

STEPS = 5
NAMES = [env_id.removeprefix("wmcontrol/").removesuffix("-v0") for env_id in wmcontrol.ENV_IDS]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("episodes")
    play_episodes(folder, seed=0, max_steps=STEPS)
    return folder


def test_showing_episodes_saves_a_video_of_each_environment_a_contact_sheet_and_nothing_else(out: Path) -> None:
    assert sorted(p.name for p in out.iterdir()) == sorted([*(f"{name}.mp4" for name in NAMES), "contact_sheet.png"])


@pytest.mark.parametrize(("env_id", "name"), list(zip(wmcontrol.ENV_IDS, NAMES, strict=True)))
def test_videos_play_at_the_rate_of_control(env_id: str, name: str, out: Path) -> None:
    env = gym.make(env_id)
    rate = env.unwrapped.control_rate
    env.close()
    frames = iio.imread(out / f"{name}.mp4", plugin="pyav")
    # The start, every step, and a second in which the end stands still.
    assert frames.shape == (1 + STEPS + rate, 256, 384, 3)
    assert iio.immeta(out / f"{name}.mp4", plugin="pyav")["fps"] == rate
    assert np.abs(np.diff(frames[: STEPS + 1].astype(int), axis=0)).max() > 50, "nothing moves"


def test_the_contact_sheet_shows_something(out: Path) -> None:
    sheet = iio.imread(out / "contact_sheet.png")
    assert sheet.shape[0] > 500
    assert sheet.shape[1] > 500
    rows = np.array_split(sheet[..., :3], len(NAMES))
    assert all(len(np.unique(row.reshape(-1, 3), axis=0)) > 20 for row in rows)


def test_showing_episodes_says_where_its_files_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("experiments.gallery.episodes.ENV_IDS", ("wmcontrol/Wall-v0",))
    main(["--out", str(tmp_path / "new" / "folder"), "--seed", "1"])
    lines = capsys.readouterr().out.splitlines()
    assert str(tmp_path / "new" / "folder" / "Wall.mp4") in lines
    assert str(tmp_path / "new" / "folder" / "contact_sheet.png") in lines
    assert any("Wall: at the goal" in line for line in lines)


@pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
def test_the_scripted_policies_reach_their_goals_within_bounds(env_id: str) -> None:
    env = gym.make(env_id, obs_type="state")
    for seed in range(3):
        policy = policy_for(env_id)
        observation, info = env.reset(seed=seed)
        over = False
        while not over:
            observation, _, terminated, truncated, info = env.step(policy(observation))
            over = terminated or truncated
        assert info["success"]
        assert info["clipped"] == 0
    env.close()


def test_enlarging_repeats_pixels() -> None:
    picture = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    assert np.array_equal(enlarged(picture, 6), picture.repeat(3, 0).repeat(3, 1))
