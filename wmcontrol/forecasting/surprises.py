"""Surprise: how far what a predictor foresees is from what comes, in films of what can happen and of what cannot.

Source: arXiv 2507.19468, section 4.1, which follows Garrido et al., arXiv 2502.11831. Letters: ``N`` pairs of films,
``B`` windows at once, ``F`` frames of a window, ``P`` patches of a frame, ``D`` numbers of a token.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from ..checks import check_whole
from ..evaluation import Interval, wilson
from ..models import WorldModel
from .forecast_result import shown
from .forecasters import Forecaster, Window, encode_frames, forecaster_of, read_frames
from .metrics import auroc, relative_accuracy
from .protocols import SurpriseProtocol
from .records import Film, FilmPairs

Context = int | Literal["mean", "smallest"]
_RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class Surprise:
    """How much the films of pairs surprised a predictor.

    A context is one of the protocol's, or ``"mean"``: surprise is averaged over them; or ``"smallest"``: in every
    window the smallest counts, so that what is new for one context alone surprises less ("filtered" in Garrido et
    al.).

    Attributes:
        categories: (N) of the pairs.
        contexts: frames that are seen, ``"mean"`` and ``"smallest"``.
        mean: (N, 2, contexts) the mean surprise over windows of the possible and of the impossible film.
        most: (N, 2, contexts) the largest.
    """

    categories: tuple[str, ...]
    contexts: tuple[Context, ...]
    mean: NDArray[np.float64] = field(repr=False)
    most: NDArray[np.float64] = field(repr=False)

    def accuracy(self, category: str | None = None, context: Context = "mean") -> Interval:
        """Return the share of pairs whose possible film surprises less on average over its windows.

        The interval is Wilson's over pairs; of the mean over categories, which is what is returned without one, it is
        made of theirs (Zou and Donner 2008, "Construction of confidence limits about effect measures").
        """
        if category is not None:
            scores = self.mean[self._of(category), :, self.contexts.index(context)]
            count = len(scores)
            return wilson(round(relative_accuracy(scores[:, 0], scores[:, 1]) * count), count)
        each = [self.accuracy(name, context) for name in self.names]
        value = float(np.mean([found.value for found in each]))
        below, above = (
            float(np.sqrt(sum((found.value - getattr(found, end)) ** 2 for found in each)) / len(each))
            for end in ("low", "high")
        )
        return Interval(value, value - below, value + above)

    def auroc(self, category: str | None = None, context: Context = "mean") -> Interval:
        """Return how well the largest surprise of a film alone, without its pair, tells the impossible ones.

        Without a category it is the mean over categories. The interval is the bootstrap's over pairs; where a category
        has one pair alone, it is all from 0 to 1.
        """
        rng = np.random.default_rng(0)
        values, drawn = [], []
        for name in [category] if category is not None else self.names:
            scores = self.most[self._of(name), :, self.contexts.index(context)]
            values.append(auroc(scores[:, 0], scores[:, 1]))
            picked = rng.integers(len(scores), size=(_RESAMPLES, len(scores)))
            drawn.append(auroc(scores[picked, 0], scores[picked, 1]))
        alone = min(len(self._of(name)) for name in ([category] if category is not None else self.names)) == 1
        low, high = (0.0, 1.0) if alone else np.quantile(np.mean(drawn, 0), (0.025, 0.975))
        return Interval(float(np.mean(values)), float(low), float(high))

    @property
    def names(self) -> list[str]:
        """The categories, each once, in the order of the pairs."""
        return list(dict.fromkeys(self.categories))

    def table(self) -> str:
        """Return a table in Markdown: a row for each category, and their mean."""
        contexts = [f"context {context}" for context in self.contexts]
        head = ["category", "pairs", "relative accuracy, %", *contexts, "AUROC, %"]
        rows = []
        for name in [*self.names, None]:
            count = len(self.categories) if name is None else len(self._of(name))
            each = [f"{100 * self.accuracy(name, context).value:.1f}" for context in self.contexts]
            found, area = self.accuracy(name), self.auroc(name)
            rows.append([name or "mean", str(count), shown(found, 100), *each, shown(area, 100)])
        return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))

    def to_json(self) -> dict[str, Any]:
        """Return all numbers with their intervals, as JSON can write them."""
        return {
            "pairs": len(self.categories),
            "categories": [
                {
                    "category": name or "mean",
                    "relative_accuracy": {str(each): vars(self.accuracy(name, each)) for each in self.contexts},
                    "auroc": {str(each): vars(self.auroc(name, each)) for each in self.contexts},
                }
                for name in [*self.names, None]
            ],
        }

    def _of(self, category: str) -> NDArray[np.int64]:
        found = np.flatnonzero(np.array(self.categories) == category)
        if not len(found):
            raise ValueError(f"category: expected one of {self.names}, got {category!r}")
        return found


def surprise(
    model: WorldModel | Forecaster,
    pairs: FilmPairs,
    *,
    protocol: SurpriseProtocol | None = None,
    batch: int = 16,
    progress: Callable[[int, int], None] | None = None,
) -> Surprise:
    """Measure how much films surprise a predictor: the mean absolute error of the tokens that it foresees.

    All frames that windows have are encoded once.

    Args:
        model: without actions; or another :class:`Forecaster`, such as a baseline.
        pairs: of films.
        protocol: windows, and how many of their frames are seen; by default that of the pairs.
        batch: windows at once.
        progress: called with the pairs done, and of how many.

    Raises:
        ValueError: a model with actions, no pairs, or a film that is shorter than a window.
        OSError: a film cannot be read.
    """
    check_whole("batch", batch)
    forecaster = forecaster_of(model)
    protocol = pairs.protocol if protocol is None else protocol
    if not len(pairs):
        raise ValueError(f"pairs: expected one or more, got none of {pairs.settings()}")
    categories, means, most = [], [], []
    for index in range(len(pairs)):
        pair = pairs[index]
        windows = [window_surprise(forecaster, film, protocol, batch) for film in (pair.possible, pair.impossible)]
        each = [
            np.concatenate([found, found.mean(1, keepdims=True), found.min(1, keepdims=True)], 1) for found in windows
        ]
        categories.append(pair.category)
        means.append([found.mean(0) for found in each])
        most.append([found.max(0) for found in each])
        if progress is not None:
            progress(index + 1, len(pairs))
    contexts: tuple[Context, ...] = (*protocol.contexts, "mean", "smallest")
    return Surprise(tuple(categories), contexts, np.array(means), np.array(most))


def window_surprise(
    forecaster: Forecaster, film: Film, protocol: SurpriseProtocol, batch: int = 16
) -> NDArray[np.float64]:
    """Return the surprise of every window of a film, (windows, contexts), in the order of both.

    Raises:
        ValueError: the film is shorter than a window; it is named.
        OSError: it cannot be read.
    """
    clock = np.asarray(film.times, np.float64)
    numbers = np.arange(0, len(clock), protocol.frame_step)
    F = protocol.window
    if len(numbers) < F:
        raise ValueError(
            f"{film.name}: it has {len(clock)} frames, {len(numbers)} of which are {protocol.frame_step} apart; a "
            f"window has {F}"
        )
    size = np.asarray(film.frames[[0]]).shape[1:3]
    grid = forecaster.encoder.grid(int(size[0]), int(size[1]))
    whole = partial(torch.unsqueeze, dim=1)  # one tile
    tokens = encode_frames(forecaster, film.frames, numbers, whole, batch)  # (frames, 1, P, D)
    starts = np.arange(0, len(numbers) - F + 1, protocol.stride)
    found = np.empty((len(starts), len(protocol.contexts)))
    for begin in range(0, len(starts), batch):
        rows = starts[begin : begin + batch, None] + np.arange(F)  # (B, F)
        read = partial(read_frames, film.frames, numbers[rows])
        times = clock[numbers[rows]]
        window = Window(tokens[torch.from_numpy(rows).to(tokens.device)], times, grid, read, whole)
        for column, C in enumerate(protocol.contexts):
            asked = [times[:, C:]] if protocol.way == "rollout" else [times[:, i : i + 1] for i in range(C, F)]
            foreseen = torch.cat(forecaster.foresee(window.first(C), asked), 1)
            errors = (foreseen.double() - forecaster.targets(window, C).double()).abs()  # (B, F - C, 1, P, D)
            found[begin : begin + batch, column] = errors.flatten(1).mean(1).cpu().numpy()
    return found
