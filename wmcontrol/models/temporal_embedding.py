"""Frames as points that lie the farther apart the longer one gets from one to the other: learned from time alone.

Letters: ``P`` patches of a frame, ``D`` numbers of a token, ``E`` numbers of an embedding, ``W`` the width of the
network, ``K`` frames that it keeps; ``…`` any axes.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from ..checks import check_whole

MOST = {"size": 2**12, "width": 2**13, "depth": 100, "num_frames": 2**18}  # that memory has room for
_AT_ONCE = 4096  # frames that are embedded together
_SOME = 1024  # frames whose neighbors are looked at together
_NEIGHBORS = 24  # of each frame that is kept
_KEPT = ("frames", "points", "neighbors")
_LAST = 8  # frames at least that lead to a goal at once


class TemporalEmbedding(nn.Module):
    """Says how unlikely it is to get from one frame to another within some time: a temporal distance.

    Each frame becomes a point, and the distance of two frames is the Euclidean one of their points, so that it is never
    negative, and no longer than over any frame between. Points are learned by contrast: which of many frames comes soon
    after this one (:func:`wmcontrol.training.fit_temporal_embedding`). A distance that is larger by ``x`` makes that
    ``e ** x`` times as unlikely. What looks alike and is hard to get to, such as a block turned by a third of a circle,
    is far; a number of steps it is not.

    Of far frames distances tell little: all are about as unlikely. So a way there is measured over frames of the
    training data that it keeps, from one to a near one. Behaviour wanders, which makes likelihoods fall with the square
    of how far it gets; the squares of near distances therefore add up along a way. A shortest way finds all frames that
    are taken for near by mistake, so from one frame that is kept to the next tokens count too: the square of a distance
    is the mean of that of the points and that of standardised tokens, which are first made as large on average.

    Source: contrastive reinforcement learning (Eysenbach et al., arXiv 2206.07568) with the energy of a metric (Myers
    et al., arXiv 2406.17098), here of frames alone, without actions and without a direction of time.

    Args:
        dim: D.
        num_patches: P.
        size: E.
        width: W.
        depth: layers of width W.
        num_frames: K, frames of the training data that subgoals are chosen from.

    Attributes:
        frames: tokens (K, P, D) of these.
        points: (K, E) their embeddings.
        neighbors: (K, 24) the numbers of those nearest to each, its own where there are no more.
    """

    mean: Tensor
    std: Tensor
    frames: Tensor
    points: Tensor
    neighbors: Tensor

    def __init__(
        self, dim: int, num_patches: int, *, size: int = 32, width: int = 512, depth: int = 3, num_frames: int = 0
    ):
        super().__init__()
        self._settings = {
            "dim": dim,
            "num_patches": num_patches,
            "size": size,
            "width": width,
            "depth": depth,
            "num_frames": num_frames,
        }
        for name, value in self._settings.items():
            check_whole(name, value, least=0 if name == "num_frames" else 1, most=MOST.get(name, math.inf))
        self.dim, self.num_patches = dim, num_patches
        self.register_buffer("mean", torch.zeros(dim, dtype=torch.float32))  # of the tokens that it was trained on
        self.register_buffer("std", torch.ones(dim, dtype=torch.float32))
        self.register_buffer("frames", torch.zeros(num_frames, num_patches, dim, dtype=torch.float32))
        self.register_buffer("points", torch.zeros(num_frames, size, dtype=torch.float32))
        self.register_buffer("neighbors", torch.zeros(num_frames, _NEIGHBORS, dtype=torch.int32))
        self._graph: coo_array | None = None  # of the frames, once it was asked for
        # Of many patches each is made small first, so that the next layer is no larger for them.
        code = dim if num_patches == 1 else max(1, width // num_patches)
        self.patches = nn.Identity() if num_patches == 1 else nn.Linear(dim, code, dtype=torch.float32)
        sizes = [code * num_patches] + [width] * depth
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [
                nn.Linear(before, after, dtype=torch.float32),
                nn.SiLU(),
                nn.LayerNorm(after, dtype=torch.float32),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(width, size, dtype=torch.float32))
        self.log_scale = nn.Parameter(torch.zeros((), dtype=torch.float32))

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make a network like this one."""
        return dict(self._settings)

    def check(self) -> None:
        """Refuse what no distances can be made of.

        Raises:
            ValueError: a tensor, which is named, has numbers that no embedding has.
        """
        if not self.log_scale.exp().isfinite():
            raise ValueError(
                f"temporal_embedding.log_scale must have a finite exponential, got {self.log_scale.item():g}"
            )
        if len(self.points) and (self.neighbors.min() < 0 or self.neighbors.max() >= len(self.points)):
            raise ValueError(
                f"temporal_embedding.neighbors must be numbers of frames, from 0 to {len(self.points) - 1}"
            )

    def embed(self, tokens: Tensor) -> Tensor:
        """Return the points (…, E) of frames (…, P, D), in float32.

        Raises:
            ValueError: another shape.
        """
        if tuple(tokens.shape[-2:]) != (self.num_patches, self.dim):
            raise ValueError(f"tokens must have shape (…, {self.num_patches}, {self.dim}), got {tuple(tokens.shape)}")
        patches = self.patches((tokens.to(self.std) - self.mean) / self.std)
        points: Tensor = self.layers(patches.flatten(-2)) * self.log_scale.exp()
        return points

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        """Return the distances (…) of frames (…, P, D) to goals (…, P, D), nats; their axes are broadcast."""
        distances: Tensor = torch.linalg.vector_norm(self.embed(tokens) - self.embed(goal), dim=-1)
        return distances

    def keep(self, frames: Tensor) -> "TemporalEmbedding":
        """Return a network like this one that keeps frames (K, P, D) to go over."""
        kept = type(self)(**{**self._settings, "num_frames": len(frames)}).to(self.std.device)
        weights = {name: value for name, value in self.state_dict().items() if name not in _KEPT}
        kept.load_state_dict(weights, strict=False)
        kept.frames.copy_(frames)
        with torch.no_grad():
            kept.points.copy_(torch.cat([kept.embed(part) for part in kept.frames.split(_AT_ONCE)]))
            count = min(_NEIGHBORS, len(frames))
            near = [
                torch.cdist(part, kept.points).topk(count, largest=False).indices for part in kept.points.split(_SOME)
            ]
        found = torch.cat(near)
        itself = torch.arange(len(frames), dtype=torch.int64, device=found.device)[:, None]
        kept.neighbors.copy_(torch.cat([found, itself.expand(-1, _NEIGHBORS - count)], 1))
        return kept

    @torch.no_grad()
    def ways_to(self, goal: Tensor, reach: float) -> Tensor:
        """Return how long the ways (K,) from all frames that it keeps to a goal (P, D) are, squared nats.

        Args:
            goal: its tokens.
            reach: how far one frame of a way is from the next at most, nats. The nearest to the goal lead there in any
                case. Where no way leads there, it counts as half as long again as the longest.
        """
        return self._ways(goal, reach)[0]

    @torch.no_grad()
    def subgoals(self, tokens: Tensor, ways: Tensor, count: int, reach: float) -> Tensor:
        """Return frames that it keeps on the way to goals: of those within reach, with the shortest ways.

        Args:
            tokens: (B, P, D) where one is.
            ways: (B, K) from :meth:`ways_to`.
            count: how many for each; all that it keeps, where they are no more.
            reach: distance up to which a frame is within reach, nats. Where too few are, those nearest come next.

        Returns:
            Their tokens (B, count, P, D).
        """
        there = torch.cdist(self.embed(tokens), self.points)
        order = torch.where(there <= reach, ways, ways.amax(1, keepdim=True) + there)
        chosen = order.topk(min(count, len(self.points)), largest=False).indices
        return self.frames[chosen]

    @torch.no_grad()
    def way(self, tokens: Tensor, goal: Tensor, reach: float, ways: Tensor | None = None) -> list[int]:
        """Return the numbers of the frames that it keeps on the shortest way from one frame (P, D) to another (P, D).

        The way is empty where the goal is within reach and nothing is nearer.

        Args:
            tokens: where it begins.
            goal: where it ends.
            reach: as of :meth:`ways_to`.
            ways: (K,) of :meth:`ways_to`, where some were made longer since; the first frame is chosen by them.
        """
        measured, following = self._ways(goal, reach)
        ways = measured if ways is None else ways
        there, straight = torch.cdist(self.embed(tokens)[None], self.points)[0], float(self(tokens, goal))
        lengths = torch.where(there <= max(reach, float(there.min())), there.square() + ways, torch.inf)
        first = int(lengths.argmin())
        if straight <= reach and straight**2 <= float(lengths[first]):
            return []
        found = [first]
        while 0 <= (after := int(following[found[-1]])) < len(following):
            found.append(after)
        return found

    def _ways(self, goal: Tensor, reach: float) -> tuple[Tensor, NDArray[np.int32]]:
        """Return how long the ways (K,) to a goal are, and the frame (K,) that comes next on each; K is the goal."""
        graph, K = self._connected(), len(self.points)
        last = torch.cdist(self.embed(goal)[None], self.points)[0]
        near = torch.where(last <= reach)[0]
        if len(near) < _LAST:
            near = last.topk(min(_LAST, K), largest=False).indices
        ends = near.cpu().numpy().astype(np.int32)
        steps = last[near].double().cpu().numpy()
        starts, others, lengths = graph.row, graph.col, graph.data
        within = lengths <= reach
        edges = coo_array(
            (
                np.concatenate([lengths[within], steps]).clip(1e-6) ** 2,  # what is 0 would be no edge
                (
                    np.concatenate([starts[within], np.full(len(ends), K, np.int32)]),
                    np.concatenate([others[within], ends]),
                ),
            ),
            shape=(K + 1, K + 1),
        )
        found, following = dijkstra(edges.tocsr(), directed=False, indices=K, return_predecessors=True)
        found, reached = found[:K], np.isfinite(found[:K])
        found = np.where(reached, found, 1.5 * found[reached].max())
        return torch.from_numpy(found).to(self.points), following[:K]

    def _connected(self) -> coo_array:
        """Return the distances between frames that are neighbors, by points and tokens, once for each two."""
        if self._graph is None:
            K = len(self.points)
            starts = torch.arange(K, dtype=torch.int64, device=self.points.device)[:, None].expand(-1, _NEIGHBORS)
            ends = self.neighbors.long()
            by_time = self._to_neighbors(self.points)
            by_tokens = self._to_neighbors(((self.frames - self.mean) / self.std).flatten(1))
            as_large = by_time.mean() / by_tokens.mean().clamp_min(torch.finfo(by_tokens.dtype).tiny)
            lengths = ((by_time + as_large * by_tokens) / 2).sqrt()
            low, high = torch.minimum(starts, ends), torch.maximum(starts, ends)
            pairs, first = np.unique((low * K + high).flatten().cpu().numpy(), return_index=True)
            apart = pairs // K != pairs % K
            numbers = lengths.flatten().double().cpu().numpy()[first][apart]
            places = ((pairs[apart] // K).astype(np.int32), (pairs[apart] % K).astype(np.int32))
            self._graph = coo_array((numbers, places), shape=(K, K))
        return self._graph

    def _to_neighbors(self, places: Tensor) -> Tensor:
        """Return the squared distances (K, 24) of each of places (K, N) to those of its neighbors."""
        parts = zip(places.split(_SOME), self.neighbors.split(_SOME), strict=True)
        return torch.cat([(places[near.long()] - part[:, None]).square().sum(-1) for part, near in parts])
