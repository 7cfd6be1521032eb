"""Compare ways to reach goals on the same tasks: success, seconds of training, seconds per decision.

Goals are 25 steps ahead in trajectories that nobody was trained on, and there is one try of 25 steps (protocol
"paper"). All but SAC look at pictures by the model's encoder, and learned from the same trajectories:

- the world model with its action prior (ours), whose noise is searched, or actions from its proposals; the best of its
  64 proposals, one of them as it is (goal-conditioned behaviour cloning), and the search without the prior, in the
  manner of DINO-WM (CEM, 300 candidates, 30 rounds);
- inverse dynamics: a network that is told tokens of now and of the goal and the steps to go, and says the next model
  action; asked anew in each model step, nothing is planned;
- SAC with hindsight replay (Stable-Baselines3) sees the true state. It learns in the simulator, from starts and goals
  of the same trajectories, for so many seconds of one core.

Seconds of training are of one core, those of the packaged model from its card: the base, its fine-tuning and the prior.
Killed, it goes on; SAC learns anew.
"""

import argparse
import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from wmcontrol import CEM, WorldModel
from wmcontrol.data import LatentStore, held_out_split, open_dataset
from wmcontrol.evaluation import AgentSpec, DatasetTasks, ablations, baselines, evaluate_agents, planning_spec
from wmcontrol.models import ActionNormalizer, find_folder
from wmcontrol.planners import fast
from wmcontrol.training import HindsightBatch, HindsightWindows, descend

from ..sac import fit_sac, kept
from .results import Section, command, positive, save, whole

WIDTH, BATCH = 512, 512
TESTED = 2048  # held-out windows
DEVICE = torch.device("cpu")
AHEAD = 25  # environment steps to the goal


class InverseDynamics(nn.Module):
    """Says the next model action (B, A) from tokens of now and of the goal (B, P, D) and the steps to go (B,)."""

    mean: Tensor
    std: Tensor

    def __init__(self, tokens: Tensor, num_actions: int, horizon: int):
        """Take tokens (N, P, D) of which mean and spread are taken, A, and the most steps to go."""
        super().__init__()
        _, patches, dim = tokens.shape
        self.horizon = horizon
        self.register_buffer("mean", tokens.mean((0, 1)))
        spread = tokens.std((0, 1))
        self.register_buffer("std", spread.clamp_min(1e-3 * float(spread.max())))
        numbers = [2 * patches * dim + horizon, WIDTH, WIDTH, WIDTH]
        layers = [nn.Linear(n, m, dtype=torch.float32) for n, m in pairwise(numbers)]
        hidden = [part for layer in layers for part in (layer, nn.LayerNorm(WIDTH, dtype=torch.float32), nn.SiLU())]
        self.layers = nn.Sequential(*hidden, nn.Linear(WIDTH, num_actions, dtype=torch.float32))

    def forward(self, tokens: Tensor, goal: Tensor, steps_to_go: Tensor) -> Tensor:
        """Return normalised actions (B, A)."""
        steps = nn.functional.one_hot(steps_to_go - 1, self.horizon).to(self.std)
        change = (goal - tokens) / self.std  # so that small differences need not be found between large numbers
        said: Tensor = self.layers(
            torch.cat([((tokens - self.mean) / self.std).flatten(1), change.flatten(1), steps], 1)
        )
        return said


@dataclass(frozen=True)
class InverseState:
    """What the agent has done: environment steps, model actions that it was asked for, and what is left of the last."""

    step: int
    decisions: tuple[int, ...]
    queue: NDArray[np.float32]  # (B, q, a)


