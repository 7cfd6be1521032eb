"""Public calls with arguments that are not what they should be."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .child import Task
from .plain_changes import Rng, pick
from .targets import expect, use_dataset

NAN = float("nan")


@dataclass(frozen=True)
class Call:
    """A call that is all right, and what must hold of what it returns."""

    name: str
    run: Callable[..., Any]
    arguments: Callable[[], dict[str, Any]]
    changed: tuple[str, ...] = ()  # which arguments are changed; none: all


def call_task(rng: Rng, folder: Path) -> Task:
    """Return a call one of whose arguments was changed."""
    call = pick(rng, calls())
    arguments = call.arguments()
    name = pick(rng, sorted(call.changed or arguments))
    value = _changed(rng, arguments[name])
    arguments[name] = value
    shown = (
        f"{type(value).__name__} {tuple(value.shape)} {value.dtype}" if hasattr(value, "dtype") else repr(value)[:80]
    )
    # Of two that do not fit each other, either may be named.
    names = [each for known in arguments for each in (known, known.removesuffix("s"))]
    if isinstance(value, dict):  # a key of it is as good
        names += [str(key) for key in value]
    if isinstance(value, int | float):  # so is the number itself
        names.append(repr(value))
    return Task(f"{call.name}({name}={shown})", lambda: call.run(folder=folder, **arguments), tuple(names))


def unchanged(folder: Path) -> None:
    """Make every call as it should be made."""
    for call in calls():
        call.run(folder=folder, **call.arguments())


def _changed(rng: Rng, value: Any) -> Any:
    """Return a value of another kind, size or range."""
    import torch

    if isinstance(value, torch.Tensor):
        return _changed_tensor(rng, value)
    if isinstance(value, np.ndarray):
        tensor = _changed_tensor(rng, torch.from_numpy(value.copy()))
        dense = isinstance(tensor, torch.Tensor) and tensor.layout == torch.strided and tensor.device.type == "cpu"
        return tensor.numpy() if dense else None if isinstance(tensor, torch.Tensor) else tensor
    if isinstance(value, dict) and value and rng.random() < 0.7:
        key = pick(rng, sorted(value))
        return {**value, key: _changed(rng, value[key])} if rng.random() < 0.7 else {**value, "unheard_of": 3}
    if isinstance(value, (list, tuple)) and value and rng.random() < 0.7:
        items = list(value)
        if rng.random() < 0.3:
            items = items[:-1] if rng.random() < 0.5 else [*items, items[-1]]
        else:
            place = int(rng.integers(len(items)))
            items[place] = _changed(rng, items[place])
        return type(value)(items)
    return pick(
        rng,
        (
            *(None, True, False, "x", "", 0, 1, -1, 3, 0.5, -0.5, 1e308, NAN, float("inf"), -0.0),
            *([], {}, (), [1], [NAN], {"a": 1}, np.float32(2), np.int64(2), np.array(2.0), "cuda:7", "float99"),
            *(np.zeros((2, 2)), np.array([NAN]), torch.tensor([1.0, 2.0])),
        ),
    )


def _changed_tensor(rng: Rng, value: Any) -> Any:
    import torch

    kinds: dict[str, Callable[[], Any]] = {
        "nan": lambda: torch.full_like(value.double(), NAN),
        "one nan": lambda: value.double().index_fill(-1, torch.tensor([0]), NAN) if value.ndim else value * NAN,
        "inf": lambda: torch.full_like(value.double(), torch.inf),
        "huge": lambda: torch.full_like(value.double(), 1e300),
        "int": lambda: value.to(torch.int64),
        "double": lambda: value.double(),
        "half": lambda: value.half(),
        "bool": lambda: value.bool(),
        "complex": lambda: value.to(torch.complex64),
        "flat": lambda: value.flatten(),
        "deeper": lambda: value[None],
        "last deeper": lambda: value[..., None],
        "empty": lambda: value[:0] if value.ndim else value,
        "last empty": lambda: value[..., :0] if value.ndim else value,
        "cut": lambda: value[..., :-1] if value.ndim else value,
        "longer": lambda: torch.cat([value, value], -1) if value.ndim else value,
        "more": lambda: torch.cat([value, value], 0) if value.ndim else value,
        "list": value.tolist,
        "none": lambda: None,
        "text": lambda: "x",
        "number": lambda: 3.0,
    }
    return kinds[pick(rng, list(kinds))]()


# What is done with what was made


def _plan(planner: Any, cost: Any = None, **changed: Any) -> None:
    import torch

    given = {"init": torch.zeros(2, 3, 2), "low": -torch.ones(2), "high": torch.ones(2), "generators": None, **changed}
    plan = planner.plan(cost or (lambda actions: (actions - 0.3).square().sum((-1, -2))), given.pop("init"), **given)
    expect(plan.actions.shape == (2, 3, 2), f"a plan of shape {tuple(plan.actions.shape)}")
    expect(plan.actions.isfinite().all() and plan.cost.isfinite().all(), "a plan that is not finite")
    expect((plan.actions.abs() <= 1).all(), "a plan outside of its bounds")


def _planner(name: str, small: dict[str, Any]) -> Call:
    def run(folder: Path, **settings: Any) -> None:
        import wmcontrol

        _plan(getattr(wmcontrol, name)(**{**small, **settings}))

    def arguments() -> dict[str, Any]:
        import wmcontrol

        made = getattr(wmcontrol, name)(**small)
        return {field.name: getattr(made, field.name) for field in fields(made)}

    return Call(name, run, arguments)


def _planning(folder: Path, **changed: Any) -> None:
    from wmcontrol import CEM

    _plan(CEM(num_samples=20, num_elites=4, num_iterations=2), **changed)


def _planning_arguments() -> dict[str, Any]:
    import torch

    generators = [torch.Generator().manual_seed(i) for i in range(2)]
    return {"init": torch.zeros(2, 3, 2), "low": -torch.ones(2), "high": torch.ones(2), "generators": generators}


def _objective(name: str) -> Callable[..., None]:
    def run(folder: Path, **settings: Any) -> None:
        import torch

        import wmcontrol

        term = getattr(wmcontrol, name)(**settings)
        cost = term(torch.rand(2, 3, 4, 5, 6), torch.rand(2, 5, 6), torch.rand(2, 3, 4, 2))
        expect(cost.shape == (2, 3) and cost.isfinite().all(), f"a cost {cost}")

    return run


def _predictor(folder: Path, **settings: Any) -> None:
    import torch

    from wmcontrol import Predictor

    made = Predictor(**settings)
    with torch.no_grad():
        found = made(torch.zeros(1, 2, 4, made.dim), torch.tensor([[0.0, 0.1, 0.2]]), grid=(2, 2))
    expect(found.shape == (1, 2, 4, made.dim) and found.isfinite().all(), "tokens")


def _normalizer(folder: Path, **settings: Any) -> None:
    import torch

    from wmcontrol import ActionNormalizer

    made = ActionNormalizer(**settings)
    low, high = made.bounds()
    expect(low.isfinite().all() and high.isfinite().all() and (low <= high).all(), f"bounds {low} {high}")
    back = made.to_environment(torch.zeros(1, 3, made.action_dim))
    expect(back.isfinite().all(), "actions that are not finite")


@cache
def _model() -> Any:
    import sys

    sys.path[:0] = [str(Path(__file__).parents[1] / name) for name in (".", "models", "data")]
    import test_world_model as models

    return models.world_model()


def _world_model(folder: Path, **changed: Any) -> None:
    import torch

    from wmcontrol import WorldModel

    base = _model()
    made = WorldModel(base.encoder, base.predictor, base.normalizer, **changed)
    expect(0 < made.step_seconds < float("inf"), f"step_seconds {made.step_seconds}")
    tokens = made.encode(torch.zeros(1, 1, *made.frame_size, 3, dtype=torch.uint8))
    expect(tokens.isfinite().all(), "tokens")


def _imagine(folder: Path, frames: Any, actions: Any) -> None:
    import torch

    model = _model()
    with torch.no_grad():
        found = model.rollout(model.context(model.encode(frames)), actions)
    expect(found.ndim == 5, f"imagined tokens of shape {tuple(found.shape)}")


def _imagine_arguments() -> dict[str, Any]:
    import torch

    return {"frames": torch.zeros(1, 1, 32, 32, 3, dtype=torch.uint8), "actions": torch.zeros(1, 2, 3, 4)}


def _agent(folder: Path, observation: Any = None, **settings: Any) -> None:
    from wmcontrol import CEM, GoalDistance, PlanningAgent

    planner = CEM(num_samples=8, num_elites=2, num_iterations=1)
    agent = PlanningAgent(_model(), planner, GoalDistance(), **{"horizon": 2, "replan_every": 2, **settings})
    given = _observation() if observation is None else observation
    actions, state = agent.predict(given)
    for _ in range(2):
        actions, state = agent.predict(given, state)
    expect(actions.dtype == np.float32 and np.isfinite(actions).all() and (np.abs(actions) <= 1).all(), f"{actions}")


def _observation() -> dict[str, Any]:
    return {name: np.zeros((2, 32, 32, 3), np.uint8) for name in ("pixels", "goal_pixels")}


def _env(name: str, **fixed: Any) -> Callable[..., None]:
    def run(folder: Path, options: Any = None, action: Any = None, **settings: Any) -> None:
        import gymnasium as gym

        env = gym.make(name, disable_env_checker=True, **fixed, **settings)
        observation, _ = env.reset(seed=0, options=options)
        given = np.zeros(env.action_space.shape, np.float32) if action is None else action
        observation, reward, *_ = env.step(given)
        expect(np.isfinite(reward), f"a reward of {reward}")
        for value in observation.values():
            expect(np.isfinite(value).all(), "an observation that is not finite")
        expect(np.isfinite(env.unwrapped.get_state()).all(), "a state that is not finite")
        env.close()

    return run


def _encoder(folder: Path, frames: Any = None, **settings: Any) -> None:
    import torch

    from wmcontrol import PyramidEncoder

    made = PyramidEncoder(**{"num_components": 6, **settings})
    given = torch.arange(40 * 16 * 16 * 3).remainder(251).to(torch.uint8).view(40, 16, 16, 3)
    made.fit(given if frames is None else frames)
    tokens = made(given[:2])
    expect(tokens.isfinite().all(), "tokens that are not finite")
    expect(tokens.shape == (2, int(np.prod(made.grid(16, 16))), made.dim), f"tokens of shape {tuple(tokens.shape)}")


def _arrays(folder: Path, **given: Any) -> None:
    from wmcontrol.data import ArrayDataset

    use_dataset(ArrayDataset(**given))


def _array_arguments() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "frames": [rng.integers(0, 256, (T, 8, 8, 3), dtype=np.uint8) for T in (4, 5)],
        "actions": [rng.uniform(-1, 1, (T - 1, 2)) for T in (4, 5)],
        "control_rate": 10.0,
        "action_bounds": (np.full(2, -1.0), np.ones(2)),
    }


def _encode(folder: Path, **given: Any) -> None:
    import torch

    from wmcontrol import PyramidEncoder
    from wmcontrol.data import ArrayDataset, encode

    encoder = PyramidEncoder(6)
    encoder.fit(torch.arange(40 * 8 * 8 * 3).remainder(251).to(torch.uint8).view(40, 8, 8, 3))
    store = encode(ArrayDataset(**_array_arguments()), encoder, folder / "stores", **given)
    expect(store.tokens.isfinite().all() and len(store) == 2, "tokens")


def _windows(folder: Path, **given: Any) -> None:
    from wmcontrol.data import ArrayDataset

    windows = ArrayDataset(**_array_arguments()).windows(**given)
    expect(len(windows[len(windows) - 1].times) == given["num_frames"], "windows of another length")


def _split(folder: Path, **given: Any) -> None:
    from wmcontrol.data import ArrayDataset

    first, rest = ArrayDataset(**_array_arguments()).split(**given)
    expect(len(first) + len(rest) == 2 and len(first), "a split")


def _evaluate(folder: Path, **given: Any) -> None:
    import gymnasium as gym

    from wmcontrol.agents import RandomAgent
    from wmcontrol.evaluation import Protocol, RandomTasks, evaluate

    space = gym.make("wmcontrol/Wall-v0").action_space
    tasks = RandomTasks("wmcontrol/Wall-v0", given.pop("num_tasks"), seed=given["seed"])
    protocol = Protocol(name="short", budget=given.pop("budget"))
    found = evaluate(RandomAgent(space), tasks, protocol, **given)
    expect(len(found.records) >= 1 and np.isfinite(found.distances).all(), "distances")


def _collect(folder: Path, **given: Any) -> None:
    import gymnasium as gym

    from wmcontrol.agents import RandomAgent
    from wmcontrol.data.collecting import collect_batches

    policy = RandomAgent(gym.make("wmcontrol/Wall-v0").action_space)
    episodes = [episode for batch in collect_batches("wmcontrol/Wall-v0", policy, **given) for episode in batch]
    expect(len(episodes) == given["num_episodes"] - given["start"], f"{len(episodes)} episodes")


@cache
def calls() -> tuple[Call, ...]:
    """Return all calls."""
    few = {"num_samples": 12, "num_iterations": 2}
    wall = {"image_size": 32, "layout": "fixed", "action_scale": 2.0}
    state = [12.0, 20.0]
    return (
        _planner("CEM", {**few, "num_elites": 3}),
        _planner("ICEM", {**few, "num_elites": 3}),
        _planner("MPPI", few),
        _planner("Gradient", few),
        _planner("RandomShooting", few),
        Call("CEM.plan", _planning, _planning_arguments),
        Call("GoalDistance", _objective("GoalDistance"), lambda: {"metric": "l2", "steps": 0.9, "weights": [1.0] * 6}),
        Call("Smoothness", _objective("Smoothness"), lambda: {"frameskip": 1}),
        Call("Predictor", _predictor, lambda: {"dim": 6, "width": 32, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0}),
        Call(
            "ActionNormalizer",
            _normalizer,
            lambda: {"mean": [0.0, 0.1], "std": [1.0, 0.5], "low": [-1.0, -1.0], "high": [1.0, 1.0], "frameskip": 2},
        ),
        Call(
            "WorldModel",
            _world_model,
            lambda: {"control_rate": 10.0, "frame_size": (32, 32), "memory_budget": 1 << 20, "token_std": [0.1] * 12},
        ),
        Call("WorldModel.rollout", _imagine, _imagine_arguments),
        Call("PlanningAgent", _agent, lambda: {"horizon": 2, "replan_every": 2, "context_frames": 1, "seed": 0}),
        Call("PlanningAgent.predict", _agent, lambda: {"observation": _observation()}),
        Call("Wall", _env("wmcontrol/Wall-v0"), lambda: dict(wall)),
        Call(
            "Wall.reset",
            _env("wmcontrol/Wall-v0", image_size=32),
            lambda: {"options": {"state": state, "goal_state": [50.0, 20.0], "variation": {"wall_position": 36.0}}},
        ),
        Call(
            "PushT.reset",
            _env("wmcontrol/PushT-v0", image_size=32),
            lambda: {"options": {"state": [200.0, 200, 250, 250, 1], "variation": "all"}},
        ),
        Call(
            "PointMaze.reset",
            _env("wmcontrol/PointMaze_UMaze-v0", image_size=32),
            lambda: {"options": {"state": [1.0, 1, 0, 0], "goal_state": [3.0, 1]}},
        ),
        Call("Wall.step", _env("wmcontrol/Wall-v0", image_size=32), lambda: {"action": np.zeros(2, np.float32)}),
        Call(
            "PyramidEncoder",
            _encoder,
            lambda: {"num_components": 6, "tokens": (1, 1), "blurs": (1 / 8, 1 / 4), "color_weights": (1.0, 6.0, 6.0)},
        ),
        Call("ArrayDataset", _arrays, _array_arguments),
        Call("encode", _encode, lambda: {"dtype": "float16", "batch_size": 4, "device": "cpu"}),
        Call("windows", _windows, lambda: {"num_frames": 2, "frameskip": 1}),
        Call("split", _split, lambda: {"fraction": 0.5, "seed": 0}),
        Call("evaluate", _evaluate, lambda: {"num_tasks": 2, "seed": 0, "budget": 3, "batch": 2}),
        Call(
            "collect",
            _collect,
            lambda: {"num_episodes": 2, "seed": 0, "num_frames": (3, 4), "batch": 2, "start": 0, "env_settings": {}},
        ),
    )
