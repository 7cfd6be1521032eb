"""Random numbers for candidates: from tables, and correlated in time where a planner wants that.

Drawing a number takes longer than all else that a planner does with it, and drawing for each row from its own generator
is a loop over rows. So standard normal numbers lie in a table, drawn once per process, and a row's generator says only
where in it to begin (the shared noise table of Salimans et al. 2017, arXiv 1703.03864, section 2.1). Reading them takes
a tenth of the time of drawing them. What did not work: combining few drawn vectors again and again, in each iteration
in another way. Candidates of one plan then lie in too few directions, and plans are up to ten times as far from the
optimum.
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

Distribution = Literal["normal", "uniform"]

_SIZE = 2**22  # 16 MiB of float32
_LARGEST = _SIZE // 64  # what is read in one piece; more is drawn
_BLOCK = 64  # places in the table that a generator is asked for at once


class NoiseSource:
    """Random numbers for B rows, those of a row depending on nothing but its generator and how often it was asked.

    Args:
        generators: one for each row, on any device.
        device: where the numbers go.
        dtype: of the numbers.
    """

    def __init__(self, generators: Sequence[torch.Generator], device: torch.device, dtype: torch.dtype):
        self._generators = generators
        self._device, self._dtype = device, dtype
        self._shares: list[list[float]] = [[] for _ in generators]  # of the table, where to begin

    def draw(
        self, shape: tuple[int, ...], distribution: Distribution, rows: Sequence[bool], beta: float = 0.0
    ) -> Tensor:
        """Return (B, *shape). Generators of rows that are False are not touched; these get what nobody may read.

        With ``beta`` over 0, the shape is (S, H, A), and the numbers are correlated as by :func:`coloured`.
        """
        count = torch.Size(shape).numel()
        if count > _LARGEST:
            drawn = torch.zeros(len(rows), count, device=self._device, dtype=self._dtype)
            for row, generator in enumerate(self._generators):
                if rows[row]:
                    numbers = torch.empty(count, device=generator.device, dtype=self._dtype)
                    drawn[row] = _fill(numbers, distribution, generator)
            return coloured(drawn.view(len(rows), *shape), beta) if beta else drawn.view(len(rows), *shape)
        table, unit = _table(distribution, self._device, self._dtype), 1
        if beta:
            table, unit = _coloured_table(*shape[1:], beta, self._device, self._dtype), math.prod(shape[1:])
        places = (len(table) - count) // unit + 1
        starts = [unit * int(self._next(row) * places) if wanted else 0 for row, wanted in enumerate(rows)]
        pieces = table.unfold(0, max(count, 1), 1)[:, :count]
        drawn = pieces.index_select(0, torch.tensor(starts, dtype=torch.int64, device=self._device))
        return drawn.view(len(rows), *shape)

    def _next(self, row: int) -> float:
        if not self._shares[row]:
            generator = self._generators[row]
            block = torch.rand(_BLOCK, generator=generator, device=generator.device, dtype=torch.float64)
            self._shares[row] = block.tolist()
        return self._shares[row].pop()


def _fill(numbers: Tensor, distribution: Distribution, generator: torch.Generator) -> Tensor:
    if distribution == "normal":
        return numbers.normal_(generator=generator)
    return numbers.uniform_(generator=generator)


@lru_cache(maxsize=8)
def _table(distribution: Distribution, device: torch.device, dtype: torch.dtype) -> Tensor:
    # glibc gives freed memory back to the system until it has seen a larger piece freed. Fetching it anew for each
    # batch of candidates took several times as long as all that is done with them. This piece is never touched.
    torch.empty(_SIZE, dtype=torch.float32, device="cpu")
    generator = torch.Generator().manual_seed(0)
    return _fill(torch.empty(_SIZE, dtype=torch.float32, device="cpu"), distribution, generator).to(device, dtype)


@lru_cache(maxsize=4)
def _coloured_table(horizon: int, action_dim: int, beta: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return a table of whole candidates, so that colouring them is done once and not in each iteration."""
    white = _table("normal", device, dtype)
    whole = len(white) // (horizon * action_dim) * horizon * action_dim
    return coloured(white[:whole].view(1, -1, horizon, action_dim), beta).flatten()


def coloured(noise: Tensor, beta: float) -> Tensor:
    """Correlate white noise (B, S, H, A) along H, so that its power falls with frequency as ``1 / f ** beta``.

    Every single number keeps variance 1. 0 is white, 1 pink, 2 red: the larger, the smoother (iCEM, arXiv 2008.06389,
    section 3.1; there the noise is drawn in the frequency domain, which is the same distribution).
    """
    B, S, H, A = noise.shape
    if beta == 0 or H == 1:
        return noise
    # Within torch.autocast too, noise has the type that candidates have.
    mixing = torch.kron(_filter(H, beta), torch.eye(A, dtype=torch.float32, device="cpu")).to(
        noise
    )  # over H and A at once, so that nothing is permuted
    with torch.autocast(noise.device.type, enabled=False):
        return (noise.view(B, S, H * A) @ mixing.T).view(B, S, H, A)


@lru_cache(maxsize=32)
def _filter(horizon: int, beta: float) -> Tensor:
    """Return the circular filter (H, H) with the amplitudes ``f ** (-beta / 2)``, its rows of norm 1."""
    frequencies = torch.fft.rfftfreq(horizon, dtype=torch.float64, device="cpu")
    amplitudes = frequencies.clamp_min(1 / horizon) ** (-beta / 2)  # the mean gets what the slowest wave has
    kernel = torch.fft.irfft(amplitudes, n=horizon)
    kernel = kernel / kernel.norm()
    return torch.stack([kernel.roll(step) for step in range(horizon)]).float()
