"""Measure steps per second of the environments on one core, beside the packages that they are like.

They are compared with gym-pusht and gymnasium-robotics where these are installed: pip install "wmcontrol[bench]".
"""

import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from itertools import cycle
from statistics import median
from typing import Any

import gymnasium as gym
import numpy as np

from .results import Section, Verdict, command, positive, save
from .timing import mean_seconds, one_core

NUM_ENVS = 64
ROUNDS = 5
_ACTIONS = 1000  # drawn before measuring, and then repeated


@dataclass(frozen=True)
class Peer:
    """An environment of another package that does what one of ours does."""

    package: str
    make: Callable[[int], gym.Env[Any, Any]]  # takes the frame size
    renders: bool = False  # whether pixels come from render() and not with the observation
    asked: float = 0.0  # how many times as fast ours should be, at 64 px

    @property
    def module(self) -> str:
        """What registers it."""
        return self.package.replace("-", "_")


@dataclass(frozen=True)
class Subject:
    """One of our environments, and what it is measured with."""

    settings: Mapping[str, Any]
    action_bounds: tuple[float, float]
    peer: Peer | None = None


def _gym_pusht(size: int) -> gym.Env[Any, Any]:
    return gym.make("gym_pusht/PushT-v0", obs_type="pixels", observation_width=size, observation_height=size)


def _robotics(size: int) -> gym.Env[Any, Any]:
    return gym.make("PointMaze_UMaze-v3", render_mode="rgb_array", width=size, height=size)


SUBJECTS: Mapping[str, Subject] = {
    "PushT": Subject({"action_mode": "absolute"}, (0, 512), Peer("gym-pusht", _gym_pusht, asked=8)),
    "Wall": Subject({}, (-1, 1)),
    "PointMaze_UMaze": Subject({}, (-1, 1), Peer("gymnasium-robotics", _robotics, renders=True, asked=30)),
}


def steps_per_second(size: int, peer_size: int, lasting: float) -> Section:
    """Measure all environments and their peers in turns, of which the median counts."""
    with one_core(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the peers' own
        rates = _rates(size, peer_size, lasting)
    rows, verdicts = [], []
    for name, subject in SUBJECTS.items():
        one, many, other = rates[name, "one"], rates[name, "many"], rates.get((name, "peer"))
        cells = [name, f"{one:,.0f}", f"{many:,.0f}"]
        if subject.peer is None:
            cells += ["none", "", ""]
        elif other is None:
            cells += [f"{subject.peer.package} is not installed", "", ""]
        else:
            cells += [subject.peer.package, f"{other:,.0f}", f"{one / other:.1f}x"]
            if size == 64:
                asked = f"{name} at least {subject.peer.asked:g} times as fast as {subject.peer.package}"
                verdicts.append(Verdict(asked, f"{one / other:.1f} times", one / other >= subject.peer.asked))
        rows.append(cells)
    if size == 64:
        wall = rates["Wall", "many"]
        verdicts.append(Verdict("Wall, 64 at once, at least 20,000 steps/s", f"{wall:,.0f}", wall >= 20_000))
    return Section(
        f"Frames of {size} px",
        f"Steps per second with frames of {size} px, the peers' of {peer_size} px, on one core: median of {ROUNDS} "
        "rounds, in which all are measured in turns. They are made by `gymnasium.make` with its default wrappers, or "
        "by `make_vec`; none stops at its goal; resets count.",
        ("environment", "one", f"{NUM_ENVS} at once", "peer", "its rate", "ratio"),
        rows,
        {f"{name}, {way}": rate for (name, way), rate in rates.items()},
        verdicts,
    )


def _rates(size: int, peer_size: int, lasting: float) -> dict[tuple[str, str], float]:
    steps: dict[tuple[str, str], Callable[[int], object]] = {}
    envs: list[Any] = []
    for name, subject in SUBJECTS.items():
        env_id = f"wmcontrol:wmcontrol/{name}-v0"
        settings = {"obs_type": "pixels", "image_size": size, "terminate_on_success": False, **subject.settings}
        rng = np.random.default_rng(0)
        actions = rng.uniform(*subject.action_bounds, (_ACTIONS, 2)).astype(np.float32)
        batches = rng.uniform(*subject.action_bounds, (_ACTIONS, NUM_ENVS, 2)).astype(np.float32)
        envs += [gym.make(env_id, **settings), gym.make_vec(env_id, num_envs=NUM_ENVS, **settings)]
        steps[name, "one"] = partial(_step, envs[-2], cycle(actions), False)
        steps[name, "many"] = partial(_step_all, envs[-1], cycle(batches))
        if subject.peer and find_spec(subject.peer.module):
            with redirect_stderr(StringIO()):  # it has news of other environments
                import_module(subject.peer.module)  # which registers its ids
            envs.append(subject.peer.make(peer_size))
            steps[name, "peer"] = partial(_step, envs[-1], cycle(actions), subject.peer.renders)
    for env in envs:
        env.reset(seed=0)
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in steps}
    for number in range(ROUNDS + 1):
        for key, step in steps.items():
            of_one = mean_seconds(step, lasting / ROUNDS) / (NUM_ENVS if key[1] == "many" else 1)
            if number:  # the first round warms up
                taken[key].append(1 / of_one)
    for env in envs:
        env.close()
    return {key: median(rates) for key, rates in taken.items()}


def _step(env: gym.Env[Any, Any], actions: "cycle[Any]", renders: bool, number: int) -> None:
    _, _, terminated, truncated, _ = env.step(next(actions))
    if renders:
        env.render()
    if terminated or truncated:
        env.reset()


def _step_all(envs: "gym.vector.VectorEnv[Any, Any, Any]", actions: "cycle[Any]", number: int) -> None:
    envs.step(next(actions))


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = command("envs", __doc__)
    parser.add_argument("--seconds", type=positive, default=2.0, help="how long each environment and size is measured")
    args = parser.parse_args(argv)
    # Before anything imports MuJoCo, which chooses its way of drawing then.
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    sizes = {"small": (64, 96), "large": (224, 224)}  # 96 is gym-pusht's own
    save("envs", args, {name: partial(steps_per_second, *pair, args.seconds) for name, pair in sizes.items()})


if __name__ == "__main__":
    main()
