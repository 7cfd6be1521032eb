"""The order of training."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming

from wmcontrol.data.windows import Shuffled


@given(count=st.integers(1, 40), share=st.integers(1, 9), world=st.integers(1, 4), seed=st.integers(0, 99))
@settings(max_examples=80, deadline=None)
def test_each_number_comes_once_per_round_whatever_the_number_of_processes(
    count: int, share: int, world: int, seed: int
) -> None:
    size = share * world
    steps = -(-3 * count // size)
    alone = Shuffled(count, size, seed=seed)
    row = np.concatenate([alone.batch(step) for step in range(steps)])
    for epoch in range(3):
        assert sorted(row[epoch * count : (epoch + 1) * count].tolist()) == list(range(count))
    ranks = [Shuffled(count, size, seed=seed, rank=rank, world_size=world) for rank in range(world)]
    together = np.concatenate([part.batch(step) for step in range(steps) for part in ranks])
    assert np.array_equal(together, row)


def test_any_step_can_be_had_at_once_and_orders_differ() -> None:
    first = Shuffled(1000, 64, seed=1)
    later = Shuffled(1000, 64, seed=1).batch(100)
    for step in range(101):
        last = first.batch(step)
    assert np.array_equal(last, later)
    assert not np.array_equal(Shuffled(1000, 64, seed=2).batch(0), first.batch(0))
    assert not np.array_equal(Shuffled(64, 64, seed=1).batch(0), Shuffled(64, 64, seed=1).batch(1))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"count": 0}, naming("count", 0)),
        ({"batch_size": 2.0}, naming("batch_size", 2.0)),
        ({"seed": -1}, naming("seed", -1)),
        ({"rank": 2, "world_size": 2}, naming("rank", 1, 2)),
        ({"batch_size": 9, "world_size": 2}, naming(2, 9)),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Shuffled(**{"count": 10, "batch_size": 4, "seed": 0} | arguments)
