"""When each frame of a video is shown, exactly, and where decoding can begin."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from .containers import declared_size, overclaim
from .trajectory import Floats

# Pixels that a frame may have: in any file, and for each byte of a larger one. Eight black frames of 3840 by 2160
# have 1,650 to a byte; a few damaged bits of a small file claim frames of hundreds of megabytes.
_ANY_FRAME, _PIXELS_PER_BYTE = 2**24, 2**12
_ATTACHED_PICTURE = 0x400  # a cover, not a film: AV_DISPOSITION_ATTACHED_PIC


@dataclass(frozen=True)
class VideoIndex:
    """The frames of one video in the order in which they are shown; times are counted in ``time_base`` seconds."""

    pts: NDArray[np.int64]  # (T,) rising
    keyframes: NDArray[np.int64]  # pts of the frames that decode by themselves, rising, some perhaps not shown
    time_base: Fraction
    identity: tuple[str, int, int, int]  # path, inode, bytes, time of change: which state of which file

    @staticmethod
    def of(path: Path) -> "VideoIndex":
        """Read it from the packets: nothing is decoded, 1,200 frames take about 3 ms.

        Raises:
            FileNotFoundError: no such file.
            ValueError: not a video, cut short, damaged, or without a time for each frame; it names the file.
        """
        container, stream = open_video(path)
        stat, time_base = path.stat(), stream.time_base
        try:
            packets, flaw = _packets(container, stream)
        finally:
            container.close()
        missing = declared_size(path) - stat.st_size
        if missing > 0:
            flaw = f"{missing} bytes are missing at its end"
        if flaw:
            raise ValueError(f"{path}: cut short or damaged after frame {max(0, len(packets) - 1)}: {flaw}")
        if any(pts is None for pts, _, _ in packets):
            raise ValueError(f"{path}: some frames have no time; write it again as Matroska or MP4")
        table = np.array(packets, dtype=np.int64).reshape(-1, 3)
        pts = np.sort(table[table[:, 2] == 0, 0])
        if not len(pts):
            raise ValueError(f"{path}: there is not a single frame in it")
        if (np.diff(pts) <= 0).any():
            frame = int((np.diff(pts) <= 0).argmax())
            raise ValueError(f"{path}: frames {frame} and {frame + 1} have the same time; write it again")
        keyframes = np.unique(table[table[:, 1] == 1, 0])
        identity = (str(path), stat.st_ino, stat.st_size, stat.st_mtime_ns)
        return VideoIndex(pts, keyframes, time_base, identity)

    @property
    def times(self) -> Floats:
        """When each frame is shown, (T,) seconds, as the container has it: the first need not be 0."""
        return self.pts * self.time_base.numerator / np.float64(self.time_base.denominator)


def open_video(path: Path) -> tuple[Any, Any]:
    """Open a video file for one thread; returns PyAV's container and stream of frames.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a video that can be decoded.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such video file")
    if flaw := overclaim(path):
        raise ValueError(f"{path}: not a video, or damaged: {flaw}")
    most = max(_ANY_FRAME, _PIXELS_PER_BYTE * path.stat().st_size)
    options = {"max_pixels": str(most)}  # decoders': sizes may stand in frames, too
    try:
        # Titles and such are not read, and need not be UTF-8.
        container = av.open(str(path), metadata_errors="ignore", options=options)
    except PermissionError:
        raise
    except av.FFmpegError as error:
        raise ValueError(f"{path}: not a video, or cut short: {error.strerror}") from error
    streams: list[Any] = [
        s for s in container.streams.video if not int(getattr(s, "disposition", 0)) & _ATTACHED_PICTURE
    ]
    if not streams:
        flaw = "there is no video in it"
    elif streams[0].codec_context is None:
        flaw = "no decoder for its video"
    elif not streams[0].codec_context.width * streams[0].codec_context.height:  # FFmpeg drops a size over max_pixels
        flaw = f"its frames have no size, or claim more than the {most:,} pixels that are read of a file of its size"
    elif container.format.name == "avi" and streams[0].codec_context.name in ("h264", "hevc") and _reorders(streams[0]):
        flaw = "an AVI file does not say when reordered frames (B-frames) are shown; write it again as Matroska or MP4"
    if flaw:
        container.close()
        raise ValueError(f"{path}: {flaw}")
    # A frame is decoded by the one process that asked for it; threads are slower for small frames.
    streams[0].thread_type = "NONE"
    streams[0].codec_context.options = options
    return container, streams[0]


def _reorders(stream: Any) -> bool:
    return bool(stream.codec_context.has_b_frames)


def _packets(container: Any, stream: Any) -> tuple[list[tuple[int, int, int]], str | None]:
    """Return (pts, decodes by itself, is not shown) of every packet, and what is wrong with the file, if it shows."""
    packets = []
    try:
        for packet in container.demux(stream):
            if packet.size:
                packets.append((packet.pts, packet.is_keyframe, packet.is_discard))
                if packet.is_corrupt:
                    return packets, "the packet is incomplete"
    except av.FFmpegError as error:
        return packets, str(error.strerror)
    return packets, None
