"""Policies of other people: they are judged and collected with as they were trained, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from dot_world import dot_model

from wmcontrol import CEM, GoalDistance, PlanningAgent
from wmcontrol.agents import NoOpAgent, RandomAgent, SimulatorModel, load_policy
from wmcontrol.data import Trajectory
from wmcontrol.data.collecting import collect_batches
from wmcontrol.evaluation import Protocol, RandomTasks, evaluate

pytest.importorskip("stable_baselines3")
from naming import naming
from stable_baselines3 import PPO, SAC, HerReplayBuffer
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnvWrapper, VecFrameStack, VecNormalize, VecTransposeImage

PUSHT, WALL, MAZE = "wmcontrol/PushT-v0", "wmcontrol/Wall-v0", "wmcontrol/PointMaze_UMaze-v0"
SHORT = Protocol(name="short", budget=4, replan_every=4)
FAST = CEM(num_samples=32, num_elites=4, num_iterations=2)


def judge(agent: Any, env_id: str, **env_settings: Any) -> Any:
    return evaluate(agent, RandomTasks(env_id, 2, env_settings=env_settings), SHORT)


def gather(agent: Any, env_id: str, count: int = 2, batch: int = 64, **env_settings: Any) -> list[Trajectory]:
    lists = collect_batches(env_id, agent, count, seed=0, num_frames=5, batch=batch, env_settings=env_settings)
    return [trajectory for some in lists for trajectory in some]


def small(**settings: Any) -> dict[str, Any]:
    return {"device": "cpu", "seed": 0, "policy_kwargs": {"net_arch": [8], **settings}}


def ppo(env: Any, **settings: Any) -> Any:
    return PPO("MultiInputPolicy", env, n_steps=8, batch_size=8, n_epochs=1, **small(**settings))


class Silent:
    """Has ``predict`` and says nothing of itself, unless it is told to; remembers what it was shown."""

    def __init__(self, action: float = 0.0, **says: Any):
        self.action, self.seen = action, []
        vars(self).update(says)

    def predict(
        self, observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = True
    ) -> Any:
        self.seen.append(observation)
        rows = len(next(iter(observation.values())))
        return np.full((rows, 2), self.action, np.float32), None


def spaces_of(env_id: str, **settings: Any) -> dict[str, Any]:
    env = gym.make(env_id, **settings)
    return {"observation_space": env.observation_space, "action_space": env.action_space}


def scaled(space: gym.spaces.Dict) -> gym.spaces.Dict:
    """Return observations of which some numbers go from -1 to 1, as behind a wrapper."""
    return gym.spaces.Dict({**space.spaces, "observation": gym.spaces.Box(-1, 1, (2,), np.float64)})


STATES = spaces_of(WALL, obs_type="state")
OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "absolute targets": (spaces_of(PUSHT, action_mode="absolute", obs_type="state"), r"\[0\.0, 0\.0\]"),
    "discrete actions": ({**STATES, "action_space": gym.spaces.Discrete(4)}, r"Discrete\(4\)"),
    "three actions": ({"action_space": gym.spaces.Box(-1, 1, (3,))}, r"-1\.0"),
    "wider bounds, as an agent says them": ({"action_bounds": (-np.ones(2), 2 * np.ones(2))}, r"\[2.0, 2.0\]"),
    "another rate": ({"control_rate": 12.5}, naming("12.5 Hz", "10 Hz")),
    "flat observations": ({**STATES, "observation_space": gym.spaces.Box(0, 1, (6,))}, "Dict"),
    "more observations": (spaces_of(WALL, layout="random", obs_type="state"), r"\(4,\)"),
    "an unknown observation": ({"observation_space": gym.spaces.Dict(sound=gym.spaces.Box(0, 1))}, "'sound'"),
    "scaled observations": (
        {"observation_space": scaled(STATES["observation_space"])},
        "observation",
    ),
    "stacked frames": ({"observation_space": gym.spaces.Dict(pixels=gym.spaces.Box(0, 255, (64, 64, 12)))}, "64, 12"),
    "scaled frames": ({"observation_space": gym.spaces.Dict(pixels=gym.spaces.Box(0, 1, (64, 64, 3)))}, "pixels"),
}


@pytest.mark.parametrize("which", list(OTHERS))
def test_policies_of_another_contract_are_refused_before_work_starts(which: str, tmp_path: Path) -> None:
    says, fact = OTHERS[which]
    policy = Silent(**says)
    with pytest.raises(ValueError, match=fact):
        evaluate(policy, RandomTasks(WALL, 2), SHORT, file=tmp_path / "tasks.jsonl")
    with pytest.raises(ValueError, match=fact):
        collect_batches(WALL, policy, 1, seed=0, num_frames=5)  # not even iterated
    assert not policy.seen
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    "says",
    [
        {},
        STATES,
        spaces_of(WALL),
        {"action_space": None, "observation_space": None, "control_rate": None},
        {"control_rate": 10.0, "action_bounds": (-np.ones(2), np.ones(2))},
        {"observation_space": gym.spaces.Dict(pixels=gym.spaces.Box(0, 255, (3, 64, 64), np.uint8))},
        {"observation_space": gym.spaces.Dict(goal_pixels=gym.spaces.Box(0, 255, (40, 40, 3), np.uint8))},
    ],
)
def test_policies_that_fit_or_say_nothing_are_judged_and_collected_with(says: dict[str, Any]) -> None:
    policy = Silent(0.5, **says)
    assert len(judge(policy, WALL).records) == 2
    judged = policy.seen.pop()
    (trajectory, _) = gather(policy, WALL)
    assert np.array_equal(trajectory.actions, np.full((4, 2), 0.5))
    shapes, collected = ({key: values.shape[1:] for key, values in seen.items()} for seen in (judged, policy.seen[-1]))
    assert shapes == collected
    if says.get("observation_space") is not None:
        assert shapes == {key: space.shape for key, space in says["observation_space"].items()}
    else:
        assert set(shapes) == {"pixels", "goal_pixels", "observation", "achieved_goal", "desired_goal"}


def test_frames_with_colours_first_are_the_same_frames() -> None:
    last, first = (
        Silent(observation_space=gym.spaces.Dict(pixels=gym.spaces.Box(0, 255, shape, np.uint8)))
        for shape in ((32, 32, 3), (3, 32, 32))
    )
    for policy in (last, first):
        judge(policy, WALL)
    assert np.array_equal(np.moveaxis(last.seen[0]["pixels"], -1, 1), first.seen[0]["pixels"])


def test_what_has_no_predict_is_refused() -> None:
    for nobody in (lambda observation: observation, "PPO", object()):
        with pytest.raises(TypeError, match="predict"):
            judge(nobody, WALL)
        with pytest.raises(TypeError, match="predict"):
            collect_batches(WALL, nobody, 1, seed=0, num_frames=5)
    with pytest.raises(ValueError, match="num_frames"):
        collect_batches(WALL, Silent(), 1, seed=0)


def test_a_policy_that_learns_in_an_environment_is_compared_with_that_one() -> None:
    policy = ppo(gym.make(MAZE, obs_type="state", frame_skip=10))
    with pytest.raises(ValueError, match=naming("10 Hz", "20 Hz")):
        judge(policy, MAZE)
    with pytest.raises(ValueError, match=naming("10 Hz", "20 Hz")):
        gather(policy, MAZE)
    assert len(judge(policy, MAZE, frame_skip=10).records) == 2
    assert len(gather(policy, MAZE, frame_skip=10)) == 2

    def closed(*_: Any) -> Any:
        raise EOFError

    # One that is closed answers nothing, and the policy acts all the same.
    policy.get_env().get_attr = policy.get_env().env_is_wrapped = closed
    assert len(judge(policy, MAZE, frame_skip=10).records) == 2


class Shouting(VecEnvWrapper):
    """Shows other numbers than its environment."""

    def reset(self) -> Any:
        return {key: 2 * values for key, values in self.venv.reset().items()}

    def step_wait(self) -> Any:
        observation, *rest = self.venv.step_wait()
        return {key: 2 * values for key, values in observation.items()}, *rest


def test_policies_that_were_trained_behind_unknown_wrappers_are_refused() -> None:
    def make() -> gym.Env[Any, Any]:
        return gym.make(WALL, obs_type="state")

    # Actions from -1 to 1 as in Push-T's other mode, but they mean places in the field.
    targets = gym.make(PUSHT, obs_type="state", action_mode="absolute")
    with pytest.raises(ValueError, match="ActionWrapper"):
        judge(ppo(gym.wrappers.RescaleAction(targets, np.float32(-1), np.float32(1))), PUSHT)
    with pytest.raises(ValueError, match="Shouting"):
        judge(ppo(Shouting(DummyVecEnv([make]))), WALL)
    with pytest.raises(ValueError, match="VecFrameStack"):
        judge(ppo(VecFrameStack(DummyVecEnv([make]), 2)), WALL)


def normalized(**settings: Any) -> tuple[Any, VecNormalize]:
    env = VecNormalize(DummyVecEnv([lambda: gym.make(PUSHT, obs_type="state")] * 2), **settings)
    policy = ppo(env).learn(32)
    return policy, env


def spied(policy: Any, run: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """Return what a model is shown while something runs."""
    seen: list[dict[str, Any]] = []
    predict = policy.predict

    def spy(observation: Any, *args: Any, **kwargs: Any) -> Any:
        seen.append(observation)
        return predict(observation, *args, **kwargs)

    policy.predict = spy
    run(policy)
    policy.predict = predict
    return seen


def test_a_policy_is_shown_numbers_that_its_own_vecnormalize_makes() -> None:
    policy, env = normalized(clip_obs=2.5)
    count = env.obs_rms["observation"].count
    task = RandomTasks(PUSHT, 2).tasks[1]
    raw, _ = gym.make(PUSHT, obs_type="state").reset(seed=task.seed)
    for run in (lambda agent: judge(agent, PUSHT), lambda agent: gather(agent, PUSHT)):
        seen = spied(policy, run)
        assert np.abs(seen[0]["observation"]).max() <= 2.5
        assert set(seen[0]) == {"observation", "achieved_goal", "desired_goal"}
    shown = spied(policy, lambda agent: judge(agent, PUSHT))[0]
    for key, values in raw.items():
        moments = env.obs_rms[key]
        expected = np.clip((values - moments.mean) / np.sqrt(moments.var + env.epsilon), -2.5, 2.5)
        np.testing.assert_allclose(shown[key][1], expected, rtol=1e-5)
    assert env.obs_rms["observation"].count == count  # judging teaches it nothing


def test_a_vecnormalize_of_rewards_alone_changes_nothing_that_is_shown() -> None:
    policy, _ = normalized(norm_obs=False)
    assert spied(policy, lambda agent: judge(agent, PUSHT))[0]["observation"].max() > 100


def test_normalised_frames_are_shown_as_they_were_trained_on() -> None:
    env: Any = VecNormalize(VecTransposeImage(DummyVecEnv([lambda: gym.make(WALL, obs_type="pixels", image_size=36)])))
    policy = ppo(env, normalize_images=False).learn(8)
    env.training = False
    expected = policy.get_env().reset()["pixels"]
    shown = spied(policy, lambda agent: judge(agent, WALL))[0]["pixels"]
    assert shown.shape[1:] == expected.shape[1:]
    assert np.abs(shown).max() <= 10


# Files


def test_a_policy_with_hindsight_replay_is_loaded(tmp_path: Path) -> None:
    env = gym.make(WALL, obs_type="state", max_episode_steps=20)
    model = SAC(
        "MultiInputPolicy", env, replay_buffer_class=HerReplayBuffer, learning_starts=30, buffer_size=99, **small()
    )
    model.learn(40).save(tmp_path / "sac")
    loaded = load_policy("SAC", tmp_path / "sac.zip")
    assert judge(loaded, WALL).report() == judge(model, WALL).report()
    assert np.array_equal(gather(loaded, WALL)[0].states, gather(model, WALL)[0].states)


def test_algorithms_of_other_packages_are_loaded_by_their_class(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    model = contrib.TQC("MultiInputPolicy", gym.make(WALL, obs_type="state"), buffer_size=100, **small())
    model.save(tmp_path / "tqc")
    loaded = load_policy("sb3_contrib.TQC", tmp_path / "tqc.zip")
    assert judge(loaded, WALL).report() == judge(model, WALL).report()


def test_a_recurrent_policy_remembers_its_episode(tmp_path: Path) -> None:
    contrib = pytest.importorskip("sb3_contrib")
    env = gym.make(WALL, obs_type="state")
    model = contrib.RecurrentPPO(
        "MultiInputLstmPolicy",
        env,
        n_steps=8,
        batch_size=8,
        device="cpu",
        seed=0,
        policy_kwargs={"lstm_hidden_size": 8},
    )
    model.save(tmp_path / "lstm")
    agent = load_policy("sb3_contrib.RecurrentPPO", tmp_path / "lstm.zip")
    one, many = (gather(agent, WALL, 3, batch=batch) for batch in (1, 3))
    assert all(np.array_equal(a.states, b.states) for a, b in zip(one, many, strict=True))
    seen: list[Any] = []
    predict = model.predict

    def spy(observation: Any, state: Any = None, episode_start: Any = None, deterministic: bool = False) -> Any:
        seen.append((state, episode_start))
        return predict(observation, state, episode_start, deterministic)

    model.predict = spy
    for run in (judge, gather):
        seen.clear()
        run(model, WALL)
        assert seen[0][0] is None
        assert seen[0][1].all()
        assert np.abs(seen[-1][0][0]).max() > 0
        assert not seen[-1][1].any()


def test_statistics_of_a_file_are_applied(tmp_path: Path) -> None:
    policy, env = normalized()
    policy.save(tmp_path / "ppo.zip")
    env.save(str(tmp_path / "vecnormalize.pkl"))
    loaded = load_policy("PPO", tmp_path / "ppo.zip", vecnormalize=tmp_path / "vecnormalize.pkl")
    assert judge(loaded, PUSHT).report() == judge(policy, PUSHT).report()
    raw = judge(load_policy("PPO", tmp_path / "ppo.zip"), PUSHT)
    assert judge(loaded, PUSHT).report() != raw.report()
    wall = ppo(gym.make(WALL, obs_type="state"))
    wall.save(tmp_path / "wall")
    for file in ("vecnormalize.pkl", "ppo.zip"):
        with pytest.raises(ValueError, match=file):
            load_policy("PPO", tmp_path / "wall.zip", vecnormalize=tmp_path / file)


def test_files_and_classes_that_there_are_not_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.zip").write_text("hello")
    for algorithm, fact in (("", "TD3"), ("GPT", "'GPT'"), ("nowhere.GPT", "nowhere"), ("math.pi", "'math.pi'")):
        with pytest.raises(ValueError, match=fact):
            load_policy(algorithm, tmp_path / "text.zip")
    with pytest.raises(ValueError, match=naming("text.zip", "PPO")):
        load_policy("PPO", tmp_path / "text.zip")
    with pytest.raises(FileNotFoundError, match=r"none\.zip"):
        load_policy("PPO", tmp_path / "none.zip")


# Our own agents


def planner(**settings: Any) -> PlanningAgent:
    return PlanningAgent(dot_model(), FAST, GoalDistance(), **settings)


@pytest.mark.parametrize("which", ["planning", "simulator", "random", "noop"])
def test_our_agents_collect_the_same_whatever_the_batch(which: str) -> None:
    space = gym.make(WALL).action_space
    agent: Any = {
        "planning": planner,
        "simulator": lambda: PlanningAgent(SimulatorModel(dot_model(), WALL, num_workers=0), FAST, GoalDistance()),
        "random": lambda: RandomAgent(space),
        "noop": lambda: NoOpAgent(space),
    }[which]()
    one, many = (gather(agent, WALL, 3, batch=batch) for batch in (1, 2))
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.states, b.states)
        assert (np.ptp(a.states, axis=0) > 0).all() == (which != "noop")
    assert not np.array_equal(one[0].actions, one[1].actions) or which == "noop"


def test_a_planning_agent_of_another_rate_or_size_of_step_is_refused() -> None:
    with pytest.raises(ValueError, match=naming("10 Hz", "20 Hz")):
        gather(planner(), MAZE)
    model = dot_model()
    model.control_rate = 25.0
    with pytest.raises(ValueError, match=naming("25 Hz", "10 Hz")):
        evaluate(PlanningAgent(model, FAST, GoalDistance()), RandomTasks(WALL, 1))
    with pytest.raises(ValueError, match=naming("horizon", 5, 6)):
        evaluate(planner(horizon=6), RandomTasks(WALL, 1))
