"""What a policy expects of an environment, compared with what the environment is, and what the policy is shown of it.

Policies say what they expect by the attributes that Stable-Baselines3's have (``action_space``, ``observation_space``,
the environment that they learn in, its ``VecNormalize``) or by those of our agents (``action_bounds``,
``control_rate``, ``frame_size``). What a policy does not say is not compared.
"""

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from ..actions import ActionLayout

# Wrappers of Stable-Baselines3's vector environments that leave numbers as they are, or whose work is done here.
_VEC_WRAPPERS = ("VecCheckNan", "VecMonitor", "VecNormalize", "VecTransposeImage", "VecVideoRecorder")


def check_fits(policy: Any, env: Any) -> None:
    """Refuse a policy that was made for other observations, other actions or another rate of them.

    Args:
        policy: whatever has ``predict``.
        env: a vector environment of ours, which draws frames of the side ``image_size(policy)``.

    Raises:
        ValueError: it says what differs.
    """
    _check_wrappers(policy)
    _check_rate(policy, env.control_rate)
    _check_actions(policy, env.single_action_space)
    _check_observations(policy, env.single_observation_space)


def image_size(policy: Any) -> int | None:
    """Return the side of the frames that a policy looks at; None if it does not say.

    Raises:
        ValueError: they are not square.
    """
    size, spaces = getattr(policy, "frame_size", None), _spaces(policy)
    space = spaces.get("pixels", spaces.get("goal_pixels"))
    if size is None and space is not None:
        size = space.shape[1:] if _colours_first(space) else space.shape[:2]
    if size is None:
        return None
    if size[0] != size[1]:
        raise ValueError(f"environments draw square frames; this agent looks at {size[0]} by {size[1]}")
    return int(size[0])


