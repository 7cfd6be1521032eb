"""The physics of Push-T: a disc under position control pushes a T-shaped block, quasi-statically.

Constants are those of Diffusion Policy's environment, which gym-pusht and DINO-WM share (their ``_setup``,
``add_tee`` and ``step``): 100 Hz simulation, 10 Hz control, PD gains 100 and 20, frictionless contacts, and full
damping, so that the block stops when it is not pushed.
"""

from dataclasses import dataclass

import numpy as np
import pymunk
from numpy.typing import NDArray

FIELD = 512.0  # side of the field, pixels
DT = 0.01  # simulation step, s
SUBSTEPS = 10  # per control step
CONTROL_RATE = 10.0  # Hz
STIFFNESS, DAMPING = 100.0, 20.0  # of the position control: 1/s², 1/s
AGENT_RADIUS = 15.0
WALL_RADIUS = 2.0
# In the references' order, which decides in what order the engine resolves contacts.
_WALLS = (
    ((5.0, 506.0), (5.0, 5.0)),
    ((5.0, 5.0), (506.0, 5.0)),
    ((506.0, 5.0), (506.0, 506.0)),
    ((5.0, 506.0), (506.0, 506.0)),
)
FREE = (7.0, 504.0)  # between the inner faces of the walls
# The bar and the stem of the T in the block's own frame: left, top, right, bottom.
BAR = (-60.0, 0.0, 60.0, 30.0)
STEM = (-15.0, 30.0, 15.0, 120.0)
# The references take the mean of the two parts' centres, not weighted by area, and twice the bar's moment of
# inertia, not the sum of both parts'. Their data come from this block, so it is ours.
CENTER_OF_GRAVITY = (0.0, 45.0)


def _corners(box: tuple[float, float, float, float], scale: float) -> list[tuple[float, float]]:
    left, top, right, bottom = (scale * x for x in box)
    return [(left, bottom), (right, bottom), (right, top), (left, top)]


@dataclass(frozen=True)
class Build:
    """What a space is built of, apart from where things are."""

    agent_radius: float = AGENT_RADIUS
    block_scale: float = 1.0
    friction: float = 0.0


class PushTSpace:
    """One agent and one block in one pymunk space."""

    def __init__(self) -> None:
        self.build = Build()  # of the space from the next ``set_state`` on
        self._assemble()

    def set_state(self, state: NDArray[np.float64]) -> None:
        """Put the world into ``state``: agent x, y, block x, y, angle, agent velocity x, y.

        The seven numbers leave out the velocity that contacts give the block, which the engine keeps from one step
        to the next. It is computed anew here: on a fresh space the agent is set back by one simulation step of its
        velocity and stepped once, so that contacts are found and resolved exactly where the bodies are.
        """
        self._assemble()
        agent_x, agent_y, block_x, block_y, angle, velocity_x, velocity_y = map(float, state)
        # The angle first: setting it turns the block about its centre of gravity and so moves its origin.
        self._block.angle = angle
        self._block.position = (block_x, block_y)
        self._agent.velocity = (velocity_x, velocity_y)
        self._agent.position = (agent_x - velocity_x * DT, agent_y - velocity_y * DT)
        self._space.step(DT)
        self._agent.position = (agent_x, agent_y)

    def get_state(self) -> list[float]:
        """Return agent x, y, block x, y, angle in [0, 2π], agent velocity x, y."""
        angle = self._block.angle % (2 * np.pi)
        return [*self._agent.position, *self._block.position, angle, *self._agent.velocity]

    def __getstate__(self) -> tuple[list[float], Build]:
        # pymunk's own copy loses the block's centre of gravity.
        return self.get_state(), self.build

    def __setstate__(self, state: tuple[list[float], Build]) -> None:
        values, self.build = state
        self.set_state(np.array(values))

    @property
    def agent_position(self) -> tuple[float, float]:
        """Where the agent is, pixels."""
        x, y = self._agent.position
        return x, y

    def step(self, target_x: float, target_y: float) -> None:
        """Steer the agent towards a target for one control step."""
        agent, space = self._agent, self._space
        (x, y), (vx, vy) = agent.position, agent.velocity
        for _ in range(SUBSTEPS):
            vx += (STIFFNESS * (target_x - x) + DAMPING * (0 - vx)) * DT
            vy += (STIFFNESS * (target_y - y) + DAMPING * (0 - vy)) * DT
            agent.velocity = (vx, vy)
            space.step(DT)
            # What the engine does with a kinematic body; asking it costs more than computing it.
            x += vx * DT
            y += vy * DT

    def _assemble(self) -> None:
        build = self.build
        space = pymunk.Space()
        space.damping = 0.0
        walls = [pymunk.Segment(space.static_body, a, b, WALL_RADIUS) for a, b in _WALLS]
        agent = pymunk.Body(body_type=pymunk.Body.KINEMATIC)
        disc = pymunk.Circle(agent, build.agent_radius)
        bar, stem = _corners(BAR, build.block_scale), _corners(STEM, build.block_scale)
        block = pymunk.Body(1.0, 2 * pymunk.moment_for_poly(1.0, bar))
        parts = [pymunk.Poly(block, bar), pymunk.Poly(block, stem)]
        x, y = CENTER_OF_GRAVITY
        block.center_of_gravity = (build.block_scale * x, build.block_scale * y)
        shapes = [*walls, disc, *parts]
        for shape in shapes:
            shape.friction = build.friction
        space.add(*walls, agent, disc, block, *parts)
        # From pymunk 7 on bodies refer to their shapes weakly: the space must be kept, and keeps them.
        self._space, self._agent, self._block = space, agent, block
