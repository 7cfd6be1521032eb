"""Actions on their whole way: recorded, stored, normalised, planned, and done in the environment."""

from copy import deepcopy
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model
from foreign_envs import Ball
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict, Discrete, MultiBinary, MultiDiscrete, Text

from wmcontrol import (
    CEM,
    CMA,
    ICEM,
    MPPI,
    ActionConditioned,
    ActionNormalizer,
    CategoricalCEM,
    GoalDistance,
    Gradient,
    Planner,
    PlanningAgent,
    Predictor,
    PyramidEncoder,
    RandomShooting,
    TrajectoryDataset,
    WorldModel,
)
from wmcontrol.actions import ActionLayout
from wmcontrol.agents import NoOpAgent, RandomAgent, SimulatorModel
from wmcontrol.data import ArrayDataset, LatentStore, collect, encode
from wmcontrol.data.collecting import collect_batches
from wmcontrol.envs import check_goal_env, register_goal_env
from wmcontrol.envs.contract import check_fits
from wmcontrol.evaluation import DatasetTasks, Protocol, RandomTasks, evaluate
from wmcontrol.models import ActionPrior
from wmcontrol.planners import BestProposal
from wmcontrol.training import FinetuneSettings, finetune

# Neither bound of the first number is one of single precision; the second is held at its upper bound, which rounds
# upwards; the third has no bounds, the fourth none above.
SPACE = Box(np.array([-0.3, 0.1, -np.inf, 0.0]), np.array([0.7, 0.6, np.inf, np.inf]), dtype=np.float64)
NO_ACTIONS = [Box(0, 3, (2,), np.int64), Box(-1, 1, (0,)), Text(3)]


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


class Places(Ball):
    """The ball, moved by actions of any space; what it is given must be an action of that."""

    def __init__(self, name: str):
        super().__init__("rgb_array")
        self.action_space, self._move = SPACES[name]

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        assert np.isscalar(action) or isinstance(action, np.ndarray)
        return super().step(2.0 * np.clip(self._move(action), -1, 1))


FOUR = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
LESS = np.array([0.1, -np.inf, -np.inf, -1.0], np.float32)
SPACES: dict[str, tuple[Any, Any]] = {
    "a matrix": (Box(-1, 1, (2, 2)), lambda a: a.sum(0)),
    "a number": (Box(-1, 1, ()), lambda a: np.array([a, a])),
    "no bounds": (Box(-np.inf, np.inf, (2, 1)), lambda a: a[:, 0]),
    "some bounds": (Box(LESS, np.array([0.9, np.inf, 0.7, 1.0], np.float32)), lambda a: a[1:3]),
    "four directions": (Discrete(4, start=3), lambda a: FOUR[a - 3]),
    "two choices": (MultiDiscrete([3, 2]), lambda a: a * [1, 2] - 1),
    "a table of choices": (MultiDiscrete([[3], [3]]), lambda a: a[:, 0] - 1),
    "two switches": (MultiBinary(2), lambda a: 2.0 * a - 1),
}


def close(states: Any, goals: Any) -> Any:
    return np.abs(states - goals).max(-1) < 1.0


class Sampler:
    """Acts at random, bounds or none."""

    def __init__(self, space: gym.Space[Any]):
        self.action_space = space

    def start(self, seeds: Any) -> np.random.Generator:
        return np.random.default_rng([*seeds])

    def predict(self, observation: Any, state: Any, episode_start: Any, deterministic: bool = True) -> Any:
        space = deepcopy(self.action_space)
        space.seed(int(state.integers(2**31)))
        return np.stack([space.sample()]), state


@pytest.fixture(scope="module", params=SPACES)
def kind(request: pytest.FixtureRequest) -> str:
    env_id = f"test/Places-{request.param.replace(' ', '_')}-v0"
    if env_id not in gym.registry:
        register_goal_env(env_id, partial(Places, request.param), success=close)
    return env_id


