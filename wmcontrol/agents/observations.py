"""Reading observations: of one environment or of a batch, checked before anything is planned.

Letters: ``B`` environments, ``n`` numbers in a state.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .state import Observation


def read(
    observation: Any, frame_size: tuple[int, int], *, with_goal: bool = True, with_state: bool = False
) -> tuple[list[Observation], bool]:
    """Split an observation into what each environment shows.

    Args:
        observation: a dict with ``pixels`` and ``goal_pixels``, (height, width, 3) or (B, height, width, 3), uint8;
            other keys are not looked at. Colours may stand first, as Stable-Baselines3's ``VecTransposeImage`` puts
            them.
        frame_size: height and width that the model was trained on.
        with_goal: whether ``goal_pixels`` are needed; if not, they are not looked at.
        with_state: whether ``state``, (n,) or (B, n), and ``variation``, by name, are needed too.

    Returns:
        One observation for each environment, and whether it is a batch.

    Raises:
        TypeError: no dict, or pixels that are not uint8.
        ValueError: a missing key, or a wrong shape.
    """
    check_dict(observation)
    pixels = _image(observation, "pixels", frame_size)
    goals = _image(observation, "goal_pixels", frame_size) if with_goal else np.zeros_like(pixels)[..., :0, :0, :]
    if with_goal and pixels.shape != goals.shape:
        raise ValueError(f"pixels and goal_pixels must have one shape, got {pixels.shape} and {goals.shape}")
    batched = pixels.ndim == 4
    if not batched:
        pixels, goals = pixels[None], goals[None]
    if not len(pixels):
        raise ValueError("the observation is a batch of no environments")
    # Copies, since an environment may write its next observation into the same memory.
    frames = [(p.copy(), g.copy()) for p, g in zip(pixels, goals, strict=True)]
    if not with_state:
        return [Observation(*pair) for pair in frames], batched
    if "state" not in observation:
        raise ValueError(
            'the simulator as a model needs the true state: add "state" to the observation, env.get_state(), and '
            '"variation" where the environment varies, env.variation'
        )
    states = _numbers("state", observation["state"], len(frames), batched)
    values = {
        name: _numbers(f'variation "{name}"', value, len(frames), batched)
        for name, value in observation.get("variation", {}).items()
    }
    worlds = [(states[i], {name: value[i] for name, value in values.items()}) for i in range(len(frames))]
    return [Observation(*pair, *world) for pair, world in zip(frames, worlds, strict=True)], batched


def check_dict(observation: Any) -> None:
    """Refuse observations that are not dicts; say what is wrong with the usual suspect."""
    if isinstance(observation, tuple) and len(observation) == 2 and isinstance(observation[1], Mapping):
        raise TypeError("got a tuple of an observation and infos, as reset() returns it; give the observation alone")
    if not isinstance(observation, Mapping):
        raise TypeError(f"the observation must be a dict, got {type(observation).__name__}")


def batch_size(observation: Any) -> tuple[int, bool]:
    """Return of how many environments an observation of ours is, and whether it is a batch.

    Raises:
        TypeError: no dict.
        ValueError: it has none of our keys.
    """
    check_dict(observation)
    for keys, ndim in ((("pixels", "goal_pixels"), 3), (("observation", "achieved_goal", "desired_goal"), 1)):
        for key in keys:
            if key in observation:
                batched = np.ndim(observation[key]) == ndim + 1
                return (len(observation[key]) if batched else 1), batched
    raise ValueError(f'expected a key such as "pixels" or "observation", got {sorted(observation)}')


def read_starts(episode_start: Any, rows: int) -> list[bool]:
    """Return which environments start an episode, as the caller says; None: none of them."""
    if episode_start is None:
        return [False] * rows
    starts = np.atleast_1d(np.asarray(episode_start))
    if starts.shape != (rows,):
        raise ValueError(f"episode_start must have shape ({rows},), one for each environment, got {starts.shape}")
    return [bool(start) for start in starts]


def _image(observation: Mapping[str, Any], key: str, frame_size: tuple[int, int]) -> NDArray[np.uint8]:
    if key not in observation:
        raise ValueError(
            f'the observation has no "{key}", only {sorted(observation)}; make the environment with '
            'obs_type="pixels_state" or "pixels", or add the key'
        )
    image = np.asarray(observation[key])
    if image.dtype != np.uint8:
        raise TypeError(f"{key} must be uint8, 0 to 255, got {image.dtype}")
    last, first = (*frame_size, 3), (3, *frame_size)
    if image.ndim in (3, 4) and image.shape[-3:] == last:
        return image
    if image.ndim in (3, 4) and image.shape[-3:] == first:
        return np.moveaxis(image, -3, -1)
    height, width = frame_size
    raise ValueError(
        f"{key} must have shape ({height}, {width}, 3) or (B, {height}, {width}, 3), as the model was trained; got "
        f"{image.shape}. Environments of ours take image_size={height}"
    )


def _numbers(name: str, value: Any, rows: int, batched: bool) -> NDArray[np.float64]:
    """Return a copy of numbers (n,) of one environment, or (B, n), as (B, n)."""
    found = np.array(value, np.float64)
    if found.ndim != 1 + batched or (batched and len(found) != rows):
        raise ValueError(f"{name} must have shape {f'({rows}, n)' if batched else '(n,)'}, got {found.shape}")
    return found if batched else found[None]
