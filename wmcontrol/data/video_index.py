"""When each frame of a video is shown, exactly, where decoding can begin, and whether the file is whole.

Decoders read what is there and stop; a cut Matroska file or fragmented MP4 just looks shorter. And they take memory
for as many entries as a table claims, however few bytes there are.
"""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from .trajectory import Floats

# Pixels that a frame may have: in any file, and for each byte of a larger one. Eight black frames of 3840 by 2160
# have 1,650 to a byte; a few damaged bits of a small file claim frames of hundreds of megabytes.
_ANY_FRAME, _PIXELS_PER_BYTE = 2**24, 2**12
_LARGEST_FRAME = 2**27  # in whatever file: four times as many as the largest films have
_ATTACHED_PICTURE = 0x400  # a cover, not a film: AV_DISPOSITION_ATTACHED_PIC
_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"mfra", b"uuid", b"meta"}
# Boxes that are made of boxes (ISO/IEC 14496-12, section 6.2), and how many bytes come before those.
_NESTED = dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"edts", b"moof", b"traf"), 0) | {b"stsd": 8}
# Tables: after how many bytes the number of entries stands, and how many bytes an entry has at least.
_TABLES = {
    **dict.fromkeys((b"stco", b"stss", b"stps"), (4, 4)),
    **dict.fromkeys((b"stts", b"ctts", b"co64"), (4, 8)),
    **dict.fromkeys((b"stsc", b"elst"), (4, 12)),
    b"stsz": (8, 4),
    b"stz2": (8, 0.5),
    b"sbgp": (8, 8),
    b"trun": (4, 0),
}
_MAX_DEPTH = 10
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")


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
    if flaw := _overclaim_of(path):
        raise ValueError(f"{path}: not a video, or damaged: {flaw}")
    most = min(_LARGEST_FRAME, max(_ANY_FRAME, _PIXELS_PER_BYTE * path.stat().st_size))
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


def declared_size(path: Path) -> int:
    """Return how many bytes MP4, MOV, Matroska, WebM or AVI structure asks for; 0 where the file does not say."""
    with path.open("rb") as file:
        start = file.read(12)
        file.seek(0)
        if start[:4] == b"RIFF":
            return 8 + int.from_bytes(start[4:8], "little")
        if start[:4] == _EBML:
            return _matroska(file)
        return _boxes(file) if start[4:8] in _BOXES else 0


def _boxes(file: BinaryIO) -> int:
    """ISO/IEC 14496-12, section 4.2: size (4 bytes), type (4), and for size 1 a larger size (8); 0: to the end."""
    end = 0
    while len(header := file.read(8)) == 8 and header[4:] in _BOXES:
        size = int.from_bytes(header[:4], "big")
        if size == 1:
            size = int.from_bytes(file.read(8), "big")
        if size < 8:
            break
        end += size
        file.seek(end)
    return end


def _overclaim_of(path: Path) -> str | None:
    """Return what an MP4 or MOV file claims to have and cannot hold, in words; None where all fits."""
    with path.open("rb") as file:
        return _overclaim(file, 0, path.stat().st_size, ()) if file.read(8)[4:] in _BOXES else None


def _overclaim(file: BinaryIO, begin: int, end: int, inside: tuple[str, ...]) -> str | None:
    """Look at all boxes between two places of a file; ``inside`` are the boxes that they are in."""
    while begin + 8 <= end:
        file.seek(begin)
        header = file.read(16)
        size, kind, body = int.from_bytes(header[:4], "big"), header[4:8], begin + 8
        if size == 1:
            size, body = int.from_bytes(header[8:], "big"), begin + 16
        elif size == 0:  # to the end (ISO 14496-12, 4.2)
            size = end - begin
        if size < body - begin:
            return None
        where = (*inside, kind.decode("latin1"))
        # Of what is cut short, the outermost box has more to come.
        if inside and begin + size > end:
            return f"box {'/'.join(where)} claims {size:,} bytes where {end - begin:,} are left"
        if kind in _NESTED:
            if len(where) > _MAX_DEPTH:
                return f"its boxes are nested more than {_MAX_DEPTH} deep"
            flaw = _overclaim(file, body + _NESTED[kind], begin + size, where)
        else:
            flaw = _table(file, kind, body, begin + size) if kind in _TABLES else None
        if flaw:
            return flaw
        begin += size
    return None


def _table(file: BinaryIO, kind: bytes, body: int, end: int) -> str | None:
    """Sections 8.6 to 8.8: version (1 byte) and flags (3), some fields, and how many entries follow."""
    at, entry = _TABLES[kind]
    file.seek(body)
    fields = file.read(at + 4)
    count = int.from_bytes(fields[at:], "big")
    if kind == b"trun":  # which of four numbers each sample has
        entry = 4 * (fields[2] & 0xF).bit_count() if len(fields) > 2 else 0
    elif kind == b"stsz" and any(fields[4:8]):  # all samples have this size
        entry = 0
    # A sample that takes no room in a table takes a byte of the file at least.
    room = end - body - at - 4 if entry else file.seek(0, 2)
    if count * (entry or 1) > room:
        return f"box {kind.decode()} claims {count:,} entries, and has room for {int(room / (entry or 1)):,}"
    return None


def _matroska(file: BinaryIO) -> int:
    """RFC 8794, section 4: an element is an identifier, a size of which the first byte tells the length, and data."""
    file.read(4)
    size = _ebml_size(file)
    if size is None:
        return 0
    file.seek(size, 1)
    if file.read(4) != _SEGMENT:
        return 0
    size = _ebml_size(file)
    return 0 if size is None else file.tell() + size


def _ebml_size(file: BinaryIO) -> int | None:
    """Return a size, or None where the writer left it open, as when it streams."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), "big") - (1 << 7 * length)
    return None if value == (1 << 7 * length) - 1 else value
