"""What actions would really lead to: paths for pictures. Agents never see them.

Letters: ``K`` sequences of actions, ``L`` environment steps, ``q`` things that move, ``n`` numbers in a state.
"""

from collections.abc import Mapping
from contextlib import closing
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.making import make_vector

Floats = NDArray[np.float64]


def true_paths(
    env_id: str,
    settings: Mapping[str, Any],
    variation: Mapping[str, Floats],
    state: Floats,
    actions: NDArray[Any],
    size: int,
) -> Floats:
    """Return where things go in the true simulator, in pixels of frames.

    Args:
        env_id: the environment.
        settings: what it is made with.
        variation: how this world looks.
        state: (n,) where all begin.
        actions: (K, L, …), as the environment takes them.
        size: of the frames.

    Returns:
        (K, q, 1 + L, 2), column and row; q = 0 where the environment does not say where things are in its frames.
    """
    K = len(actions)
    with closing(make_vector(env_id, K, {**settings, "obs_type": "state"}, needs=("get_state", "set_state"))) as env:
        env.reset(seed=0, options={"variation": dict(variation)})
        if not K or not hasattr(env, "places") or not env.places(state[None], size).size:
            return np.zeros((K, 0, 1 + actions.shape[1], 2))
        env.set_state(np.repeat(state[None], K, 0))
        found = [env.places(env.get_state(), size)]
        for step in range(actions.shape[1]):
            env.step(actions[:, step].astype(env.single_action_space.dtype))
            found.append(env.places(env.get_state(), size))
    return np.stack(found, 2)
