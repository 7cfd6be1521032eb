"""What a predictor remembers of the frames before the one that it predicts.

Frames never attend to one another, so that the keys and values of a frame, in every block, depend on that frame alone.
Keeping them is exact. Those of frames that candidates share are kept once, whatever the number of candidates.

Letters: ``B`` environments, ``S`` candidates, ``N`` tokens of shared frames, ``M`` tokens of a candidate's own frames,
``h`` heads, ``d`` numbers per head, ``L`` blocks.
"""

from dataclasses import dataclass, field, replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from ..checks import check_whole

KeysValues = tuple[Tensor, Tensor]


@dataclass(frozen=True, eq=False)
class Context:
    """Keys and values of the frames so far, per block. Made by ``Predictor.context``, extended by ``Predictor.step``.

    Attributes:
        shared: L pairs (B, h, N, d): frames that all candidates share.
        own: L pairs (B * S, h, M, d): frames of each candidate, or None before there are any.
        origin: (B,) seconds; times are counted from here.
        last_time: (B,) seconds, of the newest frame.
        grid: rows and columns of patches.
        num_candidates: S, or None where there are no candidates and new frames are shared ones.
        version: of the predictor that it was computed with, see :class:`Versioned`; None where nobody says.
        rollouts: what fast rollouts from it share, see :mod:`.fast`; none of another context's.
    """

    shared: tuple[KeysValues, ...]
    own: tuple[KeysValues, ...] | None
    origin: Tensor
    last_time: Tensor
    grid: tuple[int, int]
    num_candidates: int | None = None
    version: tuple[object, ...] | None = None
    rollouts: list[Any] = field(init=False, default_factory=list)

    def expand(self, num_candidates: int) -> "Context":
        """Let ``num_candidates`` futures per environment begin here. Nothing is copied."""
        if self.num_candidates is not None:
            raise ValueError(f"this context already has {self.num_candidates} candidates; expand the one before it")
        check_whole("num_candidates", num_candidates)
        return replace(self, num_candidates=num_candidates)

    def extended(self, new: tuple[KeysValues, ...], time: Tensor) -> "Context":
        """Add one frame at ``time`` (B,): its keys and values per block, (B, h, P, d) or (B * S, h, P, d)."""
        if self.num_candidates is None:
            return replace(self, shared=_joined(self.shared, new), last_time=time)
        own = new if self.own is None else _joined(self.own, new)
        return replace(self, own=own, last_time=time)


def _joined(old: tuple[KeysValues, ...], new: tuple[KeysValues, ...]) -> tuple[KeysValues, ...]:
    return tuple(
        (torch.cat([k, new_k], 2), torch.cat([v, new_v], 2)) for (k, v), (new_k, new_v) in zip(old, new, strict=True)
    )


class Versioned(nn.Module):
    """A module that notices when its weights may have changed.

    That is when its mode changes, as for training, and when weights are loaded, moved or converted. What is written
    into a parameter without any of that is not noticed.
    """

    def __init__(self) -> None:
        super().__init__()
        self._marker = object()

    @property
    def version(self) -> tuple[object, ...]:
        """Another one after a change of these weights, or of those of parts that notice too."""
        return (self._marker, *(part.version for part in self.children() if isinstance(part, Versioned)))

    def train(self, mode: bool = True) -> Self:
        """Set the mode, as any module does."""
        if mode != self.training:
            self._marker = object()
        return super().train(mode)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self._marker = object()
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._marker = object()
        super()._load_from_state_dict(*args, **kwargs)
