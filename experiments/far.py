"""Tasks that are farther than one plan, and what agents reach of them: ``python -m experiments.far``.

For each family of tasks a model is made, or a packaged one is taken, and gets what an agent needs and it lacks:
landmarks, or a temporal embedding. Each agent gets a row. PointMaze's larger mazes, and Wall with another layout in
each episode, have models of their own, by random walks. So have these an encoder: the packaged one was fitted to other
walls, and what differs would be a constant a hundred times as large as what the ball changes. Two more families show
what other trajectories give: of D4RL's controller, which knows the map, and of random actions that last. OGBench's
maze is the example's, of ``examples/environments``, and needs ``pip install "wmcontrol[foreign]"`` and
``PYTHONPATH=examples/environments``. The true simulator in the model's place, and SAC, which sees the state and learns
in the environment's own tasks, are for comparison. Killed, the same line goes on; with all families and 256 tasks it
takes hours.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from wmcontrol import HierarchicalAgent, PlanningAgent, Predictor, PyramidEncoder, SubgoalAgent, WorldModel
from wmcontrol.compare import ENVIRONMENTS, CollectSettings
from wmcontrol.data import LatentStore, collect, encode, fit_encoder, policies
from wmcontrol.data.collecting import CollectPolicy
from wmcontrol.evaluation import (
    PROTOCOLS,
    AgentSpec,
    DatasetTasks,
    Protocol,
    RandomTasks,
    ResultRow,
    Tasks,
    ablations,
    baselines,
    evaluate_agents,
    planning_spec,
)
from wmcontrol.models import PlanningSettings
from wmcontrol.models.planning_settings import SEARCH_SPACES
from wmcontrol.training import (
    FinetuneSettings,
    PriorSettings,
    finetune,
    fit_prior,
    fit_steps_to_go,
    fit_temporal_embedding,
)

from .sac import fit_sac

_SEES_VELOCITY = PlanningSettings(context_frames=3, context_steps=10)
_SIMULATED = 32  # tasks of the true simulator


@dataclass(frozen=True, kw_only=True)
class World:
    """What a model is made of, and how agents plan with it. ``packaged``: it is there, and learns what it lacks.

    ``hold``: how many steps its random actions last, on average, where these are not the references'.
    """

    data: CollectSettings
    packaged: str | None = None
    env_settings: Mapping[str, Any] = field(default_factory=dict)
    planning: PlanningSettings = field(default_factory=PlanningSettings)
    hold: float | None = None

    def policy(self) -> CollectPolicy:
        """Return who acts in its trajectories."""
        data = self.data
        if self.hold is None:
            return data.make_policy()
        return policies.random(data.env_id, num_frames=(data.num_frames[0], data.num_frames[-1]), hold=self.hold)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Tasks of one kind: drawn by the environment, or of trajectories that no model saw."""

    world: str
    recorded: bool = False
    goal_offset: int | None = None
    budget: int = 150


def _walks(env_id: str, num_episodes: int, num_frames: int) -> CollectSettings:
    return CollectSettings(env_id=env_id, policy="random", num_episodes=num_episodes, num_frames=(num_frames,))


def _packaged(name: str) -> World:
    data = ENVIRONMENTS[name].data
    assert isinstance(data, CollectSettings)
    return World(data=data, packaged=name)