@dataclass(frozen=True)
class InverseDynamicsAgent:
    """Does what inverse dynamics say, and asks again in each model step.

    Args:
        model: whose encoder and action statistics it has; it imagines nothing.
        network: says the next model action.
        goal_offset: environment steps until the goal is due.
    """

    model: WorldModel
    network: InverseDynamics
    goal_offset: int

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of the pictures that it sees."""
        return self.model.frame_size

    @property
    def control_rate(self) -> float:
        """Environment actions per second, Hz."""
        return self.model.control_rate

    @torch.no_grad()
    def predict(
        self, observation: Any, state: InverseState | None = None, episode_start: Any = None, deterministic: bool = True
    ) -> tuple[NDArray[np.float32], InverseState]:
        """Return actions (B, a) of a batch whose episodes start together, and what to give with the next one."""
        if state is None or np.all(episode_start):
            state = InverseState(0, (0,) * len(observation["pixels"]), np.zeros((0, 0, 0), np.float32))
        decisions, queue = state.decisions, state.queue
        if not queue.size:
            seen = np.stack([observation["pixels"], observation["goal_pixels"]], 1)
            tokens = self.model.encode(torch.from_numpy(seen)).float()
            left = math.ceil((self.goal_offset - state.step) / self.model.frameskip)
            steps = torch.full(
                (len(tokens),), min(max(left, 1), self.network.horizon), dtype=torch.int64, device=DEVICE
            )
            normalizer = _normalizer(self.model)
            said = self.network(tokens[:, 0], tokens[:, 1], steps).clamp(*normalizer.bounds())
            queue = normalizer.to_environment(said[:, None])[:, 0].float().numpy()
            decisions = tuple(count + 1 for count in decisions)
        return queue[:, 0], InverseState(state.step + 1, decisions, queue[:, 1:])


def fit_inverse(store: LatentStore, model: WorldModel, folder: Path, num_steps: int) -> tuple[InverseDynamics, float]:
    """Return inverse dynamics that learned from the training split of a store, and the seconds that it took."""
    normalizer, horizon = _normalizer(model), model.planning.horizon
    train, unseen = (
        HindsightWindows(store, part.tolist(), normalizer, horizon=horizon, num_frames=1)
        for part in held_out_split(len(store), 0)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        some = train.draw(4096, np.random.default_rng([0, 2])).goal
        network = InverseDynamics(some, normalizer.action_dim, horizon)

    def loss(network: InverseDynamics, batch: HindsightBatch) -> Tensor:
        said = network(batch.tokens[:, -1], batch.goal, batch.steps_to_go)
        return nn.functional.mse_loss(said, batch.actions[:, 0])

    tested = unseen.draw(TESTED, np.random.default_rng([0, 1]))
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.process_time()
    descend(
        network,
        torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0.01),
        lambda step: loss(network, train.draw(BATCH, np.random.default_rng([0, 0, step]))),
        num_steps=num_steps,
        rate=lambda done: 1 - done,
        folder=folder,
        device=DEVICE,
        progress=None,
        on_log=None,
        held_out_loss=partial(loss, batch=tested),
    )
    told = kept(folder / "told.json", lambda: {"seconds": time.process_time() - begun})
    return network.eval().requires_grad_(False), told["seconds"]


class FromTrajectories(gym.Wrapper[Any, Any, Any, Any]):
    """Begins episodes at places of trajectories, with what was reached ``goal_offset`` steps later for a goal."""

    def __init__(self, env: gym.Env[Any, Any], store: LatentStore, goal_offset: int):
        super().__init__(env)
        assert store.states is not None
        members = held_out_split(len(store), 0)[0]
        self._states, self._ahead = store.states, goal_offset
        self._begins = store.offsets[members]
        self._rooms = store.lengths[members] - goal_offset

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Draw a place anew where the goal is reached already, or where the environment cannot start."""
        rng = np.random.default_rng(seed) if seed is not None else self.np_random
        while True:
            i = int(rng.choice(np.flatnonzero(self._rooms > 0)))
            start = self._begins[i] + int(rng.integers(self._rooms[i]))
            chosen = {"state": self._states[start], "goal_state": self._states[start + self._ahead]}
            try:
                observation, info = self.env.reset(seed=seed, options=chosen)
            except ValueError:
                continue
            if not info["is_success"]:
                return observation, info


def _from_trajectories(store: LatentStore) -> gym.Env[Any, Any]:
    looks: dict[str, Any] = {"obs_type": "state", "terminate_on_success": False, "max_episode_steps": AHEAD}
    return FromTrajectories(gym.make(store.env_id or "", **store.env_settings, **looks), store, AHEAD)


