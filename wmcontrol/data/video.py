"""Frames of a video file, each found by its exact time and decoded when it is asked for."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain
from os import getpid
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from .frames import Frames, Pixels, checked_indices
from .trajectory import Floats
from .video_index import VideoIndex, open_video

_MAX_OPEN = 4  # files that a process keeps open, where they were last read


class VideoFrames(Frames):
    """The frames of a video file, as :class:`~wmcontrol.data.frames.Frames` has them.

    Frames are numbered in the order in which they are shown. They come upright (phones write films lying on their
    side, and how to turn them), as RGB whatever the file has. Pixels are taken to be square.

    Pickles to its path and index; each process opens the file for itself.

    Args:
        path: the file, in any container and codec that FFmpeg reads.
        size: height and width to shrink (or enlarge) frames to, so that they just cover it; what stands over is cut
            off, as much on either side. None: as they are.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a video, cut short or damaged, or without times; it names the file.
    """

    def __init__(self, path: str | Path, *, size: tuple[int, int] | None = None) -> None:
        if size is not None and (len(size) != 2 or min(size) < 1):
            raise ValueError(f"size must be a height and a width, each at least 1, got {size!r}")
        self.path = Path(path)
        self.size = size
        self.index = VideoIndex.of(self.path)
        self.times: Floats = self.index.times  # (T,) seconds, as in the container

    def __len__(self) -> int:
        return len(self.index.pts)

    def nearest(self, times: Floats) -> NDArray[np.int64]:
        """Return which frames are nearest to these times, of the same shape; of two as near, the earlier."""
        return np.searchsorted((self.times[1:] + self.times[:-1]) / 2, times).astype(np.int64)

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Decode the frames with these indices, in this order, (len(indices), height, width, 3).

        In rising order is fastest: it goes back to a frame that decodes by itself only where it must.

        Raises:
            IndexError: no such frame.
            ValueError: a frame is damaged or missing; it names the file and the frame.
        """
        asked = checked_indices(indices, len(self), self.path)
        if not asked.size:
            return self.read([0])[:0]
        decoder = _take(self.index)
        frames = np.empty((0, 0, 0, 3), dtype=np.uint8)
        previous = -1
        for place in np.argsort(asked, kind="stable").tolist():
            frame = int(asked[place])
            if previous >= 0 and frame == asked[previous]:
                frames[place] = frames[previous]
                continue
            try:
                pixels = decoder.pixels(frame, self.size)
                if previous < 0:
                    frames = np.empty((len(asked), *pixels.shape), dtype=np.uint8)
                elif pixels.shape != frames.shape[1:]:
                    raise ValueError(f"it is {pixels.shape[:2]} in size, {frames.shape[1:3]} before; give size")
            except (av.FFmpegError, ValueError) as error:
                decoder.close()
                reason = getattr(error, "strerror", None) or error
                raise ValueError(f"{self.path}: frame {frame} of {len(self)} cannot be read: {reason}") from error
            frames[place] = pixels
            previous = place
        _give_back(decoder)
        return frames


class _Decoder:
    """A file that is open, and the frame that was decoded last."""

    def __init__(self, index: VideoIndex) -> None:
        self.index = index
        self.container, self.stream = open_video(Path(index.identity[0]))
        self.reformatter = VideoReformatter()  # kept: it sets up its filters once
        self.decoded: Iterator[Any] = iter(())
        self.position: int | None = None  # the frame decoded last

    def close(self) -> None:
        self.container.close()

    def pixels(self, frame: int, size: tuple[int, int] | None) -> Pixels:
        pts, keyframes = int(self.index.pts[frame]), self.index.keyframes
        # Frames shown after a keyframe never need what came before it, though some that follow in the file do (those
        # shown before it, in an open group of pictures). So the keyframe is looked for by what is shown.
        key = int(np.searchsorted(keyframes, pts, side="right")) - 1
        first = int(np.searchsorted(self.index.pts, keyframes[key])) if key >= 0 else 0
        on = self.position is not None and first - 1 <= self.position < frame
        self.position = None
        # What encoders call a keyframe may only begin to build the picture up (intra refresh): then from one earlier,
        # and at last from the start.
        for back in (0, 1, key):
            try:
                if not on:
                    self._enter(pts, keyframes[: max(0, key + 1 - back)].tolist())
                found = self._decode_to(pts)
                break
            except (av.FFmpegError, ValueError):
                if back == key:
                    raise
                on = False
        self.position = frame
        return self._to_rgb(found, size)

    def _decode_to(self, pts: int) -> Any:
        for decoded in self.decoded:
            if decoded.pts is None or decoded.pts > pts:
                break
            if decoded.pts == pts:
                if decoded.is_corrupt:
                    raise ValueError("it is damaged")
                return decoded
        raise ValueError("the decoder does not give it")

    def _enter(self, pts: int, keyframes: Sequence[int]) -> None:
        """Begin to decode at the last of these keyframes or before it, to get to the frame shown at ``pts``."""
        # Containers look for times of decoding or of showing, with or without an offset, so where one lands is checked.
        # Asking for a later frame mostly lands right, and now and then too late.
        latest = keyframes[-1] if keyframes else None
        for target in (pts, *reversed(keyframes[-2:])) if latest is not None else ():
            try:
                self.container.seek(target, stream=self.stream)
                packets = self.container.demux(self.stream)
                packet = next(packets)
            except (av.FFmpegError, StopIteration):
                continue
            if packet.is_keyframe and packet.pts is not None and packet.pts <= latest:
                break
        else:
            self.close()
            self.container, self.stream = open_video(Path(self.index.identity[0]))
            packets = self.container.demux(self.stream)
            packet = next(packets)
        self.decoded = _decode(chain([packet], packets), packet.pts)

    def _to_rgb(self, frame: Any, size: tuple[int, int] | None) -> Pixels:
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        height, width = frame.height, frame.width
        scale, (rows, columns) = 1.0, (height, width)
        if size is not None:
            rows, columns = size[::-1] if turns % 2 else size
            scale = max(rows / height, columns / width)
            height, width = max(rows, round(height * scale)), max(columns, round(width * scale))
        how = {"height": height, "width": width, "format": "rgb24"}
        how["interpolation"] = "AREA" if scale < 1 else "BILINEAR"
        try:
            # Without this PyAV starts threads for every frame, which is several times slower.
            rgb = self.reformatter.reformat(frame, **how, threads=1)
        except TypeError:  # before PyAV 17
            rgb = self.reformatter.reformat(frame, **how)
        pixels: Any = rgb.to_ndarray()
        top, left = (height - rows) // 2, (width - columns) // 2
        upright: Pixels = np.rot90(pixels[top : top + rows, left : left + columns], turns)
        return upright


def _decode(packets: Iterator[Any], entry: int) -> Iterator[Any]:
    for packet in packets:
        try:
            yield from packet.decode()
        except av.FFmpegError:
            # What is shown before the frame we came in at may need frames before it; nobody asked for it.
            if packet.pts is None or packet.pts >= entry:
                raise


# Decoders that rest where they last read, of this process: one that was forked shares its parent's place in the file.
_resting: OrderedDict[tuple[object, ...], _Decoder] = OrderedDict()


def _take(index: VideoIndex) -> _Decoder:
    """Return a decoder that nobody else uses until it is given back."""
    return _resting.pop((getpid(), *index.identity), None) or _Decoder(index)


def _give_back(decoder: _Decoder) -> None:
    _resting[getpid(), *decoder.index.identity] = decoder
    while len(_resting) > _MAX_OPEN:
        _, oldest = _resting.popitem(last=False)
        oldest.close()
