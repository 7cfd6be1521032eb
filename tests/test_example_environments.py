"""The environments of examples/environments, where their packages are installed, and the script that measures them."""

import gc
from importlib import import_module
from pathlib import Path
from typing import Any

import foreign_envs
import gymnasium as gym
import numpy as np
import pytest

from wmcontrol import ICEM
from wmcontrol.data import collect, policies
from wmcontrol.envs import PixelObservation, check_goal_env
from wmcontrol.evaluation import DatasetTasks

FOLDER = Path(__file__).resolve().parents[1] / "examples" / "environments"
EXAMPLES = {  # module: (what it needs, its environment, numbers of a state that success is given)
    "reacher": ("mujoco", "Reacher", 8),
    "pusher": ("mujoco", "Pusher", 27),
    "pusht": ("gym_pusht", "PushT", 5),
    "point_maze": ("gymnasium_robotics", "PointMaze", 4),
    "cartpole": ("shimmy", "Cartpole", 4),
    "ogbench_maze": ("ogbench", "OGBenchMaze", 4),
    "four_ways": ("wmcontrol", "FourWays", 2),
}


def _made(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return the environment of an example, or skip where it cannot be made or draws nothing."""
    needs, label, _ = EXAMPLES[name]
    pytest.importorskip(needs)
    monkeypatch.syspath_prepend(FOLDER)
    if f"examples/{label}-v0" not in gym.registry:
        import_module(name)
    try:
        return gym.make(f"examples/{label}-v0").unwrapped
    except Exception as error:  # whatever its renderer raises where there is no display library
        pytest.skip(f"it draws nothing here: {error}")


@pytest.mark.filterwarnings("default")  # which these packages raise
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_is_collected_in_and_gives_tasks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = _made(name, monkeypatch)
    assert env.reset(seed=0)[0]["pixels"].std() > 5
    env.close()
    env_id, size = f"examples/{EXAMPLES[name][1]}-v0", EXAMPLES[name][2]
    assert check_goal_env(env_id) == []
    data = collect(env_id, policies.random(env_id, num_frames=40), 2, seed=1)
    states = data.trajectory(1).states
    assert states is not None
    moved = states[:, :size] - states[0, :size]
    assert np.abs(moved).max() > 0.01
    tasks = DatasetTasks(data, 2, goal_offset=25)
    assert tasks.redrawn["refused"] == 0


def _ogbench(module: Any, states: Any, goal: Any) -> list[bool]:
    """Return what OGBench says of balls there."""
    env = module.make().unwrapped
    env.reset(options={"task_id": 1})
    env.set_goal(goal_xy=goal[:2])
    said = []
    for state in states:
        env.set_xy(state[:2])
        said.append(env.step(np.zeros(2))[-1]["success"] == 1)
    return said


def _robotics(module: Any, states: Any, goal: Any) -> list[bool]:
    """Return what gymnasium-robotics says of balls there."""
    env = module.make().unwrapped
    return [env.compute_reward(state[:2], goal[:2], {}) == 1 for state in states]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("name", "theirs"), [("ogbench_maze", _ogbench), ("point_maze", _robotics)])
def test_a_goal_is_reached_where_its_package_says_so(name: str, theirs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _made(name, monkeypatch).close()
    module = import_module(name)
    goal = np.array([0.0, 0, 0, 0])
    states = goal + np.array([[away, 0, 0, 0] for away in (0.1, 0.4, 0.44, 0.46, 0.6, 0.95, 1.05, 1.2)])
    said = theirs(module, states, goal)
    assert any(said)
    assert not all(said)
    np.testing.assert_array_equal(module.success(states, goal), said)


@pytest.mark.filterwarnings("default")
def test_goals_of_a_maze_are_anywhere_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    env = _made("ogbench_maze", monkeypatch)
    goals = np.array([env.reset(seed=seed)[0]["desired_goal"] for seed in range(60)])
    env.close()
    cells = import_module("ogbench_maze").free_cells()
    away = np.abs(goals[:, None, :2] - cells).max(-1)
    assert (away.min(1) <= 1).all()
    assert len(set(away.argmin(1))) > 20


def test_frames_stay_when_another_renderer_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    env, closed, left = (_made("reacher", monkeypatch) for _ in range(3))
    before = env.reset(seed=0)[0]["pixels"]
    watched = PixelObservation(import_module("reacher").make())
    assert watched.reset(seed=0)[0]["pixels"].std() > 5
    closed.reset(seed=1)
    left.reset(seed=2)
    closed.close()
    for _ in range(2):  # the second time its own context is current when those of others end
        np.testing.assert_array_equal(env.draw(env.get_state()[None])[0], before)
        closed = left = None
        gc.collect()
    np.testing.assert_array_equal(env.draw(env.get_state()[None])[0], before)
    assert watched.reset(seed=0)[0]["pixels"].std() > 5
    watched.close()
    np.testing.assert_array_equal(env.draw(env.get_state()[None])[0], before)


def test_measuring_prints_success_beside_floors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("h5py")
    from examples.environments import measure

    setting = measure.Setting(foreign_envs.BALL, frameskip=5, horizon=2, num_episodes=11, num_steps=2)
    monkeypatch.setattr(measure, "SETTINGS", {"foreign_envs": setting})
    monkeypatch.setattr(measure, "fast", lambda: ICEM(num_samples=8, num_elites=2, num_iterations=2))
    monkeypatch.setattr("sys.argv", ["measure.py", "--out", str(tmp_path), "--num-tasks", "2", "--replanning"])
    measure.main()
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| foreign_envs")]
    agents = ["world model", "no-op", "random actions"]
    assert [row[1:3] for row in rows[-6:]] == [[p, a] for p in ("one plan", "replanning") for a in agents]
