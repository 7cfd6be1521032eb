"""Policies for collecting trajectories in our environments; each knows the state and the layout of one of them.

``num_frames`` is how many frames an episode has, or from how many to how many. Defaults are those of the references'
sets, 50 in Wall, 100 in PointMaze, 100 to 300 in Push-T, and 100 in an environment of somebody else.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import gymnasium as gym
import numpy as np

from ...checks import check_number
from ...envs import ENV_IDS
from ...envs.registration import bare_id, is_goal_env
from ..collecting import CollectPolicy, Length, Script, Scripted, agent_policy
from ..dataset import TrajectoryDataset
from .block_pushes import Pushes
from .common import Uniform
from .maze_waypoint import Waypoint
from .replay import NoisyReplay, Recorded
from .wall import Door, Drifting

__all__ = ["door", "from_agent", "noisy_replay", "pushes", "random", "waypoint"]

_LENGTHS: dict[str, Length] = {"PushT": (100, 300), "Wall": 50, "PointMaze": 100}
_FOREIGN = 100  # frames of an episode in an environment of somebody else
_HOLD = 5  # steps that a random action lasts there, on average: single ones mostly cancel out
_RELATIVE = {"action_mode": "relative"}


def random(env_id: str, *, num_frames: Length | None = None, hold: float | None = None) -> CollectPolicy:
    """Act at random: in Wall a walk that keeps its heading for a while, elsewhere uniformly within the bounds.

    Args:
        env_id: an environment with goals.
        num_frames: of an episode, or from how many to how many; None as in the references' sets. For example [100,300].
        hold: how many steps an action lasts, on average: actions that last get farther. None as in the references'
            sets, 1; in an environment of somebody else 5. For example 3.

    Raises:
        ValueError: another environment, fewer frames than 2, actions without bounds, or ``hold`` in Wall.
    """
    kind, lengths = _kind(env_id, "random"), _lengths(env_id, num_frames)
    if hold is not None:
        check_number("hold", hold, "[1, inf)")
    if kind == "Wall":
        if hold is not None:
            raise ValueError(
                f"hold: {env_id} has random walks of its own, whose headings last; leave it out, got {hold}"
            )
        return _scripted("random", Drifting, lengths)
    settings = _RELATIVE if kind == "PushT" else {}
    space, told = _action_space(env_id), {} if hold is None else {"hold": hold}
    hold = hold or (1 if kind else _HOLD)
    if isinstance(space, gym.spaces.Box) and not space.is_bounded():
        raise ValueError(
            f"random draws actions within their bounds, and those of {env_id} have none: {space}; collect with an "
            "agent or a policy of your own"
        )
    return _scripted("random", partial(Uniform, space=space, hold=hold), lengths, settings, told)


def door(env_id: str, *, num_frames: Length | None = None) -> CollectPolicy:
    """Go to random places in Wall, most of them through the door; see :class:`~.wall.Door`.

    Args:
        env_id: ``wmcontrol/Wall-v0``.
        num_frames: as of :func:`random`. For example 50.

    Raises:
        ValueError: as of :func:`random`.
    """
    _kind(env_id, "door", "Wall")
    return _scripted("door", Door, _lengths(env_id, num_frames))


def waypoint(env_id: str, *, num_frames: Length | None = None) -> CollectPolicy:
    """Go from cell to cell of a maze, as D4RL's controller; see :class:`~.maze_waypoint.Waypoint`.

    Args:
        env_id: one of PointMaze.
        num_frames: as of :func:`random`. For example 100.

    Raises:
        ValueError: as of :func:`random`.
    """
    _kind(env_id, "waypoint", "PointMaze")
    script = partial(Waypoint, maze=gym.spec(env_id).kwargs["maze"])
    return _scripted("waypoint", script, _lengths(env_id, num_frames))


def pushes(env_id: str, *, num_frames: Length | None = None) -> CollectPolicy:
    """Push the block of Push-T here and there; see :class:`~.block_pushes.Pushes`.

    Args:
        env_id: ``wmcontrol/PushT-v0``.
        num_frames: as of :func:`random`. For example [100,300].

    Raises:
        ValueError: as of :func:`random`.
    """
    _kind(env_id, "pushes", "PushT")
    return _scripted("pushes", Pushes, _lengths(env_id, num_frames), _RELATIVE)


def noisy_replay(env_id: str, demonstrations: TrajectoryDataset, *, num_frames: Length | None = None) -> CollectPolicy:
    """Replay demonstrations of Push-T with noise; see :class:`~.replay.NoisyReplay`.

    Args:
        env_id: ``wmcontrol/PushT-v0``.
        demonstrations: what is replayed.
        num_frames: as of :func:`random`. For example [100,300].

    Raises:
        ValueError: as of :func:`random`; or these are no demonstrations of Push-T.
    """
    _kind(env_id, "noisy_replay", "PushT")
    script = partial(NoisyReplay, recorded=Recorded.of(demonstrations))
    told = {"demonstrations": demonstrations.fingerprint()}
    return _scripted("noisy_replay", script, _lengths(env_id, num_frames), _RELATIVE, told)


def from_agent(env_id: str, agent: Any, *, num_frames: Length | None = None) -> CollectPolicy:
    """Let an agent act, such as one that :func:`~wmcontrol.agents.load_policy` loads.

    Args:
        env_id: one of our environments.
        agent: who acts.
        num_frames: as of :func:`random`. For example 50.

    Raises:
        ValueError: as of :func:`random`.
    """
    kind = _kind(env_id, "from_agent")
    space = getattr(agent, "action_space", None)  # Push-T's is from -1 to 1, or places in the field
    absolute = kind == "PushT" and isinstance(space, gym.spaces.Box) and bool((space.high > 1).all())
    return agent_policy(agent, _lengths(env_id, num_frames), {"action_mode": "absolute"} if absolute else {})


def _kind(env_id: str, policy: str, only: str | None = None) -> str:
    """Return which of our environments this is; nothing for one of somebody else, where the policy acts there too."""
    for kind in _LENGTHS:
        if env_id in ENV_IDS and env_id.startswith(f"wmcontrol/{kind}") and only in (None, kind):
            return kind
    name = bare_id(env_id)
    if only is None and is_goal_env(name):
        return ""
    if name not in gym.registry:
        raise ValueError(
            f"there is no environment {env_id}; ours are {', '.join(ENV_IDS)}, and one that register_goal_env "
            f"registers in a module of yours is module:{name}"
        )
    known = [known for known in ENV_IDS if known.startswith(f"wmcontrol/{only or ''}")]
    more = "" if only else ", and for environments that register_goal_env has registered"
    raise ValueError(
        f"{policy} is a policy for {', '.join(known)}{more}; not for {env_id!r}; record (wmcontrol record) takes any "
        "environment"
    )


def _scripted(
    name: str,
    make: Callable[[int, np.random.Generator], Script],
    num_frames: Length,
    settings: Mapping[str, Any] = MappingProxyType({}),
    told: Mapping[str, Any] = MappingProxyType({}),
) -> Scripted:
    """Return a policy whose name, length and ``told`` are recorded with the data."""
    return Scripted(make, num_frames, dict(settings), about={"name": name, "num_frames": num_frames, **told})


def _lengths(env_id: str, num_frames: Length | None) -> Length:
    usual = next((frames for kind, frames in _LENGTHS.items() if env_id.startswith(f"wmcontrol/{kind}")), _FOREIGN)
    return usual if num_frames is None else num_frames


def _action_space(env_id: str) -> gym.Space[Any]:
    env = gym.make(bare_id(env_id), obs_type="state")
    space = env.action_space
    env.close()
    return space
