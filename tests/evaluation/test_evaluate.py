"""Judging agents."""

import json
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from dot_world import dot_model
from naming import naming
from walks_data import Walks

from wmcontrol import CEM, GoalDistance, PlanningAgent
from wmcontrol.agents import NoOpAgent, RandomAgent, SimulatorModel
from wmcontrol.evaluation import DatasetTasks, Evaluation, Protocol, RandomTasks, difference, evaluate

FAST = CEM(num_samples=48, num_elites=6, num_iterations=4)
SPACE = gym.make("wmcontrol/Wall-v0").action_space
SHORT = Protocol(name="short", budget=30, replan_every=25)


def planner(**settings: Any) -> PlanningAgent:
    return PlanningAgent(dot_model(), FAST, GoalDistance(), **settings)


def test_an_agent_that_plans_solves_what_doing_nothing_does_not(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 8)
    told: list[tuple[int, int]] = []
    plans = evaluate(planner(), tasks, batch=5, progress=lambda *done: told.append(done))
    rests = evaluate(NoOpAgent(SPACE), tasks)
    assert plans.success_end.value == plans.success_any.value == 1
    assert rests.success_any.value == 0
    assert (plans.distances < 4.5).all()
    assert [r["distance"] for r in rests.records] == pytest.approx([r["start_distance"] for r in rests.records])
    assert [r["decisions"] for r in plans.records] == [1] * 8
    assert [r["decisions"] for r in rests.records] == [25] * 8
    assert plans.seconds_per_decision > rests.seconds_per_decision > 0
    assert plans.peak_memory > 1e7
    assert told == [(5, 8), (8, 8)]
    assert difference(plans, rests).value == 1
    assert difference(plans, rests).low > 0.4


