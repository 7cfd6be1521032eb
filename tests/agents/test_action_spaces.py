"""Actions on their whole way: recorded, stored, normalised, planned, and done in the environment."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete

from wmcontrol import (
    CEM,
    CMA,
    ICEM,
    MPPI,
    ActionConditioned,
    ActionNormalizer,
    GoalDistance,
    Gradient,
    Planner,
    PlanningAgent,
    Predictor,
    PyramidEncoder,
    RandomShooting,
    WorldModel,
)
from wmcontrol.agents import NoOpAgent, RandomAgent, SimulatorModel
from wmcontrol.data import ArrayDataset, LatentStore, encode
from wmcontrol.data.collecting import collect_batches
from wmcontrol.envs.contract import check_fits
from wmcontrol.evaluation import RandomTasks, evaluate

# Neither bound of the first number is one of single precision; the second is held at its upper bound, which rounds
# upwards; the third has no bounds, the fourth none above.
SPACE = Box(np.array([-0.3, 0.1, -np.inf, 0.0]), np.array([0.7, 0.6, np.inf, np.inf]), dtype=np.float64)
NO_BOX = {
    "whole": Box(0, 3, (2,), np.int64),
    "discrete": Discrete(3),
    "multi-discrete": MultiDiscrete([3, 3]),
    "matrix": Box(-1, 1, (2, 2)),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, 12, 8, 8, 3), dtype=np.uint8)
    actions = rng.uniform([-0.3, 0, -5, 0], [0.7, 0, 4, 9], (6, 11, 4))
    actions[..., 1] = 0.6 - 1e-9 * rng.random((6, 11))
    dataset = ArrayDataset(frames, actions, control_rate=10, action_bounds=(SPACE.low, SPACE.high))
    encoder = PyramidEncoder(4)
    encoder.fit(torch.from_numpy(frames.reshape(-1, 8, 8, 3)))
    return encode(dataset, encoder, tmp_path_factory.mktemp("stores"))


@pytest.fixture(scope="module")
def model(store: LatentStore, tmp_path_factory: pytest.TempPathFactory) -> WorldModel:
    found = store.action_statistics()
    normalizer = ActionNormalizer(found.mean, found.std, found.low, found.high, frameskip=1)
    torch.manual_seed(0)
    predictor = ActionConditioned(Predictor(4, 16, 1, 2), 4)
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    folder = tmp_path_factory.mktemp("model")
    WorldModel(store.encoder, predictor, normalizer, control_rate=10, frame_size=(8, 8)).save(folder)
    return WorldModel.load(folder)


def test_a_store_keeps_bounds_that_are_infinite(store: LatentStore) -> None:
    assert store.action_bounds is not None
    np.testing.assert_array_equal(store.action_bounds, [SPACE.low, SPACE.high])


@pytest.mark.parametrize(
    "planner",
    [
        CEM(num_samples=32, num_iterations=3, std=50.0),
        ICEM(num_samples=32, num_iterations=3, std=50.0),
        MPPI(num_samples=32, num_iterations=3, std=50.0),
        Gradient(num_samples=8, num_iterations=3, std=50.0),
        CMA(num_samples=8, num_iterations=3, std=5.0),
        RandomShooting(num_samples=32, num_iterations=2),
    ],
    ids=lambda planner: type(planner).__name__,
)
def test_planned_actions_lie_in_the_environments_space(model: WorldModel, store: LatentStore, planner: Planner) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    agent = PlanningAgent(model, planner, GoalDistance(), horizon=2, replan_every=2)
    actions, state = agent.predict({"pixels": pixels, "goal_pixels": pixels[::-1]})
    more, _ = agent.predict({"pixels": pixels, "goal_pixels": pixels[::-1]}, state)
    actions = np.concatenate([actions, more])
    assert all(SPACE.contains(action) for action in actions)
    assert (actions[:, 1] == np.nextafter(np.float32(0.6), np.float32(0))).all()
    assert store.actions is not None
    recorded = store.actions[:, 2:]
    assert (actions[:, 2:] >= recorded.min(0).astype(np.float32)).all()
    assert (actions[:, 2:] <= recorded.max(0).astype(np.float32)).all()
    assert len(np.unique(actions[:, 2])) > 1


def test_a_model_fits_an_environment_that_leaves_room_for_what_it_holds(model: WorldModel) -> None:
    agent = PlanningAgent(model, CEM(), GoalDistance(), horizon=2, replan_every=2)
    env = SimpleNamespace(control_rate=10, single_action_space=SPACE, single_observation_space=Dict({}))
    check_fits(agent, env)
    for number, high in ((0, 0.8), (1, 0.5), (2, 1.0)):
        other = SPACE.high.copy()
        other[number] = high
        env.single_action_space = Box(SPACE.low, other, dtype=np.float64)
        with pytest.raises(ValueError, match="actions"):
            check_fits(agent, env)


def test_bounds_of_any_size_are_rounded_inwards() -> None:
    rng = np.random.default_rng(0)
    low, high = np.sort(rng.normal(size=(2, 1000)) * 10.0 ** rng.integers(-30, 30, 1000), axis=0)
    normalizer = ActionNormalizer(low, np.ones(1000), low, high, frameskip=1)
    for sign in (-1, 1):
        extreme = normalizer.to_environment(torch.full((1000,), sign * 3e38)).double().numpy()[0]
        assert ((low <= extreme) & (extreme <= high)).all()
        np.testing.assert_allclose(extreme, high if sign > 0 else low, rtol=1e-6)


def test_numbers_that_no_bound_holds_are_still_given() -> None:
    """Between bounds that are closer than two numbers of single precision there may be none: the nearest it is."""
    normalizer = ActionNormalizer([0.1], [1.0], [0.1], [0.1], frameskip=1)
    assert normalizer.to_environment(torch.tensor([7.0])).item() == np.float32(0.1)


@pytest.mark.parametrize("space", NO_BOX.values(), ids=NO_BOX)
def test_agents_name_a_space_that_they_cannot_act_in(space: gym.Space[Any]) -> None:
    for agent in (NoOpAgent, RandomAgent):
        with pytest.raises(TypeError, match="Box") as caught:
            agent(space)
        assert str(space) in str(caught.value)


class Choices(gym.vector.VectorEnv):
    """What collecting and evaluating need of a vector environment, with actions that are no vectors."""

    metadata: ClassVar[dict[str, Any]] = {"autoreset_mode": gym.vector.AutoresetMode.DISABLED}

    def __init__(self, space: gym.Space[Any], num_envs: int = 1, **settings: Any):
        self.num_envs, self.single_action_space = num_envs, space
        self.single_observation_space = Dict({})
        self.control_rate, self.variation, self.variations, self.closed = 10.0, {}, {}, False

    def get_state(self) -> None: ...

    def set_state(self) -> None: ...


class Choice(gym.Env):
    def __init__(self, space: gym.Space[Any], **settings: Any):
        self.action_space, self.observation_space = space, Dict({})

    def draw(self) -> None: ...


@pytest.mark.parametrize("space", NO_BOX.values(), ids=NO_BOX)
def test_environments_whose_actions_cannot_be_planned_are_named(
    space: gym.Space[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env_id = "tests/Choices-v0"
    spec = EnvSpec(env_id, Choice, vector_entry_point=Choices, kwargs={"space": space})
    monkeypatch.setitem(gym.registry, env_id, spec)
    policy: Any = SimpleNamespace(env_settings={}, script=lambda rng: None)
    for act in (
        lambda: next(collect_batches(env_id, policy, 1, seed=0)),
        lambda: evaluate(RandomAgent(Box(-1, 1, (2,))), RandomTasks(env_id, 1), "mpc"),
        lambda: SimulatorModel(dot_model(), env_id, num_workers=0),
    ):
        with pytest.raises(ValueError, match=env_id) as caught:
            act()
        assert str(space) in str(caught.value)
