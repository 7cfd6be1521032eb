"""Protocols: which frames are seen, and what is asked of those that follow."""

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from ..checks import check_fields, check_whole, choice, whole
from .tiles import checked_sides

Way = Literal["rollout", "direct"]


class Case(NamedTuple):
    """One way to forecast.

    Attributes:
        name: of it.
        distance: frames from the last that is seen to the one that is forecast.
        calls: of the predictor. 1 is direct prediction; more are a rollout in steps of equal time, in which what was
            predicted is seen as a frame by the calls that follow.
    """

    name: str
    distance: int
    calls: int


@dataclass(frozen=True, kw_only=True)
class ForecastProtocol:
    """Which frames are seen, and which forecast; defaults are the paper's for Cityscapes and VSPW, without tiles.

    Args:
        context_frames: that the predictor sees. For example 4.
        step: frames from one of them to the next, and of a step of a rollout. For example 3.
        short: steps from the last frame that is seen to the one that is forecast, directly if 1. For example 1.
        mid: as short, for the second horizon. For example 3.
        target: frames that there must be in a video before the one that is forecast. For example 19.
        windows_per_video: frames to forecast of a video, evenly spread; by default all that have labels. For example 5.
        tile: height and width of what is encoded at once, pixels, where frames are larger; by default frames are
            encoded whole. For example 448,448.
        tile_stride: from one tile to the next, pixels. For example 300.
    """

    context_frames: int = whole(4)
    step: int = whole(3)
    short: int = whole(1)
    mid: int = whole(3)
    target: int = whole(19)
    windows_per_video: int | None = whole(None)
    tile: tuple[int, int] | None = None
    tile_stride: int = whole(300)

    def __post_init__(self) -> None:
        check_fields(self)
        object.__setattr__(self, "tile", checked_sides("tile", self.tile))

    def context_of(self, target: int, distance: int) -> list[int]:
        """Return the frames that are seen before a target whose distance to the last of them is given."""
        last = target - distance
        return [last - self.step * k for k in range(self.context_frames - 1, -1, -1)]

    def cases(self) -> list[Case]:
        """Return the horizons of the protocol: rollouts in its steps."""
        return [Case(name, self.step * steps, steps) for name, steps in (("short", self.short), ("mid", self.mid))]


@dataclass(frozen=True, kw_only=True)
class SurpriseProtocol:
    """Which windows of a film surprise is measured in; the defaults are the paper's for IntPhys.

    Args:
        window: frames of a window. For example 16.
        frame_step: frames of the film from one of them to the next. For example 2.
        contexts: how many of them are seen before the rest is foreseen, each tried. For example 2,4,6,8,10.
        stride: frames of the window's step from one window to the next. For example 2.
        way: rollout, each frame from those foreseen before it too; or direct, each from those seen alone. For example
            direct.
    """

    window: int = whole(16, least=2)
    frame_step: int = whole(2)
    contexts: tuple[int, ...] = (2, 4, 6, 8, 10)
    stride: int = whole(2)
    way: str = choice("rollout", Way)

    def __post_init__(self) -> None:
        check_fields(self)
        given: Any = self.contexts
        if not isinstance(given, list | tuple) or not given:
            raise ValueError(f"contexts must be one or more numbers of frames, got {given!r}")
        for count in given:
            check_whole("contexts", count)
            if count >= self.window:
                raise ValueError(f"contexts: expected fewer frames than a window has, {self.window}; got {count}")
        object.__setattr__(self, "contexts", tuple(given))  # YAML has lists
