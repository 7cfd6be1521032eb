"""``wmcontrol returns``."""

import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..errors import UsageError
from ..objects import device_of, made, make, plain, planning_changes, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Let an agent act for rewards in whole episodes of any Gymnasium environment, beside random actions.

    For environments without goals, which wmcontrol evaluate has no tasks for. Printed, and saved in returns.json, are
    the sums of rewards with an interval by bootstrap over episodes, whose seeds are the same for both.

    Example: wmcontrol returns env.id=Pendulum-v1 model.path=models/pendulum_reward/model horizon=10 num_episodes=20

    Args:
        horizon: model steps that a plan looks ahead; by default as many as the model was saved with. For example 10.
        replan_every: environment steps from one plan to the next; by default as the model was saved. For example 4.
        context_frames: frames that the model sees at most; by default as many as it was saved with. For example 3.
        max_steps: steps of an episode at most; by default the environment's own time limit. For example 200.
        device: where the model works; auto is a GPU if there is one. For example cpu.
        out: the folder for the result; by default one of these settings, under outputs/returns. For example
            results/pendulum.
    """

    horizon: int | None = None
    replan_every: int | None = None
    context_frames: int | None = None
    max_steps: int | None = None
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Judge it."""
    from ...actions import ActionLayout
    from ...agents import NoOpAgent, PlanningAgent, RandomAgent
    from ...envs.pixels import make_env, make_with_pixels
    from ...evaluation import evaluate_returns
    from ...files import atomic_write
    from ...runs import open_run

    env_id, settings, kind = config.env.id, plain(config.env.settings), config.agent.get("kind")
    limited = partial(_limited, max_steps=config.max_steps)
    seen = partial(limited, make_with_pixels, env_id, settings)
    with made("env"), closing(seen()) as env:
        space = env.action_space
    with made("agent"):
        agents: dict[str, Any] = {"random actions": (RandomAgent(space, config.seed), seen)}
        if kind == "planning":
            model, planner = make(config.model, "model", device=device_of(config)), make(config.planner, "planner")
            objective = make(config.objective, "objective")
            if model.reward is None and objective is None:
                raise UsageError("model: it has no reward head; wmcontrol fit_reward gives it one")
            changes = {} if objective else planning_changes(config.objective)
            names = ("horizon", "replan_every", "context_frames")
            changes |= {name: config[name] for name in names if config[name] is not None}
            agent = PlanningAgent.from_model(model, planner, objective=objective, seed=config.seed, **changes)
            layout = ActionLayout.of(space)
            if (layout.choices, layout.size) != (agent.action_layout.choices, agent.action_layout.size):
                chosen = agent.action_layout.choices
                acts = f"choices between {chosen}" if chosen else f"{agent.action_layout.size} numbers"
                raise UsageError(f"model: it acts with {acts}, and {env_id} takes {space}")
            agents["world model"] = (agent, partial(seen, model.frame_size[0]))
        elif kind == "noop":
            agents["no-op"] = (NoOpAgent(space), seen)
        elif kind != "random" and config.agent.get("_target_"):
            agents["agent"] = (make(config.agent, "agent"), partial(limited, make_env, env_id, settings))
        elif kind != "random":
            raise UsageError(f"agent={kind}: without goals there are planning, noop, random and agents of your own")
    out = run_folder(config, "returns", apart=("device", "batch"))
    found, how = {}, {name: config[name] for name in ("num_episodes", "seed", "batch")}
    told = {name: value for name, value in plain(config).items() if name not in ("out", "device", "batch")}
    with open_run(out, "returns", told):
        for name, (acting, maker) in agents.items():
            with progress_bar(name, "episodes") as progress:
                returns = evaluate_returns(acting, maker, progress=progress, **how)
            found[name] = {"returns": returns.values.tolist(), "interval": returns.interval(), "mean": returns.mean}
            print(f"{env_id}, {name}: {returns}")
        with atomic_write(out / "returns.json") as file:
            file.write((json.dumps(found, indent=1) + "\n").encode())
    print(out / "returns.json")


def _limited(make: Callable[..., Any], *given: Any, max_steps: int | None) -> Any:
    """Make an environment whose episodes end, with a limit of steps."""
    from gymnasium.wrappers import TimeLimit

    from ...checks import check_whole

    if max_steps is not None:
        check_whole("max_steps", max_steps)
    env = make(*given)
    if max_steps is not None:
        return TimeLimit(env, max_steps)
    if env.spec is not None and env.spec.max_episode_steps is None:
        env.close()
        raise ValueError("it has no time limit, and an episode might never end; say max_steps=200, or what suits it")
    return env