_LARGE = _walks("wmcontrol/PointMaze_Large-v0", 4_000, 100)
WORLDS = {
    **{name: _packaged(name) for name in ("wall", "pusht", "pointmaze")},
    "wall_random": World(data=_walks("wmcontrol/Wall-v0", 4_000, 50), env_settings={"layout": "random"}),
    "medium": World(data=_walks("wmcontrol/PointMaze_Medium-v0", 3_000, 100), planning=_SEES_VELOCITY),
    "large": World(data=_LARGE, planning=_SEES_VELOCITY),
    "large_waypoint": World(data=replace(_LARGE, policy="waypoint"), planning=_SEES_VELOCITY),
    "large_hold": World(data=_LARGE, planning=_SEES_VELOCITY, hold=5),
    "ogbench": World(data=_walks("ogbench_maze:examples/OGBenchMaze-v0", 1_000, 100)),
}
# In mazes, twice what D4RL's controller, which knows the map, needs for the farthest of 256 goals; in OGBench's, twice
# the steps from the centre of a cell to that of the farthest.
FAMILIES = {
    "Wall, opposite rooms": Family(world="wall"),
    "Wall, another layout each time": Family(world="wall_random"),
    "Wall, goal of another episode": Family(world="wall", recorded=True),
    "PointMaze U, anywhere": Family(world="pointmaze", budget=50),
    "PointMaze Medium, anywhere": Family(world="medium", budget=100),
    "PointMaze Large, anywhere": Family(world="large"),
    "Push-T, 50 steps ahead": Family(world="pusht", recorded=True, goal_offset=50, budget=100),
    "Push-T, 75 steps ahead": Family(world="pusht", recorded=True, goal_offset=75),
    "Push-T, goal of another episode": Family(world="pusht", recorded=True),
    "Push-T, its own random tasks": Family(world="pusht"),
    "OGBench's maze, anywhere": Family(world="ogbench", budget=440),
    "PointMaze Large, anywhere, trajectories of D4RL's controller": Family(world="large_waypoint"),
    "PointMaze Large, anywhere, random actions that last": Family(world="large_hold"),
}
AGENTS = ("baselines", "prior", "flat", "hierarchical", "subgoals", "simulator", "sac")
_WITHOUT_MODEL = ("baselines", "sac")
_KINDS = {"hierarchical": HierarchicalAgent, "subgoals": SubgoalAgent}
_NEEDS = {"hierarchical": "landmarks", "subgoals": "temporal_embedding"}


def make_model(name: str, out: Path, agent: str) -> WorldModel:
    """Make a model with what an agent needs of it, or go on making it."""
    given = WORLDS[name]
    if given.packaged is not None:
        model = WorldModel.load(given.packaged, dtype=torch.float32)
        if agent not in _NEEDS or getattr(model, _NEEDS[agent]) is not None:
            return model
    how: dict[str, Any] = {"seed": given.data.seed, "env_settings": given.env_settings}
    data = collect(given.data.env_id, given.policy(), given.data.num_episodes, folder=out / "set", **how)
    if given.packaged is not None:
        store = encode(data, model.encoder, out / "stores")
    else:
        encoder = PyramidEncoder(num_components=128, tokens=(1, 1))
        fit_encoder(encoder, [data], num_frames=20_000, folder=out / "stores")
        store = encode(data, encoder, out / "stores")
        model = _trained(store, given.planning, out)
    if agent == "hierarchical":
        return fit_steps_to_go(store, base=model, folder=out / "far").model
    if agent == "subgoals":
        return fit_temporal_embedding(store, base=model, folder=out / "time").model
    return model


def _trained(store: LatentStore, planning: PlanningSettings, out: Path) -> WorldModel:
    # A tenth of the packaged models' size: three times as fast to train and to plan with.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        predictor = Predictor(store.encoder.dim, width=96, depth=3, num_heads=3)
    small = WorldModel(store.encoder, predictor, control_rate=store.control_rate or 1.0)
    training = FinetuneSettings(num_steps=3_000, batch_size=64)
    trained = finetune(store, base=small, mode="scratch", settings=training, planning=planning, folder=out / "train")
    settings = PriorSettings(width=192, num_steps=2_000)
    return fit_prior(store, base=trained.model, settings=settings, folder=out / "prior").model


def make_rows(
    title: str,
    agents: Sequence[str],
    num_tasks: int,
    out: Path,
    sac_seconds: float,
    seed: int = 0,
    search_space: str = "actions",
) -> list[ResultRow]:
    """Evaluate agents on a family of tasks; what is done already is read. SAC learns for some seconds of one core."""
    family, world = FAMILIES[title], WORLDS[FAMILIES[title].world]
    protocol = replace(PROTOCOLS["far"], goal_offset=family.goal_offset, budget=family.budget)
    rows = []
    for agent in agents:
        looks = family.recorded or agent not in _WITHOUT_MODEL
        model = make_model(family.world, out / family.world, agent) if looks else None
        count = min(num_tasks, _SIMULATED) if agent == "simulator" else num_tasks
        tasks = _tasks(family, world, model, count, out, seed)
        folder = out / "rows" / title.replace(" ", "_").replace(",", "") / f"{agent}_{count}_{seed}"
        if search_space != "actions" and agent not in _WITHOUT_MODEL:
            folder = folder.with_name(f"{folder.name}_{search_space}")
        if agent == "sac":
            specs = [_sac(family, world, out / "sac" / f"{family.world}_{family.budget}_{sac_seconds:g}", sac_seconds)]
        else:
            specs = _specs(agent, model, tasks, protocol, search_space)
        rows += evaluate_agents(specs, tasks, protocol, folder)
        for row in rows[-1:] if agent != "baselines" else rows[-2:]:
            print(f"| {title} | {row.agent} | {count} | {row.evaluation.success_end} | {row.evaluation.success_any} |")
    return rows


