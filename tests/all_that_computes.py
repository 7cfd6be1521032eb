"""Does a little of all that computes with tensors, and prints a digest of each result; see test_process_globals.

Arguments: the process's default number type, its default device, "grad" if gradients are on, and a folder to work in.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch

from wmcontrol import CEM, CMA, ICEM, MPPI, ActionPenalty, GoalDistance, Gradient, Hybrid, PlanningAgent, WorldModel
from wmcontrol.agents import SimulatorModel
from wmcontrol.data import ArrayDataset, encode
from wmcontrol.encoders import PyramidEncoder
from wmcontrol.evaluation import Protocol, RandomTasks, evaluate
from wmcontrol.objectives import Guardrail, Smoothness
from wmcontrol.planners import RandomShooting, fast
from wmcontrol.training import ClipSource, Trainer, TrainingSettings, WindowSource, distributed, with_actions

SMALL: dict[str, Any] = {"num_samples": 16, "num_iterations": 3}


def digest(*values: Any) -> str:
    """Return a digest of numbers, to the last bit, and of their types."""
    found = hashlib.sha256()
    for value in values:
        array = np.asarray(value.detach() if isinstance(value, torch.Tensor) else value)
        found.update(f"{array.dtype} {array.shape}".encode() + array.tobytes())
    return found.hexdigest()[:16]


def state(module: torch.nn.Module) -> str:
    return digest(*(value for _, value in sorted(module.state_dict().items())))


def plans(model: WorldModel, frames: np.ndarray) -> Iterator[tuple[str, str]]:
    guarded = Guardrail(lambda latents: latents[..., 0].mean(-1), limit=0.5)
    standardized = GoalDistance("squared", steps=0.9, weights=model.standardizing_weights(0.5))
    planners = {
        "CEM": CEM(num_elites=4, tolerance=0.3, **SMALL),
        "CEM of many numbers": CEM(num_samples=1500, num_elites=4, num_iterations=1),
        "ICEM": ICEM(num_elites=4, **SMALL),
        "MPPI": MPPI(noise_beta=1.0, **SMALL),
        "CMA": CMA(**SMALL),
        "RandomShooting": RandomShooting(**SMALL),
        "Adam": Gradient(num_samples=3, num_iterations=3),
        "SGD": Gradient(num_samples=3, num_iterations=3, optimizer="sgd"),
        "Hybrid": Hybrid(sampling=CEM(num_elites=4, **SMALL), refinement=Gradient(num_samples=3, num_iterations=3)),
    }
    for name, planner in planners.items():
        objective = standardized + 0.1 * ActionPenalty() + 0.1 * Smoothness(5) + guarded
        agent = PlanningAgent(model, planner, objective, replan_every=5, context_frames=2)
        state, actions = None, []
        for step in range(6):
            seen = {"pixels": frames[:2, step // 5], "goal_pixels": frames[:2, 4]}
            action, state = agent.predict(seen, state)
            actions.append(action)
        told = agent.explain(state)[0]
        yield name, digest(np.stack(actions), told.history, told.info["guardrail_excess"])


def everything(folder: Path) -> Iterator[tuple[str, str]]:
    rng = np.random.default_rng(0)
    model = WorldModel.load("wall")
    base = WorldModel.load("base")
    frames = np.stack([seen(seed) for seed in range(3)])
    yield "weights", state(model)
    yield from plans(model, frames)
    simulator = SimulatorModel(model, "wmcontrol/Wall-v0", num_workers=0)
    tasks = RandomTasks("wmcontrol/Wall-v0", 2)
    for name, imagines in (("world model", model), ("simulator", simulator)):
        agent = PlanningAgent(imagines, replace(fast(), num_samples=24), GoalDistance("cosine"))
        judged = evaluate(agent, tasks, Protocol(name="short", budget=25, replan_every=25))
        yield f"evaluation, {name}", digest(judged.distances)
    model.save(folder / "saved")
    yield "saved", state(WorldModel.load(folder / "saved"))
    with torch.device("cpu"):
        fitted = PyramidEncoder(24, tokens=(2, 2))
    fitted.fit(torch.from_numpy(frames.reshape(-1, 64, 64, 3)))
    yield "fitted", state(fitted)
    dataset = ArrayDataset(
        frames.repeat(5, 1), rng.uniform(-1, 1, (3, 24, 2)), control_rate=10, action_bounds=([-1, -1], [1, 1])
    )
    store = encode(dataset, base.encoder, folder, batch_size=8)
    yield "tokens", digest(store.tokens, np.array(store.token_std()))
    for name in ("scratch", "action_only", "full", "pretraining"):
        settings = TrainingSettings(num_steps=2, warmup_steps=1, dtype="float32")
        if name == "pretraining":
            trained: Any = base.predictor.requires_grad_(True)
            source: Any = ClipSource([store], [1.0], 2, num_frames=3, step_seconds=(0.1, 0.3), seed=0)
        else:
            trained = with_actions(base.predictor, 10, name, seed=1)
            windows = store.windows(4, 5)
            source = WindowSource(windows, 2, model.normalizer, 0)
        with distributed("cpu") as where:
            out = folder / name
            out.mkdir()
            Trainer(settings=settings, folder=out).train(trained, source, store.grid, where)
        yield name, state(trained)


def seen(seed: int) -> np.ndarray:
    """Return five frames of a random walk in Wall."""
    env = gym.make("wmcontrol/Wall-v0")
    frames = [env.reset(seed=seed)[0]["pixels"]]
    env.action_space.seed(seed)
    for _ in range(4):
        frames.append(env.step(env.action_space.sample())[0]["pixels"])
    env.close()
    return np.stack(frames)


if __name__ == "__main__":
    torch.set_default_dtype(getattr(torch, sys.argv[1]))
    torch.set_default_device(sys.argv[2])
    torch.set_grad_enabled(sys.argv[3] == "grad")
    torch.manual_seed(0)
    np.seterr(all="raise")
    print(json.dumps(dict(everything(Path(sys.argv[4])))))
