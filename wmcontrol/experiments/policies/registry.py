"""Policies for collecting, by name."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym

from ... import ENV_IDS
from ...agents import load_policy
from ...data.collecting import AgentPolicy, CollectPolicy, Length, Lengths
from ...data.dataset import TrajectoryDataset
from .common import Scripted

# The references' sets: frames of an episode.
_LENGTHS: dict[str, Length] = {"PushT": (100, 300), "Wall": 50, "PointMaze": 100}
_NAMES = {
    "PushT": ("random", "pushes", "noisy-replay", "sb3:ALGORITHM:FILE"),
    "Wall": ("random", "door", "sb3:ALGORITHM:FILE"),
    "PointMaze": ("random", "waypoint", "sb3:ALGORITHM:FILE"),
}


_RELATIVE = {"action_mode": "relative"}


def policy_names(env_id: str) -> tuple[str, ...]:
    """Return the names of the policies that an environment has.

    Raises:
        ValueError: it is none of ours.
    """
    return _NAMES[_kind(env_id)]


def make_policy(
    name: str,
    env_id: str,
    *,
    num_frames: Length | None = None,
    dataset: TrajectoryDataset | None = None,
    vecnormalize: Path | None = None,
) -> CollectPolicy:
    """Make a policy to collect with.

    Args:
        name: one of ``policy_names(env_id)``, as "random" or "sb3:PPO:policy.zip".
        env_id: the environment to collect in.
        num_frames: how long episodes are, or from how long to how long; by default as in the references: 50 in Wall,
            100 in PointMaze, 100 to 300 in Push-T.
        dataset: the demonstrations that "noisy-replay" replays; no other policy takes one.
        vecnormalize: the file of the ``VecNormalize`` that an "sb3" policy was trained behind.

    Raises:
        ValueError: an environment or a policy that there is not, a data set missing or too much.
    """
    kind = _kind(env_id)
    key = name.split(":", 1)[0]
    if key not in (known.split(":", 1)[0] for known in _NAMES[kind]):
        raise ValueError(f"{env_id} has no policy {name!r}; it has {', '.join(_NAMES[kind])}")
    if (dataset is not None) != (key == "noisy-replay"):
        raise ValueError(
            f"{name!r} takes no dataset; leave it out"
            if dataset is not None
            else "noisy-replay needs a dataset: the demonstrations to replay"
        )
    lengths = Lengths.of(_LENGTHS[kind] if num_frames is None else num_frames)
    if key == "sb3":
        return _sb3(lengths, name, kind, vecnormalize)
    if vecnormalize is not None:
        raise ValueError(f"{name!r} takes no vecnormalize; it is for sb3:ALGORITHM:FILE")
    return _MAKERS[key](lengths, name, env_id, dataset)


def _kind(env_id: str) -> str:
    for kind in _NAMES:
        if env_id in ENV_IDS and env_id.startswith(f"wmcontrol/{kind}"):
            return kind
    raise ValueError(f"there are no policies for {env_id!r}; there are for {', '.join(ENV_IDS)}")


def _action_space(env_id: str) -> gym.spaces.Box:
    env = gym.make(env_id, obs_type="state")
    space = env.action_space
    env.close()
    assert isinstance(space, gym.spaces.Box)
    return space


def _random(lengths: Lengths, name: str, env_id: str, dataset: Any) -> CollectPolicy:
    from .random import Drifting, Uniform

    if _kind(env_id) == "Wall":
        return Scripted(Drifting, lengths)
    settings = _RELATIVE if _kind(env_id) == "PushT" else {}
    return Scripted(partial(Uniform, space=_action_space(env_id)), lengths, settings)


def _door(lengths: Lengths, name: str, env_id: str, dataset: Any) -> CollectPolicy:
    from .door import Door

    return Scripted(Door, lengths)


def _waypoint(lengths: Lengths, name: str, env_id: str, dataset: Any) -> CollectPolicy:
    from .waypoint import Waypoint

    return Scripted(partial(Waypoint, maze=gym.spec(env_id).kwargs["maze"]), lengths)


def _pushes(lengths: Lengths, name: str, env_id: str, dataset: Any) -> CollectPolicy:
    from .pushes import Pushes

    return Scripted(Pushes, lengths, _RELATIVE)


def _noisy_replay(lengths: Lengths, name: str, env_id: str, dataset: Any) -> CollectPolicy:
    from .noisy_replay import NoisyReplay, Recorded

    return Scripted(partial(NoisyReplay, recorded=Recorded.of(dataset)), lengths, _RELATIVE)


def _sb3(lengths: Lengths, name: str, kind: str, vecnormalize: Path | None) -> CollectPolicy:
    _, algorithm, path = (*name.split(":", 2), "", "")[:3]
    agent = load_policy(algorithm, path, vecnormalize=vecnormalize)
    space = agent.action_space  # Push-T's is from -1 to 1, or places in the field
    absolute = kind == "PushT" and isinstance(space, gym.spaces.Box) and bool((space.high > 1).all())
    return AgentPolicy(agent, lengths, {"action_mode": "absolute"} if absolute else {})


_MAKERS: dict[str, Callable[[Lengths, str, str, Any], CollectPolicy]] = {
    "random": _random,
    "door": _door,
    "waypoint": _waypoint,
    "pushes": _pushes,
    "noisy-replay": _noisy_replay,
}
