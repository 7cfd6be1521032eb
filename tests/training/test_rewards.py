"""Rewards: recorded, learned by a head, and planned for without a goal."""

import json
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from foreign_envs import BALL, Ball
from gymnasium.wrappers import TimeLimit
from naming import naming

from wmcontrol import (
    CEM,
    ActionConditioned,
    ActionNormalizer,
    GoalDistance,
    LearnedReward,
    PlanningAgent,
    Predictor,
    PyramidEncoder,
    WorldModel,
)
from wmcontrol.agents import RandomAgent
from wmcontrol.data import ArrayDataset, LatentStore, collect, convert, encode, open_dataset, policies, record
from wmcontrol.envs import PixelObservation
from wmcontrol.evaluation import evaluate_returns
from wmcontrol.models import RewardHead
from wmcontrol.training import descent, fit_reward


class Walk(Ball):
    """The ball, rewarded by how far to the right it is; it ends at the very right."""

    def step(self, action: Any) -> Any:
        self.place = np.clip(self.place + action, -10, 10)
        return self.place, float(self.place[0]), bool(self.place[0] == 10), False, {}


def make() -> gym.Env[Any, Any]:
    return TimeLimit(PixelObservation(Walk("rgb_array"), 16), 12)


@pytest.fixture(scope="module")
def dataset() -> ArrayDataset:
    return record(make(), 30, num_frames=13, seed=1)


