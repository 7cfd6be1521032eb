"""Frames that cover what a model was trained on, and how to get from one to another: a map for far goals.

Letters: ``L`` landmarks, ``E`` edges, ``P`` patches of a frame, ``D`` numbers of a token.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra
from torch import Tensor, nn

from ..checks import check_number, check_whole
from .steps_to_go import StepsToGo

MOST_LANDMARKS, MOST_EDGES = 2**14, 2**26  # of which memory has room for all pairs
HERE = 1.0  # model steps up to which a frame is about where another is
_LEAST = 0.5  # steps of an edge, so that a path of many short edges is not shorter than one of few long ones
MOST_FROM = 32  # edges from one landmark
Floats = NDArray[np.float64]


class Landmarks(nn.Module):
    """Tokens of frames, and edges between those of which one leads to the other within one plan.

    Args:
        dim: D.
        num_patches: P.
        num_landmarks: L.
        num_edges: E.
        reach: model steps that an edge is long at most.
    """

    tokens: Tensor  # (L, P, D)
    edges: Tensor  # (E, 2) from one landmark to another, int32
    steps: Tensor  # (E,) model steps that it is long

    def __init__(self, dim: int, num_patches: int, *, num_landmarks: int, num_edges: int, reach: float):
        super().__init__()
        check_whole("dim", dim)
        check_whole("num_patches", num_patches)
        check_whole("num_landmarks", num_landmarks, most=MOST_LANDMARKS)
        check_whole("num_edges", num_edges, least=0, most=MOST_EDGES)
        check_number("reach", reach, "(0, inf)")
        self.reach = float(reach)
        self.register_buffer("tokens", torch.zeros(num_landmarks, num_patches, dim, dtype=torch.float32))
        self.register_buffer("edges", torch.zeros(num_edges, 2, dtype=torch.int32))
        self.register_buffer("steps", torch.ones(num_edges, dtype=torch.float32))

    def extra_repr(self) -> str:
        """Return what its ``repr`` says."""
        return f"{len(self.tokens)} landmarks, {len(self.edges)} edges, reach={self.reach:g}"

    @staticmethod
    def connected(tokens: Tensor, steps_to_go: StepsToGo, reach: float) -> "Landmarks":
        """Return landmarks (L, P, D) with edges to others that are at most ``reach`` steps away, to 32 at most each.

        Of more they are some of all lengths: short ones lead through doors, long ones are few on a path. One that is
        taken for near by mistake is a tunnel that all paths lead through, so that landmarks around both must agree.
        """
        found = steps_to_go.between(tokens, tokens).fill_diagonal_(0.0)
        around = (found <= HERE).to(found)
        around /= around.sum(1, keepdim=True)
        found = torch.maximum(found, torch.maximum(around @ found, found @ around.T) - HERE)
        found.fill_diagonal_(torch.inf)
        ordered, ends = found.sort(1)
        counts = (ordered <= reach).sum(1, keepdim=True)
        kept = torch.arange(MOST_FROM, dtype=torch.int64, device=tokens.device)[None]
        places = torch.where(counts > MOST_FROM, (kept * (counts - 1)).float() / (MOST_FROM - 1), kept).round().long()
        starts = torch.arange(len(tokens), dtype=torch.int64, device=tokens.device)[:, None].expand_as(places)
        there = places < counts
        edges = torch.stack([starts[there], ends.gather(1, places.clamp(max=len(tokens) - 1))[there]], 1)
        L, P, D = tokens.shape
        landmarks = Landmarks(D, P, num_landmarks=L, num_edges=len(edges), reach=reach).to(tokens.device)
        landmarks.tokens.copy_(tokens)
        landmarks.edges.copy_(edges)
        landmarks.steps.copy_(found[edges[:, 0], edges[:, 1]])
        return landmarks

    def settings(self) -> dict[str, Any]:
        """Return the arguments that make landmarks of this size."""
        L, P, D = self.tokens.shape
        return {"dim": D, "num_patches": P, "num_landmarks": L, "num_edges": len(self.edges), "reach": self.reach}

    def check(self) -> None:
        """Refuse what no map can be made of.

        Raises:
            ValueError: a tensor, which is named, has numbers that no landmarks have.
        """
        if len(self.edges) and (self.edges.min() < 0 or self.edges.max() >= len(self.tokens)):
            raise ValueError(f"landmarks.edges must be numbers of landmarks, from 0 to {len(self.tokens) - 1}")
        if len((self.edges.long() @ self.edges.new_tensor([len(self.tokens), 1]).long()).unique()) < len(self.edges):
            raise ValueError("landmarks.edges: one is there twice")
        if (self.steps < 0).any():
            raise ValueError("landmarks.steps must be at least 0")

    def paths_to(self, last_steps: Floats, blocked: Iterable[tuple[int, int]] = ()) -> tuple[Floats, NDArray[np.int64]]:
        """Return the shortest paths from all landmarks to a goal, which counts as landmark number L.

        Args:
            last_steps: (L,) steps from each landmark to the goal; those over ``reach`` do not lead there at once.
            blocked: edges that are not to be used.

        Returns:
            Steps (L,) of each path, infinite where there is none; and the landmark (L,) that comes next on it, L where
            that is the goal, -1 where there is no path.
        """
        L = len(self.tokens)
        near = np.flatnonzero(last_steps <= self.reach)
        last = np.stack([near, np.full(len(near), L)], 1)
        edges = np.concatenate([self.edges.cpu().numpy().astype(np.int64), last])
        steps = np.concatenate([self.steps.double().cpu().numpy(), last_steps[near]]).clip(_LEAST)
        if closed := [start * (L + 1) + end for start, end in blocked]:
            free = ~np.isin(edges[:, 0] * (L + 1) + edges[:, 1], closed)
            edges, steps = edges[free], steps[free]
        starts, ends = edges.astype(np.int32).T  # older releases of SciPy find paths with such indices only
        backwards = csr_array((steps, (ends, starts)), shape=(L + 1, L + 1))
        distances, before = dijkstra(backwards, indices=L, return_predecessors=True)
        return distances[:L], np.maximum(before[:L], -1).astype(np.int64)

    def agreed(self, steps: Floats) -> Floats:
        """Return steps (…, L) to or from all landmarks, longer where those around one say that it is farther."""
        L, near = len(self.tokens), (self.steps <= HERE).cpu().numpy()
        starts, ends = self.edges.cpu().numpy()[near].T
        itself = np.arange(L)
        places = np.concatenate([starts, itself]), np.concatenate([ends, itself])
        around = csr_array((np.ones(len(places[0])), places), shape=(L, L))
        found: Floats = np.maximum(steps, (around @ steps.T).T / around.sum(1) - HERE)
        return found

    def around(self, landmark: int, steps: float) -> set[int]:
        """Return a landmark and those that are at most so many steps from it."""
        near = self.edges[(self.edges[:, 0] == landmark) & (self.steps <= steps), 1]
        return {landmark, *near.tolist()}


def farthest_points(tokens: Tensor, count: int) -> Tensor:
    """Return the numbers of frames that cover all, up to ``count``: each is the farthest from those chosen before it.

    Args:
        tokens: (F, P, D), each number in units in which it counts alike.
        count: how many; fewer where no more of them differ.
    """
    flat = tokens.flatten(1).float()
    chosen = [0]
    nearest = torch.full((len(flat),), torch.inf, dtype=torch.float32, device=flat.device)
    while len(chosen) < min(count, len(flat)):
        nearest = torch.minimum(nearest, (flat - flat[chosen[-1]]).square().sum(1))
        farthest = int(nearest.argmax())
        if nearest[farthest] == 0:
            break
        chosen.append(farthest)
    return torch.tensor(chosen, dtype=torch.int64, device=flat.device)
