"""The sheet of a data set: what is on it, and the numbers that it shows."""

from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import imageio.v3 as iio
import numpy as np
import pytest

from wmcontrol.actions import ActionLayout
from wmcontrol.data import ArrayFrames, Provenance, Trajectory, TrajectoryDataset
from wmcontrol.data.sheet import STEPS, displacements, save_sheet, shares


class Walks(TrajectoryDataset):
    """Trajectories in memory, of a dot that goes round."""

    def __init__(
        self, *, lengths: tuple[int, ...] = (40, 60, 80), size: int = 5, frames: bool = True, actions: int = 2
    ):
        self.lengths, self.control_rate, self.action_bounds = np.array(lengths), 10.0, None
        self.env_id: str | None = "wmcontrol/PushT-v0"
        self.size, self.frames, self.actions = size, frames, actions

    def trajectory(self, index: int) -> Trajectory:
        count = int(self.lengths[index])
        rng = np.random.default_rng(index)
        angle = np.arange(count) / 9
        states = np.stack([200 + 90 * np.cos(angle + i) for i in range(max(self.size, 1))], -1)
        frames = np.zeros((count, 32, 32, 3), np.uint8)
        frames[:, 4:9, 4:9] = rng.integers(60, 255, (count, 1, 1, 3))
        return Trajectory(
            times=np.arange(count) / 10,
            provenance=Provenance("memory", Path("memory"), f"episode_{index}"),
            frames=ArrayFrames(frames) if self.frames else None,
            states=states if self.size else None,
            actions=rng.normal(size=(count - 1, self.actions)) if self.actions else None,
        )

    def fingerprint(self) -> str:
        return "memory"


def test_displacements_are_those_over_25_steps() -> None:
    count = STEPS + 3
    states = np.zeros((count, 5))
    states[:, 0], states[:, 1] = 3 * np.arange(count), 4 * np.arange(count)
    states[:, 4] = 6 + 0.01 * np.arange(count)  # past a whole turn
    states[:, 4] %= 2 * np.pi
    trajectory = Trajectory(times=np.arange(count), provenance=Provenance("", Path(), ""), states=states)
    assert displacements(trajectory, slice(0, 2)) == pytest.approx([125.0] * 3)
    assert displacements(trajectory, slice(4, 5), angle=True) == pytest.approx([np.rad2deg(0.25)] * 3)
    short = Trajectory(times=np.arange(STEPS), provenance=Provenance("", Path(), ""), states=states[:STEPS])
    assert len(displacements(short, slice(0, 2))) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"frames": False},
        {"size": 0},
        {"actions": 0},
        {"actions": 3},
        {"size": 9, "lengths": (50,) * 9},
        {"lengths": (10, 12)},
        {"size": 0, "actions": 0, "lengths": (30, 30)},
    ],
)
def test_a_sheet_is_saved_of_whatever_there_is(settings: dict, tmp_path: Path) -> None:
    save_sheet(Walks(**settings), tmp_path / "sheet.png")
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]
    picture = iio.imread(tmp_path / "sheet.png")[..., :3]
    rows = min(6, len(settings.get("lengths", (1, 2, 3)))) if settings.get("frames", True) else 0
    assert picture.shape[0] == pytest.approx(390 + 155 * rows, abs=2)
    assert picture.shape[1] == 1300
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 10


def test_choices_are_shown_as_how_often_each_was_made(tmp_path: Path) -> None:
    layout = ActionLayout.of(gym.spaces.MultiDiscrete([2, 3], start=[0, 5]))
    actions = layout.to_vectors(np.array([[0, 5], [0, 7], [0, 7], [1, 6]]))
    (first, of_first), (second, of_second) = shares(actions, layout)
    assert (first.tolist(), of_first.tolist()) == ([0, 1], [0.75, 0.25])
    assert (second.tolist(), of_second.tolist()) == ([5, 6, 7], [0.25, 0.25, 0.5])

    class Chosen(Walks):
        action_layout = layout

        def trajectory(self, index: int) -> Trajectory:
            return replace(super().trajectory(index), actions=actions)

    save_sheet(Chosen(lengths=(5,)), tmp_path / "choices.png")
    save_sheet(Walks(lengths=(5,), actions=5), tmp_path / "numbers.png")
    drawn, other = (iio.imread(tmp_path / name)[-300:] for name in ("choices.png", "numbers.png"))
    assert (drawn != other).mean() > 0.02


def test_numbers_that_differ_in_their_last_digits_alone_are_drawn(tmp_path: Path) -> None:
    class Steady(Walks):
        def trajectory(self, index: int) -> Trajectory:
            moved = super().trajectory(index)
            push = np.array([0.5, 0.25, -0.5])
            states = 200 + np.arange(len(moved))[:, None] / 3 + np.zeros(5)
            return replace(moved, states=states, actions=push + np.zeros((len(moved) - 1, 3)))

    values = displacements(Steady().trajectory(2), slice(0, 2))
    assert 0 < np.ptp(values) < 1e-12
    save_sheet(Steady(actions=3), tmp_path / "sheet.png")
    assert iio.imread(tmp_path / "sheet.png").std() > 1


def test_frames_on_the_sheet_are_the_trajectories_own(tmp_path: Path) -> None:
    data = Walks(lengths=(40,))
    save_sheet(data, tmp_path / "sheet.png")
    colors = {tuple(color) for color in iio.imread(tmp_path / "sheet.png")[..., :3].reshape(-1, 3).tolist()}
    frames = data.trajectory(0).frames
    assert frames is not None
    for frame in frames.read(np.linspace(0, 39, 8).round().astype(int)):
        assert tuple(frame[6, 6].tolist()) in colors
