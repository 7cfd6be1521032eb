"""Random numbers for candidates: their distribution, and whom they depend on."""

import math

import pytest
import torch
from torch import Tensor

from wmcontrol.planners.noise import NoiseSource, coloured

CPU = torch.device("cpu")


def source(*seeds: int, dtype: torch.dtype = torch.float32) -> NoiseSource:
    return NoiseSource([torch.Generator().manual_seed(seed) for seed in seeds], CPU, dtype)


def draws(seed: int, times: int, shape: tuple[int, ...] = (300, 5, 10)) -> Tensor:
    one = source(seed)
    return torch.stack([one.draw(shape, "normal", [True])[0] for _ in range(times)])


@pytest.mark.parametrize("shape", [(300, 5, 10), (30, 1, 2), (6000, 10, 10)])
def test_noise_is_standard_normal(shape: tuple[int, ...]) -> None:
    """By the Kolmogorov-Smirnov distance, at a level of about one in a million."""
    numbers = draws(1, max(1, 60_000 // math.prod(shape)), shape).flatten().double().sort().values
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


def test_uniform_numbers_are_uniform() -> None:
    numbers = source(4).draw((60_000,), "uniform", [True])[0].sort().values
    assert numbers.min() >= 0
    assert numbers.max() <= 1
    assert (numbers - torch.arange(60_000) / 60_000).abs().max() < 2.7 / math.sqrt(60_000)


@pytest.mark.parametrize("count", [100, 2**19])
def test_a_row_depends_on_its_generator_alone(count: int) -> None:
    together, alone = source(1, 2, 3), source(2)
    for rows in ([True, True, True], [False, True, True], [True, True, False]):
        assert torch.equal(together.draw((count,), "normal", rows)[1], alone.draw((count,), "normal", [True])[0])


def test_rows_that_rest_do_not_touch_their_generators() -> None:
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    before = generators[0].get_state()
    noise = NoiseSource(generators, CPU, torch.float32)
    for count in (100, 2**19):
        noise.draw((count,), "normal", [False, True])
    assert torch.equal(generators[0].get_state(), before)


def test_what_is_drawn_may_be_written_to() -> None:
    first = source(5).draw((10, 2, 2), "normal", [True])
    expected = first.clone()
    first.zero_()
    assert torch.equal(source(5).draw((10, 2, 2), "normal", [True]), expected)


def test_coloured_noise_keeps_its_variance_and_falls_with_frequency() -> None:
    white = torch.randn(1, 20_000, 8, 2, generator=torch.Generator().manual_seed(0))
    for beta in (1.0, 2.0):
        noise = coloured(white, beta)
        torch.testing.assert_close(noise.var((0, 1)), torch.ones(8, 2), rtol=0.05, atol=0)
        power = torch.fft.rfft(noise, dim=2).abs().square().mean((0, 1, 3))
        slopes = power[1:].log().diff() / torch.arange(1.0, 5).log().diff()
        torch.testing.assert_close(slopes, torch.full((3,), -beta), rtol=0, atol=0.15)
    assert torch.equal(coloured(white, 0.0), white)
    assert torch.equal(coloured(white[:, :, :1], 2.0), white[:, :, :1])
