"""Video files whose frames tell their own number, written with PyAV from explicit times."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

MILLISECONDS = Fraction(1, 1000)


def picture(number: int, height: int = 48, width: int = 64) -> np.ndarray:
    """Eight bars, white where the number has a 1, least bit on the left: survives any codec."""
    bits = np.array([number >> bit & 1 for bit in range(8)], dtype=np.uint8) * 255
    return np.broadcast_to(np.repeat(bits, width // 8)[None, :, None], (height, width, 3)).copy()


def numbers(frames: np.ndarray) -> list[int]:
    """The numbers that frames show, read off the middle of each bar."""
    height, width = frames.shape[1:3]
    middles = frames[:, height // 2, width // 16 :: width // 8].mean(-1) > 128
    return (middles << np.arange(8)).sum(1).tolist()


def write_video(
    path: Path,
    pts: Sequence[int],
    *,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    time_base: Fraction = MILLISECONDS,
    frames: Sequence[np.ndarray] | None = None,
    codec_options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
) -> Path:
    """Write frame i, by default a picture of the number i, at ``pts[i]``."""
    frames = [picture(i) for i in range(len(pts))] if frames is None else frames
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=30, options=codec_options or {})
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pix_fmt
        stream.time_base = stream.codec_context.time_base = time_base
        if rotation:
            stream.set_display_rotation(rotation)
        for time, pixels in zip(pts, frames, strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = int(time), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
