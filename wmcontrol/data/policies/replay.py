"""Demonstrations of Push-T, replayed with noise. Points are complex numbers here: x + 1j * y, pixels."""

import cmath
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...envs.pusht.physics import CENTER_OF_GRAVITY, FIELD
from ..collecting import Script, View
from ..dataset import TrajectoryDataset
from .common import Floats, lasting_noise

_CENTER = 255.5 * (1 + 1j)  # between the walls
_REACH = 100.0  # of a whole relative action, pixels
_NOISE = (2.0, 30.0)  # of targets, standard deviation, pixels
_CORRELATION = 0.8
_PIECE = (25, 100)  # steps of a demonstration that are replayed in a row
_LEAST = 40  # what must be left of a demonstration: before its end people aim more than they push
_CANDIDATES = 128
_AHEAD = np.arange(0, 60, 10)  # steps at which a candidate is checked for staying within the field
_AGENT_MARGIN, _BLOCK_MARGIN = 20.0, 60.0

Complex = NDArray[np.complex128]


@dataclass(frozen=True)
class Recorded:
    """All steps of all demonstrations, one after the other, (M,)."""

    agent: Complex
    block: Complex
    turn: Complex  # of the block: exp(1j * angle)
    target: Complex  # that the agent was sent to
    last: NDArray[np.int64]  # the last step of the demonstration that a step belongs to
    firsts: NDArray[np.int64]  # the steps that enough are left after to begin with

    @staticmethod
    def of(dataset: TrajectoryDataset) -> "Recorded":
        """Read demonstrations that have states and actions; absolute targets in pixels, or relative actions.

        Raises:
            ValueError: there are no states or actions, they are not Push-T's, or all demonstrations are too short.
        """
        states: list[Floats] = []
        actions: list[Floats] = []
        last: list[NDArray[np.int64]] = []
        begin = 0
        for index in range(len(dataset)):
            demonstration = dataset.trajectory(index)
            if demonstration.states is None or demonstration.actions is None:
                raise ValueError(f"{demonstration.provenance}: a replay needs its states and its actions")
            if demonstration.states.shape[1] < 5 or demonstration.actions.shape[1:] != (2,):
                raise ValueError(
                    f"{demonstration.provenance}: expected states of Push-T (T, 5 or 7) and actions (T - 1, 2), got "
                    f"{demonstration.states.shape} and {demonstration.actions.shape}"
                )
            states.append(demonstration.states[:-1, :5])
            actions.append(demonstration.actions)
            begin += len(demonstration.actions)
            last.append(np.full(len(demonstration.actions), begin - 1))
        state, action = np.concatenate(states), np.concatenate(actions)
        ends = np.concatenate(last)
        firsts = np.flatnonzero(ends - np.arange(len(ends)) >= _LEAST)
        if not len(firsts):
            raise ValueError(f"no demonstration has more than {_LEAST} actions to replay")
        agent = _points(state[:, :2])
        # Relative actions are at most 1; targets in pixels are more.
        target = _points(action) if np.abs(action).max() > 2 else agent + _REACH * _points(action)
        return Recorded(agent, _points(state[:, 2:4]), np.exp(1j * state[:, 4]), target, ends, firsts)


def _points(values: Floats) -> Complex:
    return np.asarray(values[:, 0] + 1j * values[:, 1])


@dataclass(frozen=True)
class _Piece:
    """Some steps of a demonstration, moved rigidly (and perhaps mirrored) to where the block stands now."""

    first: int
    mirrored: bool
    block: complex  # where the block is when the piece begins
    turn: complex

    def moved(self, recorded: Recorded, points: Any) -> Any:
        """Move points of the demonstration."""
        local = (points - recorded.block[self.first]) / recorded.turn[self.first]
        return self.block + self.turn * (-np.conj(local) if self.mirrored else local)


class NoisyReplay(Script):
    """Replay the recorded actions of demonstrations with noise, as DINO-WM's set was made.

    An episode starts as a random demonstration did at a random step of it, in one of the eight symmetries of the
    square field: Push-T's physics has them all, since the block is its own mirror image (a demonstration turned or
    mirrored this way ends within 0.001 pixels of where the original does). The agent is sent where the human sent it,
    plus noise that lasts for some steps and whose strength is drawn for each episode. After 25 to 100 steps, or when
    the demonstration ends, the episode goes on with a piece of another in which the agent stood to the block much as
    it does now, turned and moved to where the block is and, where that helps, mirrored. Pieces that would leave the
    field are avoided.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator, recorded: Recorded):
        self._recorded, self._rng = recorded, rng
        noise = rng.uniform(*_NOISE) * lasting_noise(rng, num_frames - 1, 2, _CORRELATION)
        self._noise = iter(_points(noise).tolist())
        first, mirrored = int(rng.choice(recorded.firsts)), bool(rng.random() < 0.5)
        quarter = 1j ** int(rng.integers(4))
        block, turn = recorded.block[first] - _CENTER, recorded.turn[first]
        if mirrored:  # left and right: the block's own axis, which points down at angle 0, too
            block, turn = -block.conjugate(), turn.conjugate()
        self._start(_Piece(first, mirrored, complex(_CENTER + quarter * block), complex(quarter * turn)))
        agent = self._piece.moved(recorded, recorded.agent[first])
        angle = cmath.phase(self._piece.turn) % (2 * pi)
        pose = [agent.real, agent.imag, self._piece.block.real, self._piece.block.imag, angle]
        super().__init__(num_frames, {"state": pose})

    def act(self, view: View) -> Floats:
        """Head for the next target of this piece, or for the first of another."""
        x, y, block_x, block_y, angle, *_ = view.state.tolist()
        agent = complex(x, y)
        if not self._targets:
            self._start(self._like_now(agent, complex(block_x, block_y), cmath.rect(1, angle)))
        action = (self._targets.pop() + next(self._noise) - agent) / _REACH
        return np.array([action.real, action.imag])

    def _start(self, piece: _Piece) -> None:
        end = min(piece.first + int(self._rng.integers(*_PIECE)), int(self._recorded.last[piece.first]) + 1)
        self._piece = piece
        self._targets = piece.moved(self._recorded, self._recorded.target[piece.first : end])[::-1].tolist()

    def _like_now(self, agent: complex, block: complex, turn: complex) -> _Piece:
        """Choose among random pieces that in which the agent stands to the block as it does now, within the field."""
        recorded, rng = self._recorded, self._rng
        firsts = rng.choice(recorded.firsts, _CANDIDATES)
        mirrored = rng.random(_CANDIDATES) < 0.5
        ahead = np.minimum(firsts[:, None] + _AHEAD, recorded.last[firsts][:, None])  # (candidates, times)

        def moved(points: Complex) -> Complex:
            local = (points - recorded.block[firsts][:, None]) / recorded.turn[firsts][:, None]
            return np.asarray(block + turn * np.where(mirrored[:, None], -np.conj(local), local))

        agents = moved(recorded.agent[ahead])
        middles = moved(recorded.block[ahead] + complex(*CENTER_OF_GRAVITY) * recorded.turn[ahead])
        outside = _outside(agents, _AGENT_MARGIN) + _outside(middles, _BLOCK_MARGIN)
        best = int((np.abs(agents[:, 0] - agent) + outside.max(1)).argmin())
        return _Piece(int(firsts[best]), bool(mirrored[best]), block, turn)


def _outside(points: Complex, margin: float) -> Floats:
    """Return how far points are from the field without its margin."""
    x, y = (np.maximum(np.abs(c - FIELD / 2) - (FIELD / 2 - margin), 0) for c in (points.real, points.imag))
    return np.asarray(x + y)
