"""Draw every environment at several sizes, and everything that may vary from episode to episode."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
from rich.console import Console

from wmcontrol import ENV_IDS
from wmcontrol.envs.goal_env import GoalEnv
from wmcontrol.envs.variation import Variation

from .sheets import Captioned, Picture, save_sheet

_SIZES = (64, 96, 224)
# A start and a goal for each that stay possible whatever varies, and actions that show what friction does.
_SCENES: dict[str, tuple[list[float], list[float], list[list[float]]]] = {
    "PushT": ([250, 335, 300, 200, 0.5], [120, 100, 180, 330, 2.5], [[0.27, -0.33]] * 12),
    "Wall": ([10, 20], [52, 42], []),
    "PointMaze_UMaze": ([0.8, 2.8], [2.8, 0.8], [[1.0, 0.0]] + [[0.0, 0.0]] * 30),
}


def save_pictures(out: Path) -> None:
    """Save the contact sheets in the folder ``out`` and say where they lie."""
    console = Console()
    sheets = {"environments": (_environments(), 240)}
    for name in _SCENES:
        sheets[f"variations_{name}"] = (_variations(name), 96)
    for stem, (rows, cell) in sheets.items():
        path = out / f"{stem}.png"
        save_sheet(path, rows, cell)
        console.print(str(path), soft_wrap=True, highlight=False)


def _environments() -> dict[str, list[Captioned]]:
    """Show each environment as render draws it, and as an agent sees it at several sizes."""
    rows = {}
    for env_id in ENV_IDS:
        pictures: list[Captioned] = []
        for size in _SIZES:
            env = gym.make(env_id, image_size=size, render_mode="rgb_array")
            observation, _ = env.reset(seed=3)
            if not pictures:
                pictures.append(("render(), 512 px", _render(env)))
            pictures.append((f"pixels, {size} px", observation["pixels"]))
            env.close()
        pictures.append((f"goal_pixels, {size} px", observation["goal_pixels"]))
        rows[env_id] = pictures
    return rows


def _variations(name: str) -> dict[str, list[Captioned]]:
    """Show an environment with one thing changed at a time, and with all of them drawn."""
    env = gym.make(f"wmcontrol/{name}-v0", render_mode="rgb_array", render_size=96)
    unwrapped = env.unwrapped
    assert isinstance(unwrapped, GoalEnv)
    rows = {}
    for kind, variation in unwrapped.variations.items():
        rows[kind] = [
            (_words(variation, value), _look(env, name, {kind: value}, seed, act=kind == "friction"))
            for seed, value in enumerate(_examples(variation))
        ]
    rows["all"] = [(f"seed {seed}", _look(env, name, "all", seed)) for seed in range(5)]
    env.close()
    return rows


def _examples(variation: Variation) -> list[Any]:
    """Return values that show what a variation does."""
    low, default, high = variation.low, variation.default, variation.high
    if len(low) == 3:
        return [default, *np.random.default_rng(0).uniform(low, high, (3, 3)).round()]
    if len(low) == 2:
        return [default, low, [high[0], low[1]], [low[0], high[1]], high]
    if variation.integer:
        return [low, (low + high) // 2, high]
    # Where the default is the least there is, the middle shows more.
    between = default if low < default else (low + high) / 2
    return [low, between, high]


def _words(variation: Variation, value: Any) -> str:
    if np.array_equal(value, variation.default):
        return "default"
    return ", ".join(f"{number:g}" for number in value)


def _look(
    env: gym.Env[Any, Any], name: str, variation: str | Mapping[str, Any], seed: int, act: bool = False
) -> Picture:
    state, goal_state, actions = _SCENES[name]
    options: dict[str, Any] = {"variation": variation}
    # With everything drawn, so are start and goal.
    if variation != "all":
        options |= {"state": state, "goal_state": goal_state}
    env.reset(seed=seed, options=options)
    for action in actions if act else ():
        env.step(np.array(action, np.float32))
    return _render(env)


def _render(env: gym.Env[Any, Any]) -> Picture:
    frame: Any = env.render()
    return np.asarray(frame, np.uint8)


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("docs/pictures"), help="the folder to save in (default: %(default)s)"
    )
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    save_pictures(args.out)


if __name__ == "__main__":
    main()
