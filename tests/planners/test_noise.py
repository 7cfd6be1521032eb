"""Random numbers for candidates: their distribution, and whom they depend on."""

import math

import pytest
import torch
from torch import Tensor

from wmcontrol.planners import Search
from wmcontrol.planners.search import coloured


def search(*seeds: int, shape: tuple[int, int] = (5, 10), low: float = -1.0, high: float = 1.0) -> Search:
    bounds = (torch.full(shape[1:], low), torch.full(shape[1:], high))
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return Search(lambda actions: actions.sum((2, 3)), torch.zeros(len(seeds), *shape), *bounds, generators)


def draws(seed: int, times: int, num_samples: int = 300, shape: tuple[int, int] = (5, 10)) -> Tensor:
    one = search(seed, shape=shape)
    return torch.stack([one.normal(num_samples)[0] for _ in range(times)])


@pytest.mark.parametrize(("num_samples", "shape"), [(300, (5, 10)), (30, (1, 2)), (6000, (10, 10))])
def test_noise_is_standard_normal(num_samples: int, shape: tuple[int, int]) -> None:
    """By the Kolmogorov-Smirnov distance, at a level of about one in a million."""
    times = max(1, 60_000 // (num_samples * math.prod(shape)))
    numbers = draws(1, times, num_samples, shape).flatten().double().sort().values
    n = len(numbers)
    expected = torch.special.ndtr(numbers)
    distance = (expected - torch.arange(n) / n).abs().max()
    assert distance < 2.7 / math.sqrt(n)


def test_noise_of_different_iterations_and_rows_is_uncorrelated() -> None:
    drawn = torch.cat([draws(1, 20), draws(2, 20)]).flatten(1)  # 40 iterations of 15,000 numbers
    correlation = torch.corrcoef(drawn) - torch.eye(40)
    assert correlation.abs().max() < 6 / math.sqrt(drawn.shape[1])
    candidates = torch.corrcoef(draws(3, 1)[0].flatten(1)) - torch.eye(300)
    assert candidates.abs().max() < 6 / math.sqrt(50)


def test_no_number_of_a_plan_is_drawn_twice() -> None:
    # 30 iterations of 300 candidates of 50 numbers, as CEM draws. Of 24 bits some fall together by chance.
    numbers = draws(6, 30).double().flatten()
    assert len(numbers.unique()) > 0.98 * len(numbers)


def test_uniform_numbers_are_uniform_between_the_bounds() -> None:
    numbers = search(4, shape=(1, 1), low=-2.0, high=6.0).uniform(60_000).flatten().sort().values
    assert numbers.min() >= -2
    assert numbers.max() <= 6
    assert ((numbers + 2) / 8 - torch.arange(60_000) / 60_000).abs().max() < 2.7 / math.sqrt(60_000)


@pytest.mark.parametrize("beta", [0.0, 2.0])
@pytest.mark.parametrize("num_samples", [2, 10_000])
def test_a_row_depends_on_its_generator_alone(num_samples: int, beta: float) -> None:
    together, alone = search(1, 2, 3), search(2)
    for active in ([True, True, True], [False, True, True], [True, True, False]):
        together.active = active
        assert torch.equal(together.normal(num_samples, beta)[1], alone.normal(num_samples, beta)[0])
        assert torch.equal(together.uniform(num_samples)[1], alone.uniform(num_samples)[0])


def test_rows_that_rest_do_not_touch_their_generators() -> None:
    both = search(1, 2)
    before = both._generators[0].get_state()
    both.finish(torch.tensor([True, False]))
    both.normal(100)
    both.uniform(100)
    assert torch.equal(both._generators[0].get_state(), before)


def test_coloured_noise_keeps_its_variance_and_falls_with_frequency() -> None:
    white = torch.randn(20_000, 8, 2, generator=torch.Generator().manual_seed(0))
    for beta in (1.0, 2.0):
        noise = coloured(white, beta)
        torch.testing.assert_close(noise.var(0), torch.ones(8, 2), rtol=0.05, atol=0)
        power = torch.fft.rfft(noise, dim=1).abs().square().mean((0, 2))
        slopes = power[1:].log().diff() / torch.arange(1.0, 5).log().diff()
        torch.testing.assert_close(slopes, torch.full((3,), -beta), rtol=0, atol=0.15)
    assert torch.equal(coloured(white, 0.0), white)
    assert torch.equal(coloured(white[:, :1], 2.0), white[:, :1])
