"""Several agents on the same tasks."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from dot_world import dot_model
from naming import naming
from tracked import Told
from walks_data import Walks

from wmcontrol import CEM, GoalDistance, PlanningAgent, WorldModel
from wmcontrol.agents import NoOpAgent, RandomAgent, SimulatorModel
from wmcontrol.evaluation import (
    AgentSpec,
    DatasetTasks,
    Evaluation,
    Protocol,
    RandomTasks,
    ablations,
    baselines,
    evaluate,
    evaluate_agents,
    evaluate_and_report,
    planning_spec,
    report,
)
from wmcontrol.evaluation.specs import describe
from wmcontrol.models import ActionPrior
from wmcontrol.models.checkpoint import packaged_folder
from wmcontrol.planners import BestProposal

WALL = "wmcontrol/Wall-v0"
SPACE: Any = gym.make(WALL).action_space
SHORT = Protocol(name="short", budget=5, replan_every=5, horizon=1)


def planner(**settings: Any) -> PlanningAgent:
    search = CEM(num_samples=12, num_elites=3, num_iterations=1)
    return PlanningAgent(dot_model(), search, GoalDistance(), **settings)


def test_baselines_are_those_that_the_actions_allow() -> None:
    found = baselines(RandomTasks(WALL, 1), seed=3)
    assert [(spec.name, spec.role) for spec in found] == [("no-op", "baseline"), ("random actions", "baseline")]
    assert found[1].agent.seed == 3
    places = RandomTasks("wmcontrol/PushT-v0", 1, env_settings={"action_mode": "absolute"})
    assert [spec.name for spec in baselines(places)] == ["random actions"]


def test_each_agent_is_evaluated_on_the_same_tasks_and_once(walks: Walks, tmp_path: Path) -> None:
    tasks, told = DatasetTasks(walks, 3), []
    specs = [AgentSpec("dot: CEM/5", planner(horizon=5), {"note": "mine"}), *baselines(tasks)]
    settings: Any = {"protocol": Protocol(name="short", budget=25), "seed": 3, "batch": 2}
    rows = evaluate_agents(specs, tasks, folder=tmp_path / "out", progress=lambda *done: told.append(done), **settings)
    assert [(row.env, row.agent, row.role) for row in rows] == [
        ("Wall", "dot: CEM/5", "model"),
        ("Wall", "no-op", "baseline"),
        ("Wall", "random actions", "baseline"),
    ]
    alone = evaluate(RandomAgent(SPACE), tasks, **settings)
    assert rows[2].evaluation.distances.tolist() == alone.distances.tolist()
    names = [path.name for path in sorted((tmp_path / "out").glob("*.jsonl"))]
    assert names == ["dot_CEM_5.jsonl", "no-op.jsonl", "random_actions.jsonl"]
    about = Evaluation.read(tmp_path / "out" / "dot_CEM_5.jsonl").header["about"]
    assert about["note"] == "mine"
    assert about["agent"]["planner"]["num_samples"] == 12
    assert told[:2] == [("dot: CEM/5", 2, 3), ("dot: CEM/5", 3, 3)]
    before = {path: path.read_bytes() for path in (tmp_path / "out").glob("*.jsonl")}
    again = evaluate_agents(specs, tasks, folder=tmp_path / "out", **settings)
    assert [row.evaluation.report() for row in again] == [row.evaluation.report() for row in rows]
    assert {path: path.read_bytes() for path in before} == before
    assert report(again, tmp_path / "out", title="t").exists()
    in_memory = evaluate_agents(specs[1:], tasks, **settings)
    assert in_memory[1].evaluation.distances.tolist() == alone.distances.tolist()


def test_results_of_another_agent_are_refused_before_any_work(tmp_path: Path) -> None:
    tasks, agent = RandomTasks(WALL, 1), planner(horizon=1, replan_every=5)
    evaluate_agents([AgentSpec("mine", agent)], tasks, SHORT, tmp_path)
    before = (tmp_path / "mine.jsonl").read_bytes()
    trained = planner(horizon=1, replan_every=5)
    with torch.no_grad():
        trained.model.predictor.gain += 1
    specs = [*baselines(tasks), AgentSpec("mine", trained)]
    with pytest.raises(ValueError, match=r"mine\.jsonl .*agent\.model\.weights"):
        evaluate_agents(specs, tasks, SHORT, tmp_path)
    searching = replace(agent, planner=replace(agent.planner, num_samples=13))
    with pytest.raises(ValueError, match=r"mine\.jsonl .*agent\.planner\.num_samples is 12 there and 13 here"):
        evaluate_agents([AgentSpec("mine", searching)], tasks, SHORT, tmp_path)
    with pytest.raises(ValueError, match=r"mine\.jsonl .*seed is 0 there and 1 here"):
        evaluate_agents([AgentSpec("mine", agent)], tasks, SHORT, tmp_path, seed=1)
    assert (tmp_path / "mine.jsonl").read_bytes() == before
    assert [path.name for path in tmp_path.glob("*.jsonl")] == ["mine.jsonl"]


def test_two_agents_of_one_file_are_refused(tmp_path: Path) -> None:
    specs = [AgentSpec(name, RandomAgent(SPACE)) for name in ("a/b", "a b")]
    with pytest.raises(ValueError, match=r"a_b\.jsonl"):
        evaluate_agents(specs, RandomTasks(WALL, 1), SHORT, tmp_path)
    assert AgentSpec("../../etc/passwd", None).results == "etc_passwd.jsonl"


def test_an_agents_description_tells_it_from_others() -> None:
    one, same = describe(planner()), describe(planner())
    assert one == same
    assert json.loads(json.dumps(one)) == one
    assert one["type"] == "PlanningAgent"
    assert one["objective"]["metric"] == "l2"
    weighted = replace(planner(), objective=GoalDistance(weights=(1.0, 2.0)))
    assert describe(weighted)["objective"]["weights"] == [1.0, 2.0]
    many = describe(GoalDistance(weights=tuple(range(1, 40))))["weights"]
    assert many != describe(GoalDistance(weights=tuple(range(2, 41))))["weights"]
    assert len(many) == 16
    real = describe(SimulatorModel(dot_model(), WALL, num_workers=0))
    assert (real["type"], real["model"]) == ("SimulatorModel", one["model"])
    assert describe(NoOpAgent(SPACE)) == {"type": "NoOpAgent"}
    assert describe(print) == "print"
    assert describe({"a": (1.5, float("inf"))}) == {"a": [1.5, "inf"]}
    assert describe(torch.ones(3, dtype=torch.bfloat16)) != describe(torch.zeros(3, dtype=torch.bfloat16))


def test_a_saved_model_is_evaluated_beside_baselines_filmed_and_reported(tmp_path: Path) -> None:
    tasks, model = RandomTasks(WALL, 2), WorldModel.load("wall")
    search = CEM(num_samples=12, num_elites=3, num_iterations=1)
    spec = planning_spec(model, search, tasks, SHORT, path="wall", metric="l2", standardize=0.0, num_proposals=0)
    card = json.loads((packaged_folder("wall") / "card.json").read_text())
    assert (spec.name, spec.role) == ("world model", "model")
    assert (spec.about["model"], spec.about["weights"], spec.about["standardize"]) == ("wall", card["sha256"], 0)
    assert (spec.agent.horizon, spec.agent.replan_every, spec.agent.objective.metric) == (1, 5, "l2")
    told = Told()
    rows, page = evaluate_and_report(spec, tasks, SHORT, tmp_path, videos=1, tracker=told)
    assert [row.agent for row in rows] == ["world model", "no-op", "random actions"]
    assert Evaluation.read(tmp_path / "tasks.jsonl").distances.tolist() == rows[0].evaluation.distances.tolist()
    assert (tmp_path / "episodes_1.mp4").stat().st_size > 1000
    text = page.read_text()
    assert "standardize 0" in text
    assert "search_space noise" not in text  # without proposals it searches actions
    assert len(json.loads((tmp_path / "report.json").read_text())["differences"]) == 2
    assert told.numbers["success_end/Wall/world model/low"] == [(0, rows[0].evaluation.success_end.low)]
    assert [row["agent"] for row in told.tables["success"]] == ["world model", "no-op", "random actions"]
    assert len(told.tables["differences"]) == 2
    assert told.films == {"episodes_1": tmp_path / "episodes_1.mp4"}
    noop = baselines(tasks)[0]
    for wrong in (-1, 1.5):
        with pytest.raises((ValueError, TypeError), match=naming("videos", wrong)):
            evaluate_and_report(noop, tasks, SHORT, tmp_path / "wrong", videos=wrong)  # type: ignore[arg-type]
    assert not (tmp_path / "wrong").exists()
    rows, _ = evaluate_and_report(noop, tasks, SHORT, tmp_path / "noop")
    assert [row.agent for row in rows] == ["no-op", "random actions"]


def test_what_the_prior_reaches_without_a_search_is_reported_beside_the_search(tmp_path: Path) -> None:
    tasks, model = RandomTasks(WALL, 2), WorldModel.load("wall")
    model.prior = ActionPrior(model.encoder.dim, 1, 10, horizon=2, width=8, depth=1)
    search = CEM(num_samples=12, num_elites=3, num_iterations=1)
    spec = planning_spec(model, search, tasks, SHORT, num_proposals=6, path="wall")
    rows, page = evaluate_and_report(spec, tasks, SHORT, tmp_path)
    names = ["world model in the prior's noise", "prior alone", "best proposal of 6", "no-op", "random actions"]
    assert [row.agent for row in rows] == names
    assert [row.role for row in rows] == ["model", *["baseline"] * 4]
    told = [row.evaluation.header["about"]["agent"] for row in rows[:3]]
    assert [(each["planner"]["type"], each["num_proposals"]) for each in told] == [
        ("CEM", 6),
        ("BestProposal", 1),
        ("BestProposal", 6),
    ]
    assert rows[2].evaluation.header["about"]["weights"] == spec.about["weights"]
    text = page.read_text()
    assert all(words in text.replace("&#39;", "'") for words in (*names, "num_proposals 6", "search_space noise"))
    assert len(json.loads((tmp_path / "report.json").read_text())["differences"]) == 4
    with SimulatorModel(model, WALL, num_workers=0) as simulator:
        agent = PlanningAgent.from_model(simulator, search, num_proposals=6)
        assert [other.name for other in ablations(replace(spec, agent=agent))] == names[1:3]
    without = planning_spec(model, search, tasks, SHORT, num_proposals=0)
    assert without.name == "world model"
    for agent in (without.agent, replace(spec.agent, planner=BestProposal()), NoOpAgent(SPACE)):
        assert ablations(replace(spec, agent=agent)) == []


def test_an_agent_knows_when_goals_are_due_where_tasks_say_so(walks: Walks) -> None:
    model = WorldModel.load("wall")
    for tasks, expected in ((DatasetTasks(walks, 1, goal_offset=12), 12), (RandomTasks(WALL, 1), None)):
        agent = planning_spec(model, CEM(), tasks, SHORT, num_proposals=9).agent
        assert (agent.goal_offset, agent.num_proposals) == (expected, 9)


def test_a_packaged_model_is_refused_in_another_environment() -> None:
    with pytest.raises(ValueError, match=r"wall.*PushT"):
        planning_spec(WorldModel.load("wall"), None, RandomTasks("wmcontrol/PushT-v0", 1), path="wall")
