"""``python -m experiments.benchmarks.peers``: its agents, and a run of seconds in Wall."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from experiments.benchmarks import peers
from wmcontrol import CEM, WorldModel
from wmcontrol.data import LatentStore, collect, encode, held_out_split, policies
from wmcontrol.models import find_folder

WALL = "wmcontrol/Wall-v0"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    data = collect(WALL, policies.random(WALL, num_frames=(40, 40)), 10)
    return encode(data, WorldModel.load("wall").encoder, tmp_path_factory.mktemp("stores"))


def test_inverse_dynamics_are_asked_in_each_model_step_for_as_many_steps_as_are_left() -> None:
    model, asked = WorldModel.load("wall", dtype=torch.float32), []

    def said(tokens: Tensor, goal: Tensor, steps_to_go: Tensor) -> Tensor:
        asked.append(steps_to_go.tolist())
        return torch.full((len(tokens), 10), float(len(asked)))

    network: Any = said
    network.horizon = 5
    agent = peers.InverseDynamicsAgent(model, network, goal_offset=25)
    side = model.frame_size[0]
    seen = {key: np.zeros((2, side, side, 3), np.uint8) for key in ("pixels", "goal_pixels")}
    state, actions = None, []
    for _ in range(35):
        action, state = agent.predict(seen, state, np.array([state is None] * 2))
        actions.append(action)
    assert asked == [[k, k] for k in (5, 4, 3, 2, 1, 1, 1)]
    assert state is not None
    assert state.decisions == (7, 7)
    normalizer = model.normalizer
    assert normalizer is not None
    low, high = normalizer.bounds()
    for i, action in enumerate(actions):
        wanted = torch.full((1, 10), 1.0 + i // 5).clamp(low, high)
        expected = normalizer.to_environment(wanted[:, None])[0, 0, i % 5].numpy()
        np.testing.assert_allclose(action, np.stack([expected] * 2), rtol=1e-6)


def test_inverse_dynamics_learn_which_action_led_to_a_goal(store: LatentStore, tmp_path: Path) -> None:
    model = WorldModel.load("wall", dtype=torch.float32)
    network, seconds = peers.fit_inverse(store, model, tmp_path, 60)
    assert seconds > 0
    assert model.normalizer is not None
    train = held_out_split(len(store), 0)[0].tolist()
    windows = peers.HindsightWindows(store, train, model.normalizer, horizon=5, num_frames=1)
    batch = windows.draw(200, np.random.default_rng(1))
    said, done = network(batch.tokens[:, 0], batch.goal, batch.steps_to_go), batch.actions[:, 0]
    assert float((said - done).square().mean()) < 0.7 * float(done.square().mean())
    again, told = peers.fit_inverse(store, model, tmp_path, 60)
    assert told == seconds
    assert all(torch.equal(a, b) for a, b in zip(network.parameters(), again.parameters(), strict=True))


def test_seconds_of_training_are_of_all_runs_of_a_model() -> None:
    stages = {
        stage["name"]: stage["attempts"]
        for stage in json.loads((find_folder("pusht") / "card.json").read_text())["stages"]
    }
    runs = [
        stages[name][0]["core_seconds"]
        for name in ("train base", "train pusht", "train pusht further 1", "train pusht further 2")
    ]
    assert peers.trained_seconds("pusht") == (pytest.approx(sum(runs)), stages["fit prior pusht"][0]["seconds"])


def test_sac_begins_where_trajectories_were(store: LatentStore) -> None:
    assert store.states is not None
    env = peers.FromTrajectories(gym.make(WALL, obs_type="state"), store, 25)
    found = set()
    for seed in range(20):
        observation, info = env.reset(seed=seed)
        assert not info["is_success"]
        (start,) = np.flatnonzero(np.isclose(store.states, observation["achieved_goal"]).all(1))[:1]
        np.testing.assert_allclose(store.states[start + 25], observation["desired_goal"])
        assert start % 40 + 25 < 40
        found.add(int(start) // 40)
    assert found <= {*held_out_split(10, 0)[0].tolist()}
    assert len(found) > 3
    env.close()


def test_all_do_the_same_tasks_and_a_second_run_trains_nothing(
    store: LatentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("stable_baselines3")
    collect(WALL, policies.random(WALL, num_frames=(40, 40)), 4, folder=tmp_path / "unseen", seed=1)
    monkeypatch.setattr(peers, "CEM", partial(CEM, num_samples=8, num_elites=2, num_iterations=2))
    words = ["--model=wall", f"--store={store.folder}", f"--unseen={tmp_path / 'unseen'}", "--num-tasks=2"]
    words += ["--inverse-steps=2", "--sac-seconds=0.2", f"--out={tmp_path / 'out'}"]
    peers.main(words)
    text = capsys.readouterr().out
    files = sorted((tmp_path / "out" / "agents").glob("*.jsonl"))
    assert len(files) == 10
    headers = [json.loads(file.read_text().splitlines()[0]) for file in files]
    assert len({json.dumps(header["tasks"], sort_keys=True) for header in headers}) == 1
    table = [line.split(" | ") for line in text.splitlines() if line.startswith("| ") and "%" in line]
    assert [row[4] for row in table] == ["1", "1", "1", "1", "5", "25", "1", "1", "25", "25"]
    policy = tmp_path / "out" / "sac" / "sac.zip"
    before = policy.stat().st_mtime_ns
    (tmp_path / "out" / "peers.json").unlink()  # killed before it was written
    peers.main(words)
    assert policy.stat().st_mtime_ns == before
    assert capsys.readouterr().out == text