def shown_to(policy: Any, observation: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a batch of observations as the policy was trained on them.

    They are the keys of its ``observation_space`` (all of them if it has none), colours first where they are so there,
    and normalised with its ``VecNormalize``, whose statistics stay as they are.
    """
    spaces = _spaces(policy)
    if not spaces:
        return dict(observation)
    shown = {key: _laid_out(observation[key], space) for key, space in spaces.items()}
    statistics = _normalization(policy)
    if statistics is None:
        return shown
    normalized: Mapping[str, Any] = statistics.normalize_obs(shown)
    return normalized


def _spaces(policy: Any) -> Mapping[str, Any]:
    """Return what a policy looks at, by key; nothing if it does not say."""
    space = getattr(policy, "observation_space", None)
    return space.spaces if isinstance(space, gym.spaces.Dict) else {}


def _normalization(policy: Any) -> Any:
    """Return the ``VecNormalize`` that changes a policy's observations, or None."""
    statistics = getattr(policy, "get_vec_normalize_env", lambda: None)()
    return statistics if statistics is not None and statistics.norm_obs else None


def _trained_in(policy: Any) -> Any:
    """Return the vector environment that a policy of Stable-Baselines3 learns in, or None."""
    return getattr(policy, "get_env", lambda: None)()


def _check_wrappers(policy: Any) -> None:
    """Refuse a policy whose environment changes actions or observations on the way, in a way that is unknown here."""
    env = layer = _trained_in(policy)
    unknown = []
    while layer is not None:
        if hasattr(layer, "venv") and type(layer).__name__ not in _VEC_WRAPPERS:
            unknown.append(type(layer).__name__)
        layer = layer.__dict__.get("venv")
    if not unknown and env is not None and _asked(lambda: any(env.env_is_wrapped(gym.ActionWrapper))):
        unknown = ["a gymnasium.ActionWrapper"]
    if unknown:
        raise ValueError(
            f"the policy was trained behind {unknown[0]}, which is not there when it is judged or collected with; give "
            "an agent whose predict does what the wrapper did, or train without it"
        )


def _asked(question: Any) -> Any:
    """Return the answer of a policy's environment, or None where it has none or is closed."""
    try:
        return question()
    except (AttributeError, EOFError, OSError):
        return None


def _check_rate(policy: Any, expected: float) -> None:
    rate, env = getattr(policy, "control_rate", None), _trained_in(policy)
    if rate is None and env is not None:
        rate = (_asked(lambda: env.get_attr("control_rate", 0)) or [None])[0]
    if rate is not None and not np.isclose(rate, expected):
        raise ValueError(f"the agent acts at {rate:g} Hz, the environment at {expected:g} Hz")


def _check_actions(policy: Any, expected: gym.Space[Any]) -> None:
    bounds, space = getattr(policy, "action_bounds", None), getattr(policy, "action_space", None)
    layout, asked_layout = getattr(policy, "action_layout", None), ActionLayout.of(expected)
    if bounds is None:
        if space is None:
            return
        if type(space) is not type(expected):
            raise ValueError(f"the agent's actions are {space}, the environment's {expected}")
        layout = ActionLayout.of(space)
        bounds = layout.bounds(space)
    if layout is not None and layout.choices != asked_layout.choices:
        raise ValueError(f"the agent's actions are {space or layout}, the environment's {expected}")
    least, most = asked_layout.bounds(expected)
    low, high = (np.asarray(bound) for bound in bounds)
    for name, own, asked in (("low", low, least), ("high", high, most)):
        same = own.shape == asked.shape and (layout is None or layout == asked_layout)
        if same:
            # Where the agent holds a number, or the environment has no bound, the agent's may lie inside.
            free = (low == high) | (np.abs(asked) >= np.finfo(np.float32).max)
            inside = (least <= own) & (own <= most)
            same = bool((np.isclose(own, asked) | (free & inside)).all())
        if not same:
            raise ValueError(
                f"the agent's actions have the {name}est values {own.tolist()}, the environment's "
                f"{asked.tolist()}; make the environment with the settings of the agent's training, such as action_mode"
            )


def _check_observations(policy: Any, expected: gym.spaces.Dict) -> None:
    space = getattr(policy, "observation_space", None)
    if space is None:
        return
    if not isinstance(space, gym.spaces.Dict):
        raise ValueError(
            f"the agent looks at {space}; the environment shows a Dict with {sorted(expected.spaces)}, of which it may "
            'look at any; Stable-Baselines3 trains on such with its "MultiInputPolicy"'
        )
    own = _spaces(policy)
    missing = sorted(set(own) - set(expected.spaces))
    if missing:
        raise ValueError(f"the agent looks at {missing}, and the environment shows {sorted(expected.spaces)}")
    statistics = _normalization(policy)
    for key, looked_at in own.items():
        shown: Any = expected[key]
        if looked_at.shape != _laid_out(shown.low, looked_at).shape:
            raise ValueError(
                f"the agent looks at {key} of shape {looked_at.shape}, the environment shows {shown.shape}"
            )
        if statistics is not None and key in statistics.obs_rms and shown.dtype == np.uint8:
            continue  # VecNormalize writes over the bounds of images
        for name, bound, asked in (("low", looked_at.low, shown.low), ("high", looked_at.high, shown.high)):
            expected_bound = _laid_out(asked, looked_at)
            differs = ~np.isclose(bound, expected_bound)
            if differs.any():
                raise ValueError(
                    f"the agent looks at {key} with {name}est values such as {bound[differs][0]:g}, where the "
                    f"environment has {expected_bound[differs][0]:g}; was the agent trained behind a wrapper, or in an "
                    "environment with other settings?"
                )


def _colours_first(space: gym.Space[Any]) -> bool:
    shape = space.shape or ()
    return len(shape) == 3 and shape[0] == 3 != shape[-1]


def _laid_out(value: NDArray[Any], space: gym.Space[Any]) -> NDArray[Any]:
    """Return frames (…, height, width, 3), or what is one for each of their numbers, with colours first if so there."""
    return np.moveaxis(value, -1, -3) if _colours_first(space) else value
