"""``wmcontrol bench envs``: how many steps a second the environments make, beside the packages they are like.

All run in one process on one core, in turns: round after round each is measured for a short while, and the median
round counts, so that a disturbance hits all of them alike. All are made by ``gymnasium.make``, with its default
wrappers, or ``make_vec``; none of them stops at its goal; resets count.
"""

import os
import statistics
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from itertools import cycle
from time import perf_counter
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

Actions = NDArray[np.float32]
Meter = Callable[[float], float]  # runs for that many seconds, returns steps per second

_NUM_ENVS = 64
_ROUNDS = 5
_ACTIONS = 1000  # drawn before measuring, and then repeated
_HINT = 'pip install "wmcontrol[oracle]"'


@dataclass(frozen=True)
class Peer:
    """An environment of another package that does what one of ours does."""

    package: str
    module: str
    make: Callable[[int], gym.Env[Any, Any]]  # takes the frame size
    renders: bool  # whether pixels come from render() and not with the observation


@dataclass(frozen=True)
class Subject:
    """One of our environments, and what it is measured with."""

    name: str
    settings: dict[str, Any]
    action_bounds: tuple[float, float]
    peer: Peer | None = None


def _make_gym_pusht(size: int) -> gym.Env[Any, Any]:
    return gym.make("gym_pusht/PushT-v0", obs_type="pixels", observation_width=size, observation_height=size)


def _make_robotics(size: int) -> gym.Env[Any, Any]:
    return gym.make("PointMaze_UMaze-v3", render_mode="rgb_array", width=size, height=size)


SUBJECTS = (
    Subject(
        "PushT",
        {"action_mode": "absolute"},
        (0, 512),
        Peer("gym-pusht", "gym_pusht", _make_gym_pusht, renders=False),
    ),
    Subject("Wall", {}, (-1, 1)),
    Subject(
        "PointMaze_UMaze",
        {},
        (-1, 1),
        Peer("gymnasium-robotics", "gymnasium_robotics", _make_robotics, renders=True),
    ),
)


@dataclass(frozen=True)
class Rates:
    """Steps per second at one frame size. ``peer`` is None where there is none, or where it is not installed."""

    single: float
    vector: float
    peer: float | None

    @property
    def ratio(self) -> float | None:
        """How many times faster the single environment is than its peer."""
        return self.single / self.peer if self.peer else None


