"""Events between solid things, which MuJoCo moves."""

from dataclasses import replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from .events import MARGIN, Stage
from .free_3d import patterns, shades, slab_3d, thrown, upright
from .looks import color
from .mujoco_scenes import simulate_3d
from .scene import Floats
from .solids import BODIES_3D, Scene3D, Solid

_SCREEN = -2.5  # y of screens
_THICK = 0.1  # half of a screen's and of an obstacle's least
_DEEP = 0.7  # half of an obstacle's sides along y
_BEHIND = 3.6  # y of what only distracts, which comes no nearer
_VIEW = np.deg2rad(45 / 2)  # MuJoCo's, from the middle to the upper edge
_LIGHT = np.array([0.0, 0.2, -1.0])  # shadows lie behind things: at one side of a screen they would show what it hides
_SHAPES = {"ball": (1.0,), "box": (0.85, 0.85, 0.85), "cylinder": (0.8, 0.85), "capsule": (0.6, 0.6)}


class SolidStage(Stage[Solid, Scene3D]):
    """The place of an event between solid things; arguments as of ``FlatStage``."""

    sliding = ("ball", "box")

    def __init__(self, rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float):
        super().__init__(rng, num_frames, frame_rate)
        self.y, self.direction = float(rng.choice([0.0, 1.5])), float(rng.choice([-1, 1]))
        zoom = (rng.uniform() < 0.5) * rng.uniform(-0.04, 0.04)
        distance, elevation = 9.2 * np.exp(zoom * (self.times - self.times.mean())), rng.uniform(-8.0, -5.0)
        self.camera = np.tile([0.0, 0.5, 1.9, 0.0, 90.0, elevation], (num_frames, 1))
        self.camera[:, 3] = distance
        down = np.deg2rad(elevation)
        self.eyes = self.camera[:, :3] - distance[:, None] * [0.0, np.cos(down), np.sin(down)]  # (T, 3)
        away = self.y - self.eyes[0, 1]
        self.side = float(aspect * np.tan(_VIEW) * away / np.cos(down))
        self.sky = float(self.eyes[0, 2] + 1.1 * np.tan(_VIEW + down) * away)
        self.wall, self.floor = patterns(rng)
        count = int(rng.integers(0, 3))
        self.others, starts = thrown(rng, aspect, count, (5.0, 7.5), [], np.empty((0, 7)), 1)
        self.moved = simulate_3d(self.others, starts, [], np.empty((0, 7)), num_frames, frame_rate, _BEHIND)
        self._instances = len(self.others)

    def body(self, kind: str | None = None, largest: float = 0.8) -> Solid:
        """Return a body, which does not bounce."""
        kind = kind or str(self.rng.choice(BODIES_3D))
        size = self.rng.uniform(0.5, largest) * np.array(_SHAPES[kind])
        looks = shades(self.rng, self.rng.uniform(0.65, 1.0), self.rng.uniform(0.7, 1.0))
        return Solid(kind, self.instance(), size, looks, friction=self.rng.uniform(0.2, 0.6))

    def obstacle(self, width: float, height: float) -> Solid:
        """Return what stands on the floor and does not move."""
        return slab_3d(self.rng, "obstacle", self.instance(), np.array([width / 2, _DEEP, height / 2]))

    def recolored(self, thing: Solid) -> tuple[Solid, Solid]:
        """Return a body in two colours."""
        hue, value = self.rng.uniform(), self.rng.uniform(0.75, 1.0)
        one, other = (
            replace(thing, colors=(color(h, 0.85, value), color(h, 0.85, 0.6 * value)))
            for h in (hue, hue + self.rng.uniform(0.3, 0.7))
        )
        return one, other

    def reshaped(self, thing: Solid) -> Solid:
        """Return another body of about that size and colour."""
        kind = str(self.rng.choice([kind for kind in BODIES_3D if kind != thing.kind]))
        scale = thing.size[0] / _SHAPES[thing.kind][0]
        return replace(thing, kind=kind, size=scale * np.array(_SHAPES[kind]))

    def placed(self, thing: Solid, x: float | Floats, height: float | Floats, angle: float | Floats = 0.0) -> Floats:
        """Return the poses (T, 7) of a thing whose middle is there."""
        return upright(x, self.y, height, _lying(thing) + angle, self.num_frames)

    def simulate(
        self, thing: Solid, x: float, height: float, speed: float, num_frames: int, against: tuple[Solid, float] | None
    ) -> Floats:
        """Return the poses (frames, 7) of a body that is let go, and may meet an obstacle that stands at some x."""
        obstacles = [] if against is None else [against[0]]
        places = [upright(at, self.y, each.lowest, 0.0, 1) for each, at in ([] if against is None else [against])]
        start = np.concatenate([upright(x, self.y, height, _lying(thing), 1)[0], [speed, 0, 0, 0, 0, 0]])
        stands = np.array(places).reshape(-1, 7)
        return simulate_3d([thing], start[None], obstacles, stands, num_frames, self.frame_rate)[:, 0]

    def screen(self, left: float, right: float, top: float, up: Floats) -> None:
        """Put a screen before what is between two x and below a height, and before its shadow."""
        deep = _DEEP + 0.15
        corners = np.array([*product((left - MARGIN, right + MARGIN), (-deep, deep), (0.0, top + MARGIN))])
        corners[:, 1] += self.y
        # What falls there may be higher than what is hidden, and then its shadow is farther away.
        shadows = corners - (corners[:, 2:] + 2.0) / _LIGHT[2] * _LIGHT
        shadows[:, 2] = 0.0
        hidden, eyes = np.concatenate([corners, shadows]), self.eyes[:, None]
        seen = eyes + (hidden - eyes) * (_SCREEN + _THICK - eyes[..., 1:2]) / (hidden - eyes)[..., 1:2]
        low, high = seen.min((0, 1)), seen.max((0, 1))
        size = np.array([(high[0] - low[0]) / 2, _THICK, high[2] / 2])
        thing = slab_3d(self.rng, "occluder", self.instance(), size)
        z = size[2] + 2.02 * size[2] * (up - 1)
        self.screens.append((thing, upright((low[0] + high[0]) / 2, _SCREEN, z, 0.0, self.num_frames)))

    def film(self, things: list[Solid], poses: Floats, visible: NDArray[np.bool_]) -> Scene3D:
        """Return a film of all things."""
        return Scene3D(tuple(things), poses, visible, self.camera, self.times, self.wall, self.floor, _LIGHT)


def _lying(thing: Solid) -> float:
    """Return how a thing is turned where it stands, radians."""
    return np.pi / 2 if thing.kind == "capsule" else 0.0