def test_success_at_the_end_and_at_any_time_are_two_things(walks: Walks) -> None:
    class PastTheGoal:
        """Walks through the goal and on."""

        def predict(self, observation: Any, state: Any = None, **_: Any) -> tuple[Any, Any]:
            if state is None:
                state = observation["desired_goal"] - observation["achieved_goal"]
                state = state / np.abs(state).max(1, keepdims=True)
            return state.astype(np.float32), state

    tasks = DatasetTasks(walks, 6)
    result = evaluate(PastTheGoal(), tasks, SHORT)
    assert result.success_any.value == 1
    assert result.success_end.value == 0
    env: Any = gym.make("wmcontrol/Wall-v0", obs_type="state", terminate_on_success=False)
    for record, task in zip(result.records, tasks.tasks, strict=True):
        options = {"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)}
        observation, info = env.reset(seed=task.seed, options=options)
        way = (observation["desired_goal"] - observation["achieved_goal"])[None]
        action, steps = (way / np.abs(way).max()).astype(np.float32)[0], 0
        while not info["is_success"]:
            *_, info = env.step(action)
            steps += 1
        assert record["first_success"] == steps


def test_the_agent_is_shown_frames_and_never_success(walks: Walks) -> None:
    seen: list[dict[str, Any]] = []

    class Watcher(NoOpAgent):
        def predict(self, observation: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append({"keys": sorted(observation), "rest": args, **kwargs})
            return super().predict(observation)

    evaluate(Watcher(SPACE), DatasetTasks(walks, 2))
    assert seen[0]["keys"] == ["achieved_goal", "desired_goal", "goal_pixels", "observation", "pixels"]
    assert seen[0]["episode_start"].all()
    assert not seen[1]["episode_start"].any()
    assert set(seen[0]) == {"keys", "rest", "state", "episode_start", "deterministic"}


def test_the_same_seed_gives_the_same_report_whatever_the_batch(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 6)
    one = evaluate(RandomAgent(SPACE), tasks, seed=1, batch=6)
    two = evaluate(RandomAgent(SPACE), tasks, seed=1, batch=4)
    other = evaluate(RandomAgent(SPACE), tasks, seed=2, batch=6)
    assert one.report()["records"] == two.report()["records"]
    assert one.report()["records"] != other.report()["records"]
    plans = [evaluate(planner(), tasks, batch=batch).report() for batch in (6, 6, 2)]
    assert plans[0] == plans[1]
    np.testing.assert_allclose(*([r["distance"] for r in plan["records"]] for plan in plans[1:]), atol=1e-3)


def test_a_killed_run_goes_on_and_ends_with_the_same_report(walks: Walks, tmp_path: Path) -> None:
    tasks, file = DatasetTasks(walks, 7), tmp_path / "tasks.jsonl"
    agent = planner()

    def run() -> Evaluation:
        return evaluate(agent, tasks, file=file, batch=3, about={"model": "dot"})

    whole = run()
    assert Evaluation.read(file).report() == whole.report()
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8
    for kept in (0, 1, 5, 6, 7):  # the death comes in the middle of a line
        file.write_bytes(b"".join(lines[:kept]) + lines[kept][:20])
        with pytest.raises(ValueError, match="not finished"):
            Evaluation.read(file)
        assert run().report() == whole.report()
        now = file.read_bytes().splitlines(keepends=True)
        assert now[:kept] == lines[:kept]
        assert sorted(json.loads(line).get("task", -1) for line in now) == list(range(-1, 7))
    calls = len(agent.model.predictor.contexts)  # type: ignore[union-attr]
    assert run().report() == whole.report()
    assert len(agent.model.predictor.contexts) == calls  # type: ignore[union-attr]


def test_a_file_of_another_evaluation_is_refused(walks: Walks, tmp_path: Path) -> None:
    tasks, file = DatasetTasks(walks, 3), tmp_path / "tasks.jsonl"
    evaluate(NoOpAgent(SPACE), tasks, file=file, about={"agent": "none"})
    before = file.read_bytes()
    with pytest.raises(ValueError, match=naming("agent", "'none'", "'random'")):
        evaluate(RandomAgent(SPACE), tasks, file=file, about={"agent": "random"})
    with pytest.raises(ValueError, match=naming("seed", 0, 1)):
        evaluate(NoOpAgent(SPACE), tasks, file=file, about={"agent": "none"}, seed=1)
    with pytest.raises(TypeError, match="JSON"):
        evaluate(NoOpAgent(SPACE), tasks, about={"agent": NoOpAgent})
    assert file.read_bytes() == before
    file.write_bytes(before + b"nonsense\n")
    with pytest.raises(ValueError, match=naming("tasks.jsonl", "line 5")):
        evaluate(NoOpAgent(SPACE), tasks, file=file, about={"agent": "none"})
    file.write_bytes(b"a letter that has no end of line")
    with pytest.raises(ValueError, match=naming("tasks.jsonl")):
        evaluate(NoOpAgent(SPACE), tasks, file=file)
    assert file.read_bytes() == b"a letter that has no end of line"
    with pytest.raises(OSError, match="nowhere"):
        evaluate(NoOpAgent(SPACE), tasks, file=tmp_path / "nowhere" / "tasks.jsonl")


def test_one_process_at_a_time_writes_a_file(walks: Walks, tmp_path: Path) -> None:
    tasks, file = DatasetTasks(walks, 1), tmp_path / "tasks.jsonl"

    class Meddler(NoOpAgent):
        def predict(self, *args: Any, **kwargs: Any) -> Any:
            with pytest.raises(OSError, match="another process"):
                evaluate(NoOpAgent(SPACE), tasks, file=file)
            return super().predict(args[0])

    evaluate(Meddler(SPACE), tasks, file=file)


def test_warm_up_frames_are_the_agents_history(walks: Walks) -> None:
    agent = planner(context_frames=3)
    result = evaluate(agent, DatasetTasks(walks, 3, goal_offset=25, context_steps=10), batch=1)
    model: Any = agent.model
    np.testing.assert_allclose(model.predictor.contexts[0][1], [[0, 0.5, 1.0]])
    assert result.success_end.value == 1
    assert [r["decisions"] for r in result.records] == [1] * 3


def test_the_simulator_as_a_model_is_given_the_state(walks: Walks) -> None:
    agent = PlanningAgent(SimulatorModel(dot_model(), "wmcontrol/Wall-v0", num_workers=0), FAST, GoalDistance())
    assert evaluate(agent, DatasetTasks(walks, 2)).success_end.value == 1


def test_push_t_is_judged_by_distance_and_angle() -> None:
    space = gym.make("wmcontrol/PushT-v0").action_space
    result = evaluate(RandomAgent(space), RandomTasks("wmcontrol/PushT-v0", 3), SHORT)
    env: Any = gym.make("wmcontrol/PushT-v0", terminate_on_success=False)
    for record, task in zip(result.records, RandomTasks("wmcontrol/PushT-v0", 3).tasks, strict=True):
        observation, _ = env.reset(seed=task.seed)
        away = (observation["achieved_goal"] - observation["desired_goal"])[:4]
        assert record["start_distance"] == pytest.approx(np.linalg.norm(away))
        assert 0 <= record["angle"] <= np.pi


def test_agents_that_do_not_fit_are_refused_before_work_starts(walks: Walks) -> None:
    tasks = DatasetTasks(walks, 2)
    with pytest.raises(TypeError, match="predict"):
        evaluate("agent", tasks)
    with pytest.raises(ValueError, match=naming("protocol", "'papre'")):
        evaluate(planner(), tasks, "papre")
    with pytest.raises(ValueError, match=naming("replan_every", 5, 25)):
        evaluate(planner(), tasks, "mpc")
    with pytest.raises(ValueError, match=naming(25)):
        evaluate(planner(), DatasetTasks(walks, 2, goal_offset=20))
    with pytest.raises(ValueError, match="batch"):
        evaluate(planner(), tasks, batch=0)
    with pytest.raises(ValueError, match=naming("10 Hz", "20 Hz")):
        evaluate(planner(), RandomTasks("wmcontrol/PointMaze_UMaze-v0", 1))
    with pytest.raises(ValueError, match=naming(0.0, -1.0)):
        evaluate(planner(), RandomTasks("wmcontrol/PushT-v0", 1, env_settings={"action_mode": "absolute"}))
    with pytest.raises(ValueError, match="CartPole-v1"):
        evaluate(planner(), RandomTasks("CartPole-v1", 1))


def test_only_the_same_tasks_and_budgets_are_compared(walks: Walks) -> None:
    agent, tasks = NoOpAgent(SPACE), DatasetTasks(walks, 2)
    one = evaluate(agent, tasks)
    with pytest.raises(ValueError, match="tasks"):
        difference(one, evaluate(agent, DatasetTasks(walks, 2, seed=1)))
    with pytest.raises(ValueError, match=naming(25, 30)):
        difference(one, evaluate(agent, tasks, SHORT))
    with pytest.raises(ValueError, match="when"):
        one.successes("start")  # type: ignore[arg-type]


def test_the_seconds_of_a_batch_are_shared_out_among_its_tasks(walks: Walks, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=count().__next__)  # each decision takes a second
    monkeypatch.setattr("wmcontrol.evaluation.episodes.time", clock)
    result = evaluate(NoOpAgent(SPACE), DatasetTasks(walks, 2))
    assert [record["seconds"] for record in result.records] == [12.5, 12.5]
    assert result.seconds_per_decision == 0.5


class Stumbles(RandomAgent):
    """Fails in the task whose goal is farthest to the right."""

    def __init__(self, goal: float):
        super().__init__(SPACE)
        self.goal = goal

    def predict(self, observation: Any, *args: Any, **words: Any) -> Any:
        if (observation["desired_goal"][:, 0] >= self.goal).any():
            raise RuntimeError("it stumbled")
        return super().predict(observation, *args, **words)


@pytest.mark.long
def test_processes_of_their_own_give_the_same_numbers_and_what_is_finished_is_kept(
    walks: Walks, tmp_path: Path
) -> None:
    tasks, file = DatasetTasks(walks, 5), tmp_path / "tasks.jsonl"
    agent = planner()
    alone, shared = (evaluate(agent, tasks, batch=2, jobs=jobs).report() for jobs in (1, 2))
    assert alone["records"] == shared["records"]
    goals = [float(task.goal_state[0]) for task in tasks.tasks if task.goal_state is not None]
    worst = int(np.argmax(goals))
    with pytest.raises(ValueError, match=f"tasks {worst // 2 * 2} to .*RuntimeError: it stumbled"):
        evaluate(Stumbles(goals[worst]), tasks, file=file, batch=2, jobs=2)
    kept = [json.loads(line)["task"] for line in file.read_text().splitlines()[1:]]
    assert sorted(kept) == [number for number in range(5) if number // 2 != worst // 2]
    told: list[int] = []
    found = evaluate(RandomAgent(SPACE), tasks, file=file, batch=2, jobs=2, progress=lambda done, _: told.append(done))
    assert told == [len(kept), 5]
    assert found.report()["records"] == evaluate(RandomAgent(SPACE), tasks, batch=3).report()["records"]
