"""Actions of any space as vectors."""

import json

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete, MultiBinary, MultiDiscrete
from naming import naming

from wmcontrol.actions import LAYOUT, ActionLayout, draw_actions
from wmcontrol.untrusted.schema import Place

SPACES = [
    Box(-1, 1, (3,)),
    Box(-1, 1, (2, 3), np.float64),
    Box(-2, 1, ()),
    Discrete(4, start=-1),
    MultiDiscrete([3, 2], start=[5, -5]),
    MultiDiscrete([[3, 2], [2, 4]]),
    MultiBinary((2, 2)),
]


@pytest.mark.parametrize("space", SPACES, ids=str)
def test_actions_come_back_from_their_vectors(space: gym.Space) -> None:
    layout = ActionLayout.of(space)
    actions = draw_actions(space, 100, np.random.default_rng(0)).astype(space.dtype).reshape(20, 5, *space.shape)
    assert all(space.contains(action) for row in actions for action in row if np.ndim(action))
    vectors = layout.to_vectors(actions)
    assert vectors.shape == (20, 5, layout.size)
    low, high = layout.bounds(space)
    assert ((low <= vectors) & (vectors <= high)).all()
    np.testing.assert_array_equal(layout.to_actions(vectors), actions)
    described = json.loads(json.dumps(layout.as_json()))
    assert described is None or LAYOUT.check(described, Place("layout")) == described
    assert ActionLayout.from_json(described, layout.size) == layout
    assert len(np.unique(actions.reshape(100, -1), axis=0)) > 3


def test_choices_are_one_hot() -> None:
    layout = ActionLayout.of(MultiDiscrete([3, 2], start=[5, -5]))
    np.testing.assert_array_equal(layout.to_vectors([[7, -5], [5, -4]]), [[0, 0, 1, 1, 0], [1, 0, 0, 0, 1]])
    np.testing.assert_array_equal(layout.to_actions(np.array([0.2, 0.5, 0.3, 0.1, 0.9])), [6, -4])


def test_what_is_no_action_is_named() -> None:
    layout = ActionLayout.of(MultiDiscrete([3, 2], start=[5, 0]))
    for action, words in (([8, 0], ("number 0", 5, 7, 8)), ([5, -1], ("number 1", 1, -1)), ([5], ((2,), (1,)))):
        with pytest.raises(ValueError, match=naming(*words)):
            layout.to_vectors(action)
    with pytest.raises(ValueError, match=r"5\.5"):
        layout.to_vectors([5.5, 0])
    for given in (b"57", [b"5", b"0"], ["5", "0"], [None, 1]):
        with pytest.raises(ValueError, match="actions"):
            layout.to_vectors(given)
    with pytest.raises(ValueError, match=naming("actions", "numbers", "S1")):
        ActionLayout((2,)).to_vectors([[b"5", b"0"]])
    with pytest.raises(ValueError, match=naming(5, 4)):
        layout.to_actions(np.zeros(4))
    for shape in ((-1, -2), (0,), (2, 0)):
        with pytest.raises(ValueError, match=naming("one number", str(shape))):
            ActionLayout(shape)
    for described, size in (({"shape": [2], "choices": [3], "start": [0]}, 3), ({"shape": [2, 2]}, 3)):
        with pytest.raises(ValueError, match=r"shape|layout"):
            ActionLayout.from_json(described, size)