def _tasks(family: Family, world: World, model: WorldModel | None, count: int, out: Path, seed: int) -> Tasks:
    data = world.data
    if not family.recorded or model is None:
        return RandomTasks(data.env_id, count, seed=seed, env_settings=world.env_settings)
    unseen = collect(
        data.env_id,
        world.policy(),
        data.num_unseen,
        folder=out / family.world / "unseen",
        seed=data.unseen_seed,
        env_settings=world.env_settings,
    )
    steps = model.planning.context_steps
    return DatasetTasks(unseen, count, seed=seed, goal_offset=family.goal_offset, context_steps=steps)


def _specs(
    agent: str, model: WorldModel | None, tasks: Tasks, protocol: Protocol, search_space: str
) -> list[AgentSpec]:
    if agent == "baselines" or model is None:
        return baselines(tasks)
    # All models have a prior, so that the planner is fast(), as suits what is searched.
    plans = partial(planning_spec, model, None, tasks, protocol, num_workers=0, search_space=search_space)
    if agent == "prior":
        return ablations(plans())[:1]
    return [plans(kind=_KINDS.get(agent, PlanningAgent), simulator=agent == "simulator")]


def _sac(family: Family, world: World, folder: Path, seconds: float) -> AgentSpec:
    """Return SAC with hindsight replay that has learned the environment's own tasks."""
    looks: dict[str, Any] = {"obs_type": "state", "terminate_on_success": False, "max_episode_steps": family.budget}
    make = partial(gym.make, world.data.env_id, **world.env_settings, **looks)
    policy, _, steps = fit_sac(make, folder, seconds, learning_starts=10 * family.budget, gamma=0.98)
    return AgentSpec(f"SAC with hindsight replay, true states, {steps:,} steps", policy)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m experiments.far", description=__doc__)
    known = "; ".join(f"{i}: {title}" for i, title in enumerate(FAMILIES))
    parser.add_argument("families", nargs="*", type=int, metavar="NUMBER", help=f"which, by default all: {known}")
    parser.add_argument("--agents", nargs="+", choices=AGENTS, default=list(AGENTS), help="who")
    parser.add_argument("--num-tasks", type=int, default=256, help="of each family; of the true simulator's at most 32")
    parser.add_argument("--sac-seconds", type=float, default=720.0, help="of one core that SAC learns for")
    parser.add_argument("--seed", type=int, default=0, help="of the tasks")
    parser.add_argument("--search-space", choices=SEARCH_SPACES, default="actions", help="what planners search over")
    parser.add_argument("--out", type=Path, default=Path("outputs/far"), help="a folder")
    given = parser.parse_args(argv)
    numbers = given.families or range(len(FAMILIES))
    if not set(numbers) <= set(range(len(FAMILIES))):
        parser.error(f"families have the numbers 0 to {len(FAMILIES) - 1}, got {given.families}")
    if given.num_tasks < 1 or given.sac_seconds <= 0:
        parser.error(f"--num-tasks and --sac-seconds must be positive, got {given.num_tasks} and {given.sac_seconds}")
    if given.seed < 0:
        parser.error(f"--seed must not be negative, got {given.seed}")
    titles = [list(FAMILIES)[number] for number in numbers]
    for title in titles:
        module, _, _ = WORLDS[FAMILIES[title].world].data.env_id.rpartition(":")
        try:
            if module:
                import_module(module)  # where it is missing, that is told before hours of work
        except ImportError as error:
            parser.error(
                f"{title}: {error}; it needs the example's environments: pip install 'wmcontrol[foreign]', and "
                "PYTHONPATH=examples/environments"
            )
    print("| tasks | agent | tasks | at the end, % | at any time, % |\n|---|---|---|---|---|")
    for title in titles:
        make_rows(title, given.agents, given.num_tasks, given.out, given.sac_seconds, given.seed, given.search_space)


if __name__ == "__main__":
    main()
