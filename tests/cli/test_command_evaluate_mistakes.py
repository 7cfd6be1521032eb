"""``wmcontrol evaluate``: mistakes are told in a line before a folder is made."""

import re
from pathlib import Path

import pytest
import torch
from naming import naming
from refusing import refused

from wmcontrol import WorldModel

SB3 = ["agent=sb3", "agent.algorithm=PPO"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["model=wall"], naming("env", "data")),
        (["model=wall", "env=wall", "data.path=x"], naming("data", "x")),
        (["model=wall", "env=wall", "data.camera=top"], naming("env", "data.camera")),
        (["model=wall", "env=wall", "data.control_rate=10"], naming("env", "data.control_rate")),
        (["model=wall", "env=wall", "+data.env_id=a"], naming("env", "data.env_id")),
        (["env=wall"], "model"),
        (["model=nowhere", "env=wall"], naming("model", "'nowhere'")),
        (["model.path=nowhere", "env=wall"], naming("model", "'nowhere'")),
        (["model=base", "env=wall"], naming("model", "base")),
        (["model=wall", "env=pusht"], naming("model", "wall", "PushT")),
        (["model=wall", "env=wal"], "'wall'"),
        (["agent=random", "env.id=Pendulum-v1"], "Pendulum-v1"),
        (["agent=random", "env.id=wmcontrol/Nothing-v0"], "Nothing"),
        (["model=wall", "env=wall", "env.settings={size:1}"], "'size'"),
        (["agent=plan", "env=wall"], naming("'plan'", "'planning'")),
        ([*SB3, "agent.path=nowhere.zip", "env=wall"], naming("agent", "nowhere.zip")),
        (["agent=random", "agent.vecnormalize=x", "env=wall"], naming("agent", "'vecnormalize'")),
        (["agent=sb3", "agent.algorithm=GPT", "agent.path=x.zip", "env=wall"], naming("agent", "A2C")),
        (["agent=noop", "env=pusht", "env.settings={action_mode:absolute}"], "zero"),
        (["model=wall", "env=wall", "planner=icm"], naming("planner", "'icm'", "'icem'")),
        (["model=wall", "env=wall", "planner=cem", "planner.samples=5"], "'num_samples'"),
        (["model=wall", "env=wall", "planner=cem", "planner.num_samples=5"], naming("num_elites", "num_samples", 5)),
        (["model=wall", "env=wall", "planner=best_proposal", "num_proposals=0"], naming("BestProposal", "fit_prior")),
        (["model=pusht", "env=pusht", "objective=time_to_goal"], naming("TimeToGoal", "fit_steps_to_go")),
        (
            ["model=wall", "env=wall", "objective=temporal_distance"],
            naming("TemporalDistance", "fit_temporal_embedding"),
        ),
        (["model=wall", "env=wall", "objective=time_to_goal", "objective.estimate=x"], naming("objective", "estimate")),
        (["model=wall", "env=wall", "objective.metric=l3"], naming("objective", "metric")),
        (
            ["model=wall", "env=wall", "objective.distance=l1"],
            naming("objective", "'distance'", "metric", "metric_steps", "standardize"),
        ),
        (["model=wall", "env=wall", "objective.standardize=3"], naming("objective", "standardize", 2, 3)),
        (["model=wall", "env=wall", "protocol=papers"], "'paper'"),
        (["model=wall", "env=wall", "context_steps=5"], "context_steps"),
        (["model=wall", "env=wall", "goal_offset=50"], naming("goal_offset", 50, "data.path")),
        (["model=wall", "env=wall", "protocol=far", "goal_offset=50"], naming("goal_offset", 50, "data.path")),
        (["model=wall", "env=wall", "device=tpu9"], naming("device", "'tpu9'")),
        (["model=wall", "env=wall", "model.dtype=int8"], naming("model.dtype", "int8")),
        (["model=wall", "env=wall", "num_tasks=0"], "num_tasks"),
        (["model=wall", "env=wall", "seed=-1"], naming("seed", "-1")),
        (["model=wall", "env=wall", "batch=0"], naming("batch", 0)),
        (["model=wall", "env=wall", "jobs=0"], naming("jobs", 0)),
        (["model=wall", "env=wall", "videos=-1"], naming("videos", "-1")),
        (["model=wall", "env=wall", "context_frames=0"], "context_frames"),
        (["model=wall", "data.path=nowhere"], naming("data", "nowhere")),
        (["agent=noop", "env=wall", "tracker._target_=pathlib.PurePath"], naming("tracker", "folder")),
        (["model=wall", "env=wall", "replan_every=7"], naming("replan_every", 7)),
    ],
)
def test_mistakes_are_told_in_a_line_before_work_starts(
    words: list[str], expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert re.search(expected, refused(["evaluate", *words], tmp_path / "out", capsys))


def test_data_that_do_not_fit_are_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, out = ["evaluate", "model=wall", f"data.path={data}"], tmp_path / "out"
    assert "512" in refused(words, out, capsys)  # of the two that are held out
    assert "tasks" in refused([*words, "num_tasks=1", "context_steps=30"], out, capsys)
    moved = refused([*words, "num_tasks=1", "context_steps=5", "env.settings={action_mode:absolute}"], out, capsys)
    assert "context_steps" in moved


def test_a_model_of_another_rate_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = WorldModel.load("wall", dtype=torch.float32)
    model.control_rate = 25.0
    model.save(tmp_path / "model")
    said = refused(["evaluate", f"model.path={tmp_path / 'model'}", "env=wall"], tmp_path / "out", capsys)
    assert "25 Hz" in said
