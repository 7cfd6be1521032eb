"""Practice: episodes that act out plans between frames of training trajectories."""

from dataclasses import replace

import numpy as np
import pytest
from dot_world import FRAMESKIP, dot_model
from walks_data import Walks

from wmcontrol import CEM, ICEM
from wmcontrol.data import held_out_split
from wmcontrol.data.collecting import collect_batches
from wmcontrol.evaluation import PracticePolicy, practice
from wmcontrol.models import PlanningSettings

WALL = "wmcontrol/Wall-v0"
SEARCH = CEM(num_samples=64, num_elites=8, num_iterations=3)


def policy(walks: Walks, **changes: object) -> PracticePolicy:
    model = dot_model()
    model.planning = PlanningSettings(context_frames=2, context_steps=FRAMESKIP, horizon=2)
    return practice(WALL, model, walks, planner=SEARCH, goal_offset=10, num_tasks=6, **changes)


def test_an_episode_repeats_what_came_before_a_start_and_then_does_a_whole_plan() -> None:
    walks = Walks(count=20)
    acting = policy(walks)
    (found,) = collect_batches(WALL, acting, 4, seed=0)
    tasks = {tuple(task.state): task for task in acting.tasks.tasks if task.state is not None}
    for episode in found:
        task = tasks[tuple(episode.states[0])]
        assert len(episode.states) == FRAMESKIP + 2 * FRAMESKIP + 1
        np.testing.assert_allclose(episode.actions[:FRAMESKIP], task.replay, atol=1e-6)
        assert task.goal_state is not None
        # The model is right about this room, so that a plan comes near its goal, however short the search was.
        before, after = (np.linalg.norm(episode.states[step] - task.goal_state) for step in (FRAMESKIP, -1))
        assert after < 0.6 * before


def test_held_out_trajectories_are_not_practised_on() -> None:
    walks = Walks(count=20)
    train, held_out = held_out_split(20, 3)
    starts = {tuple(walks.trajectory(int(i)).states[k].tolist()): int(i) for i in range(20) for k in range(41)}
    used = {starts[tuple(task.state)] for task in policy(walks, split_seed=3).tasks.tasks if task.state is not None}
    assert used
    assert used <= set(train.tolist())
    assert not used & set(held_out.tolist())


def test_how_many_run_side_by_side_changes_nothing(walks: Walks) -> None:
    acting = policy(Walks(count=12))
    one, many = (
        [episode for batch in collect_batches(WALL, acting, 5, seed=1, batch=count) for episode in batch]
        for count in (1, 4)
    )
    for a, b in zip(one, many, strict=True):
        np.testing.assert_array_equal(a.actions, b.actions)
        np.testing.assert_array_equal(a.states, b.states)


def test_plans_are_of_all_lengths_of_search() -> None:
    acting = policy(Walks(count=12))
    rng = np.random.default_rng(0)
    counts = {acting.script(rng)._agent.planner.num_iterations for _ in range(40)}
    assert counts == {1, 2, 3}


def test_what_is_recorded_tells_planner_and_tasks() -> None:
    acting = policy(Walks(count=12))
    assert acting.about["name"] == "practice"
    assert acting.about["agent"]["planner"]["num_samples"] == 64
    assert acting.about["tasks"]["goal_offset"] == 10
    other = replace(acting, agent=replace(acting.agent, planner=ICEM(num_samples=8, num_elites=2)))
    assert other.about != acting.about


def test_too_few_trajectories_are_refused() -> None:
    with pytest.raises(ValueError, match="6 tasks"):
        policy(Walks(count=12, still=12))
