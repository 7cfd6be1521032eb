"""The true simulator in place of a world model."""

import pickle
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from dot_world import dot_model, starts_and_goals
from naming import naming

from wmcontrol import CEM, GoalDistance, PlanningAgent
from wmcontrol.agents import SimulatorModel
from wmcontrol.agents.state import Observation
from wmcontrol.encoders import PyramidEncoder

WALL = "wmcontrol/Wall-v0"
FAST = CEM(num_samples=40, num_elites=6, num_iterations=4)
BLANK = np.zeros((64, 64, 3), np.uint8)


def observed(env: Any) -> Observation:
    return Observation(BLANK, BLANK, env.get_state(), env.variation)


@pytest.mark.parametrize(
    ("env_id", "options"),
    [
        (WALL, {"variation": {"wall_position": 20.0, "agent_color": [0, 0, 255]}}),
        ("wmcontrol/PushT-v0", {}),
        ("wmcontrol/PointMaze_UMaze-v0", {"variation": {"agent_size": 1.4}}),
    ],
)
def test_a_rollout_is_what_the_environment_shows(env_id: str, options: dict[str, Any]) -> None:
    model = dot_model()
    simulator = SimulatorModel(model, env_id, num_workers=0)
    env = gym.make(env_id)
    env.reset(seed=3, options=options)
    inner: Any = env.unwrapped
    context = simulator.context([observed(inner)])
    actions = torch.rand(1, 3, 2, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1
    tokens = simulator.rollout(context, actions)
    assert tokens.shape == (1, 3, 2, 1, 2)
    torch.testing.assert_close(simulator.rollout(context, actions, last_only=True), tokens[:, :, -1:])
    start = inner.get_state()
    for s in range(3):
        inner.set_state(start)
        for h in range(2):
            for action in actions[0, s, h].reshape(5, 2).numpy():
                observation, *_ = env.step(action)
            expected = model.encode(torch.from_numpy(observation["pixels"])[None, None])[0, 0]
            torch.testing.assert_close(tokens[0, s, h], expected)


def test_workers_give_the_same_as_this_process() -> None:
    actions = torch.rand(2, 60, 1, 10, generator=torch.Generator().manual_seed(0)) * 2 - 1
    model = dot_model()
    starts, _ = starts_and_goals(2)
    here = SimulatorModel(model, WALL, num_workers=0)
    context = here.context([Observation(BLANK, BLANK, start) for start in starts])
    with SimulatorModel(model, WALL, num_workers=1) as there:
        expected = here.rollout(context, actions)
        torch.testing.assert_close(there.rollout(context, actions), expected, rtol=0, atol=0)
        copy = pickle.loads(pickle.dumps(there))  # in a process of a pool it starts none of its own
    assert (copy.num_workers, there.num_workers) == (0, 1)
    torch.testing.assert_close(copy.rollout(context, actions), expected, rtol=0, atol=0)


def test_the_same_agent_plans_with_it() -> None:
    simulator = SimulatorModel(dot_model(), WALL, num_workers=0)
    agent = PlanningAgent(simulator, FAST, GoalDistance())
    assert agent.reads_state
    env: Any = gym.make_vec(WALL, num_envs=3, terminate_on_success=False)
    starts, goals = starts_and_goals(3)
    observation, info = env.reset(seed=0, options={"state": starts, "goal_state": goals})
    state = None
    for _ in range(25):
        seen = {**observation, "state": env.get_state(), "variation": env.variation}
        action, state = agent.predict(seen, state)
        observation, *_, info = env.step(action)
    assert info["is_success"].all()
    told = agent.explain(state)[0]
    assert told is not None
    np.testing.assert_allclose(told.surprise, 0, atol=1e-4)  # it makes no errors
    with pytest.raises(ValueError, match=naming("observation", "state")):
        agent.predict(observation)
    with pytest.raises(ValueError, match=naming("state", 3, (2,))):
        agent.predict({**observation, "state": np.zeros(2)})


def test_one_environment_is_read_as_a_batch_of_one() -> None:
    agent = PlanningAgent(SimulatorModel(dot_model(), WALL, num_workers=0), FAST, GoalDistance())
    env = gym.make(WALL)
    inner: Any = env.unwrapped
    observation, _ = env.reset(seed=0)
    action, _ = agent.predict({**observation, "state": inner.get_state(), "variation": inner.variation})
    assert action.shape == (2,)


def test_what_cannot_be_simulated_is_refused() -> None:
    model = dot_model()
    with pytest.raises(ValueError, match="Nowhere"):
        SimulatorModel(model, "wmcontrol/Nowhere-v0", num_workers=0)
    with pytest.raises(ValueError, match=naming(WALL, "walls")):
        SimulatorModel(model, WALL, env_settings={"walls": 3}, num_workers=0)
    with pytest.raises(ValueError, match=naming("num_workers", -1)):
        SimulatorModel(model, WALL, num_workers=-1)
    with pytest.raises(TypeError, match="WorldModel"):
        SimulatorModel(PyramidEncoder, WALL)  # type: ignore[arg-type]
    simulator = SimulatorModel(model, WALL, num_workers=0)
    with pytest.raises(ValueError, match=naming("environment 0", "distractors")):
        simulator.context([Observation(BLANK, BLANK, np.zeros(2), {"distractors": np.array([2.0])})])