def trained_seconds(model: str) -> tuple[float, float]:
    """Return the seconds of one core that a packaged model took, base and fine-tuning, and those that its prior did."""
    stages = json.loads((find_folder(model) / "card.json").read_text(encoding="utf-8"))["stages"]

    def spent(*begins: str) -> float:
        attempts = [attempt for stage in stages if stage["name"].startswith(begins) for attempt in stage["attempts"]]
        return float(sum(attempt.get("core_seconds", attempt["seconds"]) for attempt in attempts))

    return spent("train "), spent("fit prior ")  # those of its further training too


def peers(args: argparse.Namespace) -> Section:
    """Train those that need it, and let all do the same tasks."""
    store, model = LatentStore.open(args.store), WorldModel.load(args.model)
    tasks = DatasetTasks(
        open_dataset(args.unseen), args.num_tasks, seed=0, goal_offset=AHEAD, context_steps=model.planning.context_steps
    )
    world, prior = trained_seconds(args.model)
    ours = planning_spec(model, None, tasks, search_space="noise")
    over_actions = planning_spec(model, fast(), tasks, search_space="actions")
    alone, best = ablations(ours)
    network, inverse_seconds = fit_inverse(store, model, args.out / "inverse", args.inverse_steps)
    sac, sac_seconds, sac_steps = fit_sac(
        partial(_from_trajectories, store), args.out / "sac", args.sac_seconds, learning_starts=40 * AHEAD, gamma=0.95
    )
    entries: list[tuple[str, AgentSpec, float]] = [
        ("fast() over the prior's noise: ours", ours, world + prior),
        ("fast() over actions, from 64 proposals", over_actions, world + prior),
        ("the best of 64 proposals", best, world + prior),
        ("behaviour cloning: the prior alone", alone, prior),
        ("inverse dynamics", AgentSpec("x", InverseDynamicsAgent(model, network, AHEAD)), inverse_seconds),
        (f"SAC with hindsight replay, true states, {sac_steps:,} steps", AgentSpec("x", sac), sac_seconds),
        ("fast() without the prior", planning_spec(model, fast(), tasks, num_proposals=0), world),
        ("DINO-WM's way: CEM, 300 × 30, no prior", planning_spec(model, CEM(std=2.0), tasks, num_proposals=0), world),
        *((spec.name, spec, 0.0) for spec in baselines(tasks)),
    ]
    specs = [AgentSpec(name, spec.agent, spec.about) for name, spec, _ in entries]
    rows = evaluate_agents(specs, tasks, "paper", args.out / "agents")
    found = [(row, seconds) for row, (_, _, seconds) in zip(rows, entries, strict=True)]
    return Section(
        title=f"{rows[0].env}, {args.num_tasks} held-out tasks, one try of {AHEAD} steps",
        about="Seconds are of one core, and decisions are made in batches of 16.",
        heads=(
            "",
            "at the goal in the end",
            "at any time",
            "seconds of training",
            "decisions of a task",
            "seconds each",
        ),
        rows=[
            (
                row.agent,
                str(row.evaluation.success_end),
                f"{100 * row.evaluation.success_any.value:.1f} %",
                f"{seconds:,.0f}",
                f"{sum(record['decisions'] for record in row.evaluation.records) / args.num_tasks:g}",
                f"{row.evaluation.seconds_per_decision:.2g}",
            )
            for row, seconds in found
        ],
        numbers={row.agent: {"success_end": vars(row.evaluation.success_end), "seconds": s} for row, s in found},
    )


def _normalizer(model: WorldModel) -> ActionNormalizer:
    assert model.normalizer is not None
    return model.normalizer


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("peers", __doc__)
    parser.add_argument("--model", default="pusht", help="a packaged model with an action prior")
    parser.add_argument("--store", type=Path, required=True, help="latent store that it was trained on, with states")
    parser.add_argument("--unseen", type=Path, required=True, help="trajectories that it never saw, for the tasks")
    parser.add_argument("--num-tasks", type=whole, default=128, help="how many")
    parser.add_argument("--inverse-steps", type=whole, default=4000, help="optimiser steps of inverse dynamics")
    parser.add_argument("--sac-seconds", type=positive, default=720.0, help="of one core that SAC learns for")
    args = parser.parse_args(argv)
    save("peers", args, {"peers": partial(peers, args)})


if __name__ == "__main__":
    main()
