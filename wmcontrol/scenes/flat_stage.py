"""Events between flat things, which pymunk moves."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .events import MARGIN, Stage
from .free import EYE, FOCAL, free_bodies, half_width
from .looks import BODIES, backdrop, body, color, outline, slab
from .physics import simulate
from .scene import LANES, Floats, Scene, Thing, disc

_SCREEN = 10.0  # depth of screens


class FlatStage(Stage[Thing, Scene]):
    """The place of an event between flat things.

    Args:
        rng: all randomness.
        num_frames: T.
        frame_rate: frames per second.
        aspect: width of a frame over its height.
    """

    sliding = ("disc", "box")

    def __init__(self, rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float):
        super().__init__(rng, num_frames, frame_rate)
        self.depth = float(rng.choice(LANES[:2]))
        self.side, self.sky = half_width(self.depth, aspect), EYE + 0.6 * self.depth / FOCAL
        self.direction = float(rng.choice([-1, 1]))
        zoom = (rng.uniform() < 0.5) * rng.uniform(-0.04, 0.04)
        focal = FOCAL * np.exp(zoom * (self.times - self.times.mean()))
        self.camera = np.stack([np.zeros(num_frames), np.full(num_frames, EYE), focal], -1)
        self.backdrop = backdrop(rng)
        count = int(rng.integers(0, 3))
        # Behind all else, so that they hide nothing.
        self.others, starts = free_bodies(rng, aspect, count, LANES[2:], [], np.empty((0, 3)), 1)
        self.moved = simulate(self.others, starts, [], np.empty((0, 3)), num_frames, frame_rate)
        self._instances = len(self.others)

    def body(self, kind: str | None = None, largest: float = 0.8) -> Thing:
        """Return a body, which does not bounce."""
        return replace(body(self.rng, self.instance(), self.depth, kind, largest), elasticity=0.0)

    def obstacle(self, width: float, height: float) -> Thing:
        """Return what stands on the floor and does not move."""
        return slab(self.rng, "obstacle", self.instance(), self.depth, width, height)

    def recolored(self, thing: Thing) -> tuple[Thing, Thing]:
        """Return a body in two colours."""
        hue, value = self.rng.uniform(), self.rng.uniform(0.75, 1.0)
        one, other = (
            replace(thing, color=color(h, 0.85, value), mark_color=color(h, 0.85, 0.55 * value))
            for h in (hue, hue + self.rng.uniform(0.3, 0.7))
        )
        return one, other

    def reshaped(self, thing: Thing) -> Thing:
        """Return another body of about that size and colour."""
        kind = str(self.rng.choice([kind for kind in BODIES if kind != thing.kind]))
        size = thing.radius if thing.corners is None else float(np.abs(thing.corners).max())
        corners = outline(kind, size)
        return replace(
            thing,
            kind=kind,
            corners=corners,
            radius=size if corners is None else float(np.linalg.norm(corners, axis=1).max()),
            mark=disc(size) if corners is None else 0.45 * corners + 0.2 * corners[:1],
        )

    def placed(self, thing: Thing, x: float | Floats, height: float | Floats, angle: float | Floats = 0.0) -> Floats:
        """Return the poses (T, 3) of a thing whose middle is there."""
        poses = np.empty((self.num_frames, 3))
        poses[:, 0], poses[:, 1], poses[:, 2] = x, height, angle
        return poses

    def simulate(
        self, thing: Thing, x: float, height: float, speed: float, num_frames: int, against: tuple[Thing, float] | None
    ) -> Floats:
        """Return the poses (frames, 3) of a body that is let go, and may meet an obstacle that stands at some x."""
        obstacles = [] if against is None else [against[0]]
        places = np.array([[] if against is None else [against[1], against[0].lowest, 0.0]]).reshape(-1, 3)
        start = np.array([[x, height, 0.0, speed, 0.0, 0.0]])
        return simulate([thing], start, obstacles, places, num_frames, self.frame_rate)[:, 0]

    def screen(self, left: float, right: float, top: float, up: Floats) -> None:
        """Put a screen before what is between two x and below a height."""
        nearer = _SCREEN / self.depth
        width = (right - left + 2 * MARGIN) * nearer
        low = EYE - 0.8 * _SCREEN / FOCAL  # below the frame
        high = EYE + (top + MARGIN - EYE) * nearer
        thing = slab(self.rng, "occluder", self.instance(), _SCREEN, width, high - low)
        middle = (low + high) / 2 - (1 - up) * (high - low)
        self.screens.append((thing, self.placed(thing, (left + right) / 2 * nearer, middle)))

    def film(self, things: list[Thing], poses: Floats, visible: NDArray[np.bool_]) -> Scene:
        """Return a film of all things."""
        return Scene(tuple(things), poses, visible, self.camera, self.times, self.backdrop)
