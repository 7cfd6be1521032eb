"""The agent that a model recommends: by the settings that are saved with it."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import get_args

import pytest
from dot_world import dot_model
from naming import naming

import wmcontrol
from wmcontrol import CEM, GoalDistance, PlanningAgent, PlanningSettings, WorldModel
from wmcontrol.agents import SimulatorModel
from wmcontrol.models.planning_settings import METRICS
from wmcontrol.objectives import Metric
from wmcontrol.planners import fast

ASSETS = Path(wmcontrol.__file__).parent / "assets"
EXPECTED = {
    "wall": PlanningSettings(),
    "pusht": PlanningSettings(standardize=1.0),
    "pointmaze": PlanningSettings(context_frames=3, context_steps=10, search_space="actions"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_packaged_model_recommends_how_it_was_judged(name: str) -> None:
    model = WorldModel.load(name)
    assert model.planning == EXPECTED[name]
    agent = PlanningAgent.from_model(model)
    weights = model.standardizing_weights(1.0) if name == "pusht" else None
    assert agent.objective == GoalDistance("cosine", steps="last", weights=weights)
    assert agent.planner == (fast() if name == "pointmaze" else fast(std=1.0, noise_beta=0.0))
    model.prior = None
    assert PlanningAgent.from_model(model).planner == CEM(std=2.0)
    assert (agent.horizon, agent.replan_every, agent.seed) == (5, 25, 0)
    assert agent.context_frames == (3 if name == "pointmaze" else 1)


@pytest.mark.parametrize("name", ["base", *EXPECTED])
def test_settings_are_beside_the_weights_and_have_not_changed_them(name: str) -> None:
    card = json.loads((ASSETS / name / "card.json").read_text())
    assert hashlib.sha256((ASSETS / name / "model.safetensors").read_bytes()).hexdigest() == card["sha256"]


def test_changes_are_the_callers_and_the_rest_is_the_models() -> None:
    model = WorldModel.load("pusht")
    agent = PlanningAgent.from_model(model, fast(), replan_every=5, metric="l1", standardize=0.5, horizon=6, seed=3)
    # With the last step only, each replan postpones arrival.
    assert agent.objective == GoalDistance("l1", steps="mean", weights=model.standardizing_weights(0.5))
    assert (agent.planner, agent.horizon, agent.replan_every, agent.seed) == (fast(), 6, 5, 3)
    discounted = PlanningAgent.from_model(model, replan_every=5, metric_steps=0.9, standardize=0)
    assert discounted.objective == GoalDistance("cosine", steps=0.9)
    mine = GoalDistance("squared")
    assert PlanningAgent.from_model(model, objective=mine).objective is mine
    assert model.planning == EXPECTED["pusht"]


def test_what_would_be_ignored_is_refused() -> None:
    model = WorldModel.load("wall")
    for changes in ({"metric": "l2"}, {"standardize": 1.0}, {"metric_steps": "mean"}):
        with pytest.raises(TypeError, match=naming(*changes, "GoalDistance")):
            PlanningAgent.from_model(model, objective=GoalDistance("l1"), **changes)
    with pytest.raises(TypeError, match=naming("objective", "GoalDistance()")):
        PlanningAgent.from_model(model, objective=GoalDistance)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=naming("'replan'", "goal_offset", "objective", "replan_every")):
        PlanningAgent.from_model(model, replan=5)


def test_a_plan_is_carried_out_whole_whatever_the_frameskip() -> None:
    model = dot_model()
    assert PlanningAgent.from_model(model, horizon=3).replan_every == 3 * model.frameskip


def test_the_simulator_is_planned_with_as_its_model_is() -> None:
    model = WorldModel.load("pusht")
    with SimulatorModel(model, "wmcontrol/PushT-v0", num_workers=0) as simulator:
        agent = PlanningAgent.from_model(simulator)
        assert agent.model is simulator
        assert agent.objective == PlanningAgent.from_model(model).objective


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"metric": "far"}, ValueError, "metric .*l2.*'far'"),
        ({"metric_steps": 0.0}, ValueError, "metric_steps"),
        ({"metric_steps": True}, ValueError, "metric_steps"),
        ({"standardize": 3}, ValueError, "standardize"),
        ({"standardize": 1}, ValueError, "token_std"),  # which this model has not
        ({"context_steps": -1}, ValueError, "context_steps"),
        ({"context_frames": 1.5}, ValueError, "context_frames"),
        ({"horizon": 0}, ValueError, "horizon"),
        ({"replan_every": 7}, ValueError, "replan_every"),
        ({"whiten": 1}, TypeError, "whiten"),
    ],
)
def test_a_change_that_is_no_setting_is_named(changes: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        PlanningAgent.from_model(dot_model(), **changes)
    with pytest.raises(TypeError, match="model must be"):
        PlanningAgent.from_model("wall")


def test_settings_come_back_with_a_model_and_older_folders_have_the_defaults(tmp_path: Path) -> None:
    shutil.copytree(ASSETS / "wall", tmp_path / "wall")
    file = tmp_path / "wall" / "config.json"
    config = json.loads(file.read_text())
    del config["planning"]
    file.write_text(json.dumps(config))
    model = WorldModel.load(tmp_path / "wall")
    assert model.planning == PlanningSettings()
    every = PlanningSettings(
        context_frames=2, context_steps=5, metric="l1", metric_steps=0.5, standardize=0.25, horizon=4, replan_every=10
    )
    model.planning = every
    model.save(tmp_path / "saved")
    assert WorldModel.load(tmp_path / "saved").planning == every
    file = tmp_path / "saved" / "config.json"
    config = json.loads(file.read_text())
    for wrong, words in (({"horizon": 0}, "horizon"), ({"surprise": 1}, "surprise"), (5, "planning")):
        file.write_text(json.dumps({**config, "planning": wrong}))
        with pytest.raises(ValueError, match=rf"config\.json.*{words}"):
            WorldModel.load(tmp_path / "saved")


def test_metrics_are_those_of_the_distance() -> None:
    assert get_args(Metric) == METRICS
