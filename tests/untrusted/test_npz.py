"""Arrays by a declared schema, and files that claim more than they hold."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wmcontrol.untrusted import check_claim, read_arrays

KNOWN = {"lengths": ("iu", 1), "times": ("f", 1), "states": ("f", 2)}
NEEDED = ("lengths", "times")
GOOD: dict[str, Any] = {"lengths": np.array([2, 3]), "times": np.arange(5.0), "states": np.ones((5, 2), order="F")}


def write(path: Path, **change: Any) -> Path:
    np.savez(path, **{name: array for name, array in (GOOD | change).items() if array is not None})
    return path


def header(dtype: str, shape: tuple[int, ...]) -> bytes:
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


def zipped(path: Path, entries: dict[str, bytes], how: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_arrays_come_back_and_can_be_written_to(tmp_path: Path) -> None:
    found = read_arrays(write(tmp_path / "a.npz"), KNOWN, NEEDED)
    assert found.keys() == GOOD.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, GOOD[name])
        assert array.flags.writeable
    assert "states" not in read_arrays(write(tmp_path / "b.npz", states=None), KNOWN, NEEDED)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"times": None}, "times"),
        ({"extra": np.zeros(1)}, "extra"),
        ({"times": np.zeros((5, 1))}, r"times: .*float64.*\(5, 1\)"),
        ({"times": np.arange(5)}, r"times: .*int64"),
        ({"times": np.array([0, 1, np.nan, 3, 4])}, r"times: .*nan.*\[2\]"),
        ({"states": np.full((5, 2), np.inf)}, r"states: .*inf.*\[0, 0\]"),
        ({"lengths": np.array(["a", "b"])}, "lengths: "),
        ({"times": np.zeros(5, "c8")}, r"times: .*complex64"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", **change)
    with pytest.raises(ValueError, match=rf"a\.npz cannot be read: .*{says}.*; encode again"):
        read_arrays(path, KNOWN, NEEDED, fix="encode again")


def pickled(path: Path) -> Path:
    np.savez(path, lengths=np.array([print], object), times=np.zeros(1))
    return path


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "code": pickled,
    "claim": lambda path: zipped(path, {"lengths.npy": header("<i8", (2**33,)), "times.npy": header("<f8", (0,))}),
    "negative": lambda path: zipped(path, {"lengths.npy": header("<i8", (-1,)), "times.npy": header("<f8", (0,))}),
    "squeezed": lambda path: zipped(
        path, {"lengths.npy": header("<i8", (2**22,)) + bytes(2**25), "times.npy": header("<f8", (0,))}, 8
    ),
    "cut": lambda path: path.write_bytes(write(path.with_suffix(".whole.npz")).read_bytes()[:-30]) and path,
    "flipped": lambda path: path.write_bytes(_flipped(write(path.with_suffix(".whole.npz")).read_bytes())) and path,
    "nothing": lambda path: path.write_bytes(b"") or path,
    "no zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)) and path,
}


def _flipped(content: bytes) -> bytes:
    place = content.index(np.arange(5.0).tobytes())
    return content[: place + 8] + b"\x01" + content[place + 9 :]


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_files_are_refused_by_name_and_take_no_memory(kind: str, tmp_path: Path) -> None:
    path = HOSTILE[kind](tmp_path / "a.npz")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.npz cannot be read"):
            read_arrays(path, KNOWN, NEEDED)
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()


def test_entries_that_lie_over_one_another_are_refused(tmp_path: Path) -> None:
    """As in a zip bomb without compression: many names for the same bytes."""
    path = zipped(tmp_path / "a.npz", {"lengths.npy": header("<i8", (3,)) + bytes(24), "times.npy": bytes(2)})
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\x01\x02")
    second = content.index(b"PK\x01\x02", directory + 4)
    for place in (20, 24):  # compressed and uncompressed size
        content[second + place : second + place + 4] = (2**20).to_bytes(4, "little")
    path.write_bytes(content)
    with pytest.raises(ValueError, match="its entries must fit into its"):
        read_arrays(path, KNOWN, NEEDED)


def test_small_data_may_grow_and_large_data_only_so_much() -> None:
    check_claim("it", 256 * 2**20, 1)
    check_claim("it", 100 * 2**30, 2**30)
    for claimed, stored in ((256 * 2**20 + 1, 1), (6 * 2**30, 13 * 2**20), (6 * 2**30, 9_000)):
        with pytest.raises(ValueError, match=r"^it: .* it claims"):
            check_claim("it", claimed, stored)