def run_bench(seconds: float) -> None:
    """Measure every environment for ``seconds`` at each size, and print tables and whether the asked is met."""
    # Before anything imports MuJoCo, which chooses its way of drawing then.
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY"):
        os.environ.setdefault("MUJOCO_GL", "egl")
    console = Console()
    with _one_core(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the peers; they are not ours to mend
        small = _measure(64, 96, seconds, console)
        _print_table(small, 64, 96, console)
        large = _measure(224, 224, seconds, console)
        _print_table(large, 224, 224, console)
    missing = [s.peer.package for s in SUBJECTS if s.peer and not find_spec(s.peer.module)]
    if missing:
        console.print(f"To compare with {' and '.join(missing)}: {_HINT}", markup=False, soft_wrap=True)
    _print_asked(small, console)


@contextmanager
def _one_core() -> Iterator[None]:
    """Keep this process, and the threads that it starts, on one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _measure(size: int, peer_size: int, seconds: float, console: Console) -> dict[str, Rates]:
    """Measure all subjects and their peers, in turns."""
    meters: dict[tuple[str, str], Meter] = {}
    envs: list[Any] = []
    for subject in SUBJECTS:
        settings = {"obs_type": "pixels", "image_size": size, "terminate_on_success": False, **subject.settings}
        env_id = f"wmcontrol/{subject.name}-v0"
        rng = np.random.default_rng(0)
        actions = rng.uniform(*subject.action_bounds, (_ACTIONS, 2)).astype(np.float32)
        batches = rng.uniform(*subject.action_bounds, (_ACTIONS, _NUM_ENVS, 2)).astype(np.float32)
        single = gym.make(env_id, **settings)
        vector = gym.make_vec(env_id, num_envs=_NUM_ENVS, **settings)
        meters[subject.name, "single"] = _single_meter(single, actions, renders=False)
        meters[subject.name, "vector"] = _vector_meter(vector, batches)
        envs += [single, vector]
        if subject.peer and find_spec(subject.peer.module):
            with redirect_stderr(StringIO()):  # it has news of other environments
                import_module(subject.peer.module)  # which registers its ids
            peer = subject.peer.make(peer_size)
            meters[subject.name, "peer"] = _single_meter(peer, actions, subject.peer.renders)
            envs.append(peer)
    rounds: dict[tuple[str, str], list[float]] = {key: [] for key in meters}
    with console.status(f"Measuring at {size} pixels ..."):
        for i in range(_ROUNDS + 1):
            for key, meter in meters.items():
                rate = meter(seconds / _ROUNDS)
                if i > 0:  # the first round warms up
                    rounds[key].append(rate)
    for env in envs:
        env.close()
    medians = {key: statistics.median(rates) for key, rates in rounds.items()}
    return {
        s.name: Rates(medians[s.name, "single"], medians[s.name, "vector"], medians.get((s.name, "peer")))
        for s in SUBJECTS
    }


def _single_meter(env: gym.Env[Any, Any], actions: Actions, renders: bool) -> Meter:
    env.reset(seed=0)
    feed = cycle(actions)

    def step() -> None:
        _, _, terminated, truncated, _ = env.step(next(feed))
        if renders:
            env.render()
        if terminated or truncated:
            env.reset()

    return partial(_rate, step, 1)


def _vector_meter(envs: "gym.vector.VectorEnv[Any, Any, Any]", batches: Actions) -> Meter:
    envs.reset(seed=0)
    feed = cycle(batches)
    return partial(_rate, lambda: envs.step(next(feed)), _NUM_ENVS)


def _rate(step: Callable[[], object], steps: int, seconds: float) -> float:
    """Call ``step``, which makes that many steps, for that many seconds; return steps per second."""
    calls, start, elapsed = 0, perf_counter(), 0.0
    while calls == 0 or elapsed < seconds:
        step()
        calls += 1
        elapsed = perf_counter() - start
    return calls * steps / elapsed


def _print_table(rates: dict[str, Rates], size: int, peer_size: int, console: Console) -> None:
    table = Table(
        title=f"Steps per second with frames of {size} px; peers: {peer_size} px",
        caption=f"one core, median of {_ROUNDS} rounds",
        box=SIMPLE,
        pad_edge=False,
        show_edge=False,
    )
    # Fits a terminal of 80 columns.
    table.add_column("environment", no_wrap=True)
    for heading in ("one", f"{_NUM_ENVS} at once"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("peer", no_wrap=True)
    for heading in ("its rate", "ratio"):
        table.add_column(heading, justify="right", no_wrap=True)
    for subject in SUBJECTS:
        measured, peer = rates[subject.name], subject.peer
        cells = [subject.name, f"{measured.single:,.0f}", f"{measured.vector:,.0f}"]
        if peer is None:
            cells += ["none", "", ""]
        elif measured.peer is None or measured.ratio is None:
            cells += ["not installed", "", ""]
        else:
            cells += [peer.package, f"{measured.peer:,.0f}", f"{measured.ratio:.1f}x"]
        table.add_row(*cells)
    console.print(table)
    console.print()


def _print_asked(rates: dict[str, Rates], console: Console) -> None:
    """Say which of the asked figures, all at 64 px, are met."""
    for name, at_least in (("PushT", 8), ("PointMaze_UMaze", 30)):
        ratio = rates[name].ratio
        outcome = "not measured" if ratio is None else f"{ratio:.1f}x: {_verdict(ratio >= at_least)}"
        console.print(f"{name} at least {at_least}x its peer: {outcome}", highlight=False)
    vector = rates["Wall"].vector
    console.print(f"Wall vector at least 20,000 steps/s: {vector:,.0f}: {_verdict(vector >= 20_000)}", highlight=False)


def _verdict(met: bool) -> str:
    return "met" if met else "missed"
