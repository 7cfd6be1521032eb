"""How long a video file should be, by its container's own account: what tells a file that was cut short.

Decoders read what is there and stop; a cut Matroska file or fragmented MP4 just looks shorter.
"""

from pathlib import Path
from typing import BinaryIO

_BOXES = {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"mfra", b"uuid", b"meta"}
_EBML, _SEGMENT = bytes.fromhex("1a45dfa3"), bytes.fromhex("18538067")


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
