"""Random pushes through Push-T's block. Points are complex numbers here: x + 1j * y, pixels."""

import cmath
from math import inf, pi

import numpy as np

from ...envs.pusht.physics import AGENT_RADIUS, BAR, CENTER_OF_GRAVITY, FIELD, STEM
from ..collecting import Script, View
from .common import Floats, lasting_noise

CLEAR = 105.0  # from the block's centre of gravity an agent passes it at this distance, pixels
_ON_CIRCLE = 0.6  # how far ahead on the circle around the block it heads, radians
_REACH = 100.0  # of a whole relative action, pixels
_BEGIN, _END = 22.0, 90.0  # pushes begin and end this far within the field, pixels
_BLOCK = 160.0  # and should leave the block this far within it
_BEYOND = (0.0, 80.0)  # how far beyond the point that it aims at a push goes, pixels
_SPEED = (0.2, 0.5)  # length of actions
_STALE = 40  # steps after which a push is given up
_TURNING = 0.5  # the share of pushes that must pass the centre of gravity at some distance, and so turn the block
_LEVER = 50.0  # that distance, pixels
_TRIES = 50
_PARTS = (BAR, STEM)
_BAR_SHARE = 4 / 7  # of the block's area


def around(agent: complex, place: complex, middle: complex) -> tuple[complex, bool]:
    """Return where to head for on a circle around the block, and whether the agent is on the side of ``place``."""
    left = cmath.phase((place - middle) * (agent - middle).conjugate())
    there = abs(left) < 0.1
    turn = cmath.phase(agent - middle) + min(max(left, -_ON_CIRCLE), _ON_CIRCLE)
    target = middle + cmath.rect(CLEAR, turn)
    low, high = AGENT_RADIUS, FIELD - AGENT_RADIUS
    return complex(min(max(target.real, low), high), min(max(target.imag, low), high)), there


def middle_of(x: float, y: float, angle: float) -> complex:
    """Return the centre of gravity of a block at this pose."""
    return complex(x, y) + complex(*CENTER_OF_GRAVITY) * cmath.rect(1, angle)


class Pushes(Script):
    """Push through the block, again and again, each time from somewhere else.

    A push aims at a random point of the block from a random direction: the agent goes around the block to where the
    push begins, clear of it, then straight through the point and on, as far as was drawn. Each push has a length and
    a speed of its own. Noise that lasts bends the ways a little, by a strength that is drawn for each episode.
    """

    def __init__(self, num_frames: int, rng: np.random.Generator):
        super().__init__(num_frames)
        self._rng = rng
        noise = rng.uniform(0, 0.1) * lasting_noise(rng, num_frames - 1, 2, 0.8)
        self._noise = iter(noise.view(np.complex128)[:, 0].tolist())
        self._begin = self._end = 0j
        self._speed, self._steps, self._way = 0.0, _STALE, "over"

    def act(self, view: View) -> Floats:
        """Go around the block, or push."""
        x, y, block_x, block_y, angle, *_ = view.state.tolist()
        agent, middle = complex(x, y), middle_of(block_x, block_y, angle)
        self._steps += 1
        if self._steps > _STALE or (self._way == "in" and abs(agent - self._end) < 5):
            self._choose(complex(block_x, block_y), angle, middle)
        target = self._end
        if self._way == "around":
            target, there = around(agent, self._begin, middle)
            if there:
                self._way, self._steps = "in", 0
        way = (target - agent) / _REACH
        # Slower over the last pixels, so that what is aimed at is not passed.
        action = way * min(1.0, self._speed / max(1e-9, abs(way))) + next(self._noise)
        return np.array([action.real, action.imag])

    def _choose(self, block: complex, angle: float, middle: complex) -> None:
        rng = self._rng
        lever = _LEVER if rng.random() < _TURNING else 0.0
        least = inf
        for _ in range(_TRIES):
            left, top, right, bottom = _PARTS[rng.random() > _BAR_SHARE]
            part = complex(rng.uniform(left, right), rng.uniform(top, bottom))
            arm = block + part * cmath.rect(1, angle) - middle
            direction = cmath.rect(1, rng.uniform(-pi, pi))
            beyond = rng.uniform(*_BEYOND)
            # Back from the aim to the circle around the block.
            along = (arm * direction.conjugate()).real
            begin = middle + arm - direction * (along + (along**2 - abs(arm) ** 2 + CLEAR**2) ** 0.5)
            end = middle + arm + direction * beyond
            wrong = _outside(begin, _BEGIN) + _outside(end, _END) + _outside(middle + direction * beyond, _BLOCK)
            wrong += max(0.0, lever - abs((arm * direction.conjugate()).imag))
            if wrong < least:
                least, self._begin, self._end = wrong, begin, end
            if least == 0:
                break
        self._speed, self._steps, self._way = rng.uniform(*_SPEED), 0, "around"


def _outside(place: complex, margin: float) -> float:
    """Return how far a place is from the field without its margin."""
    most = FIELD / 2 - margin
    return max(0.0, abs(place.real - FIELD / 2) - most) + max(0.0, abs(place.imag - FIELD / 2) - most)