@pytest.fixture(scope="module")
def trained(kind: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[WorldModel, TrajectoryDataset]:
    folder = tmp_path_factory.mktemp("places")
    env = gym.make(kind)
    dataset = collect(kind, Sampler(env.action_space), 6, num_frames=33, folder=folder / "data")
    in_memory = collect(kind, Sampler(env.action_space), 6, num_frames=33)
    assert dataset.action_layout == in_memory.action_layout
    np.testing.assert_array_equal(dataset.trajectory(5).actions, in_memory.trajectory(5).actions)
    bounded = np.isfinite(in_memory.action_bounds).any()
    np.testing.assert_array_equal(dataset.action_bounds, in_memory.action_bounds if bounded else None)
    encoder = PyramidEncoder(num_components=16)
    store = encode(dataset, encoder, folder)
    small = WorldModel(encoder, Predictor(16, 16, 1, 2), control_rate=5)
    settings = FinetuneSettings(frameskip=2, num_frames=3, num_steps=2, batch_size=4, warmup_steps=1)
    model = finetune(store, base=small, mode="scratch", settings=settings).model
    model.save(folder / "model")
    return WorldModel.load(folder / "model"), dataset


def planner_for(env_id: str, **settings: Any) -> Planner:
    space = gym.make(env_id).action_space
    return CEM(num_elites=4, **settings) if isinstance(space, Box) else CategoricalCEM(num_elites=4, **settings)


def test_actions_of_any_space_are_recorded_as_vectors_and_lead_to_the_same(trained: Any, kind: str) -> None:
    _, dataset = trained
    layout = dataset.action_layout or ActionLayout((4,))
    trajectory, env = dataset.trajectory(0), Places(next(n for n in SPACES if n.replace(" ", "_") in kind))
    env.place = trajectory.states[0]
    for action, state in zip(layout.to_actions(trajectory.actions), trajectory.states[1:], strict=True):
        env.step(action if np.isscalar(action) and layout.choices else np.asarray(action, env.action_space.dtype))
        np.testing.assert_allclose(env.place, state, atol=1e-6)


def test_agents_plan_in_any_space_and_the_true_simulator_arrives(trained: Any, kind: str) -> None:
    model, dataset = trained
    protocol = Protocol(name="short", goal_offset=4, budget=4, replan_every=4, horizon=2)
    tasks = DatasetTasks(dataset, 4, goal_offset=4, context_steps=2)
    small = planner_for(kind, num_samples=8, num_iterations=2)
    evaluate(PlanningAgent.from_model(model, small, horizon=2), tasks, protocol)  # environments check what they get
    with SimulatorModel(model, kind, num_workers=0) as simulator:
        large = planner_for(kind, num_samples=64, num_iterations=6)
        oracle = evaluate(PlanningAgent.from_model(simulator, large, horizon=2, metric="l2"), tasks, protocol)
    assert oracle.success_end.value >= 0.75


def test_a_prior_proposes_in_any_space_what_can_be_done(trained: Any, kind: str) -> None:
    model, dataset = deepcopy(trained[0]), trained[1]
    tasks, layout = DatasetTasks(dataset, 2, goal_offset=4), model.normalizer.layout
    torch.manual_seed(0)
    model.prior = ActionPrior(16, 1, model.normalizer.action_dim, horizon=2, width=8, depth=1)
    agent = PlanningAgent.from_model(model, BestProposal(), horizon=2, num_proposals=3)
    evaluate(agent, tasks, Protocol(name="short", goal_offset=4, budget=4, replan_every=4, horizon=2))
    _, state = agent.predict(gym.make(kind).unwrapped.reset(seed=0)[0])
    planned = model.normalizer.to_environment(state.envs[0].last_plan.plan.actions).numpy()
    if layout.choices:
        np.testing.assert_array_equal(planned, layout.to_vectors(layout.to_actions(planned)))
    searching = PlanningAgent.from_model(model, planner_for(kind, num_samples=8, num_iterations=2), horizon=2)
    assert searching.searches_noise == (not layout.choices)
    evaluate(searching, tasks, Protocol(name="short", goal_offset=4, budget=4, replan_every=4, horizon=2))


def test_what_others_act_is_noted_as_what_the_agent_acts(trained: Any, kind: str) -> None:
    agent = PlanningAgent.from_model(trained[0], planner_for(kind, num_samples=8, num_iterations=2), horizon=2)
    observation, _ = gym.make(kind).unwrapped.reset(seed=0)
    action, state = agent.predict(observation)
    noted = agent.observe(observation, None, action).envs[0].taken
    np.testing.assert_allclose(noted, state.envs[0].taken)
    batch = {key: np.stack([value] * 2) for key, value in observation.items()}
    actions, _ = agent.predict(batch)
    assert actions.shape == (2, *np.shape(action))
    with pytest.raises(ValueError, match="shape"):
        agent.observe(observation, None, actions)


@pytest.mark.parametrize("space", NO_ACTIONS, ids=str)
def test_agents_name_a_space_that_they_cannot_act_in(space: gym.Space[Any]) -> None:
    for agent in (NoOpAgent, RandomAgent):
        with pytest.raises(TypeError, match="Discrete") as caught:
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


@pytest.mark.parametrize("space", NO_ACTIONS, ids=str)
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


@pytest.mark.parametrize("name", ["four directions", "two choices", "a matrix", "a number"])
def test_actions_of_other_spaces_are_replayed(name: str) -> None:
    env_id = "test/Replayed-v0"
    register_goal_env(env_id, partial(Places, name), success=close, state=lambda env: env.place, max_episode_steps=80)
    try:
        assert check_goal_env(env_id) == []
    finally:
        gym.registry.pop(env_id)


def test_an_action_that_is_repeated_is_searched_for_once(tmp_path: Path) -> None:
    normalizer = ActionNormalizer([1.0, 0.0], [2.0, 1.0], [-3, -1], [3, 1], frameskip=4, repeat_action=True)
    assert normalizer.action_dim == 2
    low, high = normalizer.bounds()
    assert (low.tolist(), high.tolist()) == ([-2, -1], [1, 1])
    plans = torch.tensor([[0.5, -0.25], [9.0, 0.0]])
    done = normalizer.to_environment(plans)
    assert done.tolist() == [[[2, -0.25]] * 4, [[3, 0]] * 4]
    torch.testing.assert_close(normalizer.to_model(done)[0], plans[0])
    recorded = torch.tensor([[1.0, 0.0], [3.0, 1.0], [3.0, 0.0], [1.0, 0.0]])
    assert normalizer.to_model(recorded).tolist() == [0.5, 0.25]  # of their mean
    assert ActionNormalizer(**normalizer.settings()).settings() == normalizer.settings()


def test_a_model_that_repeats_actions_is_trained_and_saved_so(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames, chosen = rng.integers(0, 256, (4, 33, 8, 8, 3), dtype=np.uint8), rng.integers(0, 3, (4, 32))
    dataset = ArrayDataset(frames, chosen, control_rate=10, action_space=Discrete(3))
    store = encode(dataset, PyramidEncoder(4), tmp_path)
    small = WorldModel(store.encoder, Predictor(4, 16, 1, 2), control_rate=10, frame_size=(8, 8))
    settings = FinetuneSettings(
        frameskip=4, repeat_action=True, num_frames=3, num_steps=1, batch_size=4, warmup_steps=1
    )
    finetune(store, base=small, mode="scratch", settings=settings).model.save(tmp_path / "model")
    model = WorldModel.load(tmp_path / "model")
    assert model.normalizer is not None
    assert (model.normalizer.repeat_action, model.normalizer.action_dim) == (True, 3)
    planner = CategoricalCEM(num_samples=8, num_elites=2, num_iterations=1)
    agent = PlanningAgent.from_model(model, planner, horizon=3, context_frames=2)
    seen, state, actions = {"pixels": frames[0, 0], "goal_pixels": frames[1, 0]}, None, []
    for step in range(24):
        action, state = agent.predict({**seen, "pixels": frames[0, step]}, state)
        actions.append(int(action))
    assert actions == [action for action in actions[::4] for _ in range(4)]
    assert len(set(actions)) > 1
