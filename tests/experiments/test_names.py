"""Short names of the environments."""

import re

import gymnasium as gym
import pytest
from naming import naming

import wmcontrol
from wmcontrol.experiments.errors import UsageError
from wmcontrol.experiments.names import SHORT_NAMES, env_id_of


@pytest.mark.parametrize(
    ("name", "env_id"),
    [
        ("wall", "wmcontrol/Wall-v0"),
        ("pusht", "wmcontrol/PushT-v0"),
        ("PushT", "wmcontrol/PushT-v0"),
        ("pointmaze", "wmcontrol/PointMaze_UMaze-v0"),
        ("pointmaze_large", "wmcontrol/PointMaze_Large-v0"),
        ("wmcontrol/Wall-v0", "wmcontrol/Wall-v0"),
        ("Pendulum-v1", "Pendulum-v1"),
        ("my_module:Mine-v0", "my_module:Mine-v0"),
    ],
)
def test_short_names_and_ids_are_understood(name: str, env_id: str) -> None:
    assert env_id_of(name) == env_id


def test_every_environment_has_a_short_name() -> None:
    assert set(SHORT_NAMES.values()) == set(wmcontrol.ENV_IDS)
    for env_id in SHORT_NAMES.values():
        gym.spec(env_id)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("wal", naming("'wal'", "'wall'")),
        ("moon", naming("'moon'", "pusht", "wall")),
        ("Pendulun-v1", naming("`Pendulun`", "`Pendulum`")),
        ("Pendulum-v99", "v99"),
        ("", "''"),
    ],
)
def test_an_unknown_environment_is_a_mistake_of_the_users(name: str, expected: str) -> None:
    with pytest.raises(UsageError) as caught:
        env_id_of(name)
    assert re.search(expected, str(caught.value))
