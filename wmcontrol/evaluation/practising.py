"""Practice: a policy to collect with, which acts out what an agent plans, so that a model learns where it errs.

A plan is the best of many that a model has imagined, and so one of those that it takes for better than they are. What
really comes of plans shows it; trajectories of another policy hardly do (DAgger, Ross et al., arXiv 1011.0686).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from ..agents import PlanningAgent
from ..data import TrajectoryDataset
from ..data.collecting import AgentScript, agent_policy
from ..models import WorldModel
from ..planners import Planner
from .specs import describe
from .tasks import DatasetTasks


def practice(
    env_id: str,
    model: WorldModel,
    starts: TrajectoryDataset,
    *,
    planner: Planner | None = None,
    goal_offset: int = 25,
    num_tasks: int = 2000,
    split_seed: int = 0,
) -> "PracticePolicy":
    """Return a policy to collect with, which acts out plans between frames of trajectories that a model was trained on.

    Each episode begins somewhere in a trajectory, with what the model looks back on; the model plans once, for what the
    trajectory reaches ``goal_offset`` steps later; and the whole plan is done. How many iterations the planner has is
    drawn for each episode, from one to all, so that plans are of all kinds, from proposals to what a long search finds.
    Encode what was collected, and give it to ``finetune(…, base=model, practice=store)``.

    Args:
        env_id: the environment.
        model: who plans.
        starts: what it was trained on; its held-out trajectories are left out.
        planner: who searches; by default what :meth:`~wmcontrol.PlanningAgent.from_model` takes.
        goal_offset: environment steps from start to goal. For example 25.
        num_tasks: how many starts and goals are drawn; episodes take them again and again. For example 8000.
        split_seed: the seed that the model was fine-tuned with, for the split. For example 1.

    Raises:
        ValueError: as of :class:`DatasetTasks` and :meth:`~wmcontrol.PlanningAgent.from_model`.
    """
    planning = model.planning
    agent = PlanningAgent.from_model(
        model, planner, replan_every=planning.horizon * model.frameskip, goal_offset=goal_offset
    )
    tasks = DatasetTasks(
        starts,
        num_tasks,
        goal_offset=goal_offset,
        context_steps=planning.context_steps,
        split="train",
        split_seed=split_seed,
        env_id=env_id,
    )
    return PracticePolicy(agent, tasks)


@dataclass(frozen=True, eq=False)
class PracticePolicy:
    """A :class:`~wmcontrol.data.collecting.CollectPolicy` that acts out plans; :func:`practice` makes it.

    Args:
        agent: plans once for each task, for all of its actions.
        tasks: of trajectories.
    """

    agent: PlanningAgent
    tasks: DatasetTasks

    @property
    def env_settings(self) -> Mapping[str, Any]:
        """What the environment must be made with."""
        return {**self.tasks.env_settings, **agent_policy(self.agent, 2).env_settings}

    @property
    def about(self) -> Mapping[str, Any]:
        """Its name and settings, which are recorded with the data."""
        return {"name": "practice", "agent": describe(self.agent), "tasks": self.tasks.describe()}

    def script(self, rng: np.random.Generator) -> AgentScript:
        """Return the script of an episode."""
        task = self.tasks.tasks[int(rng.integers(len(self.tasks.tasks)))]
        agent, planner = self.agent, cast(Any, self.agent.planner)
        if (most := getattr(planner, "num_iterations", 1)) > 1:
            agent = replace(agent, planner=replace(planner, num_iterations=int(rng.integers(most)) + 1))
        options = {"state": task.state, "goal_state": task.goal_state, "variation": dict(task.variation)}
        before = agent.action_layout.to_actions(task.replay)
        length = len(before) + agent.replan_every + 1
        return AgentScript(agent, length, int(rng.integers(2**32)), options, before)