@pytest.fixture(scope="module")
def store(dataset: ArrayDataset, tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    return encode(dataset, PyramidEncoder(8), tmp_path_factory.mktemp("stores"))


def small_model(store: LatentStore) -> WorldModel:
    found = store.action_statistics()
    normalizer = ActionNormalizer(found.mean, found.std, found.low, found.high, frameskip=3)
    predictor = ActionConditioned(Predictor(8, 16, 1, 2), 6)
    return WorldModel(store.encoder, predictor, normalizer, control_rate=5, frame_size=(16, 16))


def test_what_was_recorded_is_what_happened(dataset: ArrayDataset) -> None:
    env, over = Walk("rgb_array"), 0
    for index in range(len(dataset)):
        trajectory = dataset.trajectory(index)
        assert trajectory.rewards is not None
        assert trajectory.actions is not None
        env.place = np.array([trajectory.rewards[0] - trajectory.actions[0, 0], 0.0])
        ended = False
        for action, reward in zip(trajectory.actions, trajectory.rewards, strict=True):
            expected, end = env.step(action)[1:3]
            np.testing.assert_allclose(reward, 0.0 if ended else expected, atol=1e-6)
            ended |= end
        over += ended and trajectory.rewards[-1] == 0
    assert over  # some went to the very right, and stayed


def test_records_repeat_themselves_and_may_be_an_agents(dataset: ArrayDataset) -> None:
    assert record(make(), 30, num_frames=13, seed=1).fingerprint() == dataset.fingerprint()
    again = record(make(), 2, num_frames=13, agent=RandomAgent(Walk.action_space), seed=1)
    assert again.trajectory(0).actions.std(0).min() > 0.1  # type: ignore[union-attr]
    for seed, same in ((1, True), (2, False)):
        other = record(make(), 2, num_frames=13, agent=RandomAgent(Walk.action_space), seed=seed)
        assert np.array_equal(other.trajectory(0).actions, again.trajectory(0).actions) == same  # type: ignore[arg-type]
    for env, settings, fact in ((make(), {}, "num_frames"), (Walk("rgb_array"), {"num_frames": 5}, "PixelObservation")):
        with pytest.raises(ValueError, match=fact):
            record(env, 1, **settings)


def test_rewards_lie_beside_actions_in_sets_and_stores(
    dataset: ArrayDataset, store: LatentStore, tmp_path: Path
) -> None:
    saved = convert(dataset, tmp_path / "with")
    assert store.rewards is not None
    for index, (first, length) in enumerate(zip(store.offsets, store.lengths, strict=True)):
        rewards = dataset.trajectory(index).rewards
        np.testing.assert_array_equal(saved.trajectory(index).rewards, rewards)
        np.testing.assert_array_equal(store.rewards[first : first + length - 1], rewards)
    convert(ArrayDataset([np.zeros((3, 8, 8, 3), np.uint8)], [np.zeros((2, 1))], control_rate=1), tmp_path / "none")
    assert open_dataset(tmp_path / "none").trajectory(0).rewards is None
    kept = [json.loads((tmp_path / name / "data" / "metadata.json").read_text()) for name in ("with", "none")]
    assert ["rewards" in metadata["wmcontrol"] for metadata in kept] == [True, False]


def test_collect_records_rewards_where_it_is_asked_to(tmp_path: Path) -> None:
    asked: dict[str, Any] = {"num_frames": 6}
    for folder in (None, tmp_path / "set"):
        found = collect(BALL, policies.random(BALL, **asked), 2, folder=folder, rewards=True)
        rewards = found.trajectory(1).rewards
        assert rewards is not None
        assert rewards.tolist() == [0.0] * 5  # sparse: far from the goal
    assert collect(BALL, policies.random(BALL, **asked), 2).trajectory(1).rewards is None


def test_a_head_learns_the_mean_reward_of_a_model_step(store: LatentStore) -> None:
    found = fit_reward(store, frameskip=3, num_steps=300, batch_size=64, width=32)
    assert found.explained > 0.8
    assert found.error < 0.5 * found.std
    assert sorted([*found.train, *found.held_out]) == list(range(30))
    again = fit_reward(store.folder, frameskip=3, num_steps=3, batch_size=64, width=32)
    other = fit_reward(store, frameskip=3, num_steps=3, batch_size=64, width=32)
    assert all(torch.equal(a, b) for a, b in zip(again.head.parameters(), other.head.parameters(), strict=True))
    first = store.offsets[found.held_out[0]]
    expected = store.rewards[first : first + 3].mean()  # type: ignore[index]
    assert abs(float(found.head(store.tokens[first + 3 : first + 4])) - expected) < 3.0
    several = fit_reward(store, frameskip=3, num_steps=300, batch_size=64, width=32, num_frames=3)
    assert several.head(store.tokens[first : first + 10 : 3]).shape == (2,)
    assert several.explained > 0.8
    with pytest.raises(ValueError, match=naming("members", found.held_out[0])):
        fit_reward(store, frameskip=3, members=found.held_out[:1])
    with pytest.raises(ValueError, match="frameskip = 20"):
        fit_reward(store, frameskip=20)


def test_a_store_without_rewards_is_told(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (3, 8, 8, 8, 3), dtype=np.uint8)
    plain = encode(ArrayDataset(frames, rng.normal(size=(3, 7, 2)), control_rate=1), PyramidEncoder(4), tmp_path)
    assert plain.rewards is None
    with pytest.raises(ValueError, match="rewards"):
        fit_reward(plain, frameskip=2)


def test_a_head_is_saved_with_its_model(store: LatentStore, tmp_path: Path) -> None:
    model = small_model(store)
    model.save(tmp_path / "without")
    assert WorldModel.load(tmp_path / "without").reward is None
    model.reward = fit_reward(store, frameskip=3, num_steps=2, batch_size=8).head
    model.save(tmp_path / "with")
    loaded = WorldModel.load(tmp_path / "with").reward
    assert loaded is not None
    tokens = store.tokens[:5]
    assert torch.equal(loaded(tokens), model.reward(tokens))
    config = tmp_path / "with" / "config.json"
    described = json.loads(config.read_text())
    for change in ({"dim": 9}, {"width": 2**20}, {"num_patches": 10}):
        config.write_text(json.dumps({**described, "reward": {**described["reward"], **change}}))
        with pytest.raises(ValueError, match=r"reward|model\.safetensors"):
            WorldModel.load(tmp_path / "with")


def test_the_rewards_of_all_steps_count(store: LatentStore) -> None:
    latents, none = torch.arange(24.0).view(1, 2, 3, 2, 2), torch.zeros(1, 0, 2)
    head = lambda tokens: tokens.sum((-1, -2))  # noqa: E731
    sums = latents.sum((-1, -2))
    plain, discounted = LearnedReward(head, 5), LearnedReward(head, 5, discount=0.5, terminal=lambda t: t[..., 0, 0])
    actions = torch.zeros(1, 2, 3, 1)
    torch.testing.assert_close(plain(latents, none, actions), -5 * sums.sum(2))
    weighted = 5 * (sums * torch.tensor([1, 0.5, 0.25])).sum(2) + 0.125 * latents[:, :, -1, 0, 0]
    torch.testing.assert_close(discounted(latents, none, actions), -weighted)
    assert not (plain + 0.1 * plain).needs_goal
    assert (plain + GoalDistance()).needs_goal
    assert (plain + (lambda *arguments: arguments[2].sum((-1, -2)))).needs_goal  # who knows
    later = LearnedReward(lambda tokens: head(tokens)[..., 1:], discount=0.5)
    torch.testing.assert_close(later(latents, none, actions), -(0.5 * sums[..., 1] + 0.25 * sums[..., 2]))
    for head_of in (lambda t: t.sum(-1), lambda t: head(t)[..., :0]):
        with pytest.raises(ValueError, match=naming("head", (1, 2, 3, 2, 2))):
            LearnedReward(head_of)(latents, none, actions)
    with pytest.raises(ValueError, match=naming("terminal", (1, 2))):
        LearnedReward(head, terminal=lambda t: t)(latents, none, actions)
    with pytest.raises(TypeError, match="head"):
        LearnedReward(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=naming(2, 8, 3)):
        RewardHead(2, 8)(torch.zeros(4, 3, 8))
    with pytest.raises(ValueError, match=naming("H from 2")):
        RewardHead(2, 8, num_frames=2)(torch.zeros(4, 1, 2, 8))


def test_an_agent_plans_for_rewards_without_a_goal(store: LatentStore) -> None:
    model = small_model(store)
    planner = CEM(num_samples=16, num_elites=4, num_iterations=2)
    settings: dict[str, Any] = {"horizon": 2, "replan_every": 6}
    observation, _ = make().reset(seed=0)
    with pytest.raises(ValueError, match="goal_pixels"):
        PlanningAgent.from_model(model, planner, **settings).predict(observation)
    model.reward = fit_reward(store, frameskip=3, num_steps=2, batch_size=8).head
    agent = PlanningAgent.from_model(model, planner, **settings)
    assert isinstance(agent.objective, LearnedReward)
    state = None
    for _ in range(5):
        action, state = agent.predict(observation, state)
        assert Walk.action_space.contains(action)
    assert state is not None
    (told,) = agent.explain(state)
    assert told is not None
    assert told.surprise.shape == (1,)
    with_goal = {**observation, "goal_pixels": observation["pixels"]}  # which is not looked at
    np.testing.assert_array_equal(agent.predict(with_goal)[0], agent.predict(observation)[0])


def test_returns_are_the_sums_of_rewards_until_an_episode_ends() -> None:
    class Right:
        def predict(self, observation: Any, state: Any, episode_start: Any, deterministic: bool) -> Any:
            assert observation["pixels"].shape[1:] == (16, 16, 3)
            return np.full((len(episode_start), 2), 1.0, np.float32), None

    found = evaluate_returns(Right(), make, 5, seed=3, batch=2)
    for seed, value, length in zip(range(3, 8), found.values, found.lengths, strict=True):
        env, total, steps, over = make(), 0.0, 0, False
        env.reset(seed=seed)
        while not over:
            _, reward, terminated, truncated, _ = env.step(np.ones(2, np.float32))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        assert (value, length) == (pytest.approx(total), steps)
    low, high = found.interval()
    assert found.values.min() <= low < found.mean < high <= found.values.max()
    assert str(found).startswith(f"{found.mean:.1f} [")
    random = evaluate_returns(RandomAgent(Walk.action_space), make, 5, seed=3)
    assert random.mean < found.mean


def test_a_training_that_was_killed_ends_with_the_same_head(
    store: LatentStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(step: int, _: int) -> None:
        if step == 4:
            raise Killed

    monkeypatch.setattr(descent, "_SAVE_SECONDS", -1.0)
    how: dict[str, Any] = {"frameskip": 1, "num_steps": 6, "batch_size": 8, "width": 8}
    with pytest.raises(Killed):
        fit_reward(store, folder=tmp_path, progress=kill, **how)
    told: list[int] = []
    head = fit_reward(store, folder=tmp_path, progress=lambda step, _: told.append(step), **how).head.state_dict()
    assert told == [3, 4, 5, 6]
    for name, value in fit_reward(store, **how).head.state_dict().items():
        assert torch.equal(head[name], value)
