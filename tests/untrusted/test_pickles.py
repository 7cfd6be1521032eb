"""Pickles of whole numbers, and hostile ones: refused before anything is made of them, none run, none a crash."""

import functools
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wmcontrol.data.formats.dino_wm import DinoWM
from wmcontrol.models.zoo.dino_wm import load_dino_wm
from wmcontrol.untrusted import pickles
from wmcontrol.untrusted.pickles import unpickle, whole_numbers
from wmcontrol.untrusted.torch_file import TorchFile

NUMBERS = [5, 3, 600]


@pytest.mark.parametrize("protocol", range(6))
def test_whole_numbers_come_back_however_they_were_pickled(protocol: int) -> None:
    array = np.array(NUMBERS)
    kinds = [
        NUMBERS,
        tuple(NUMBERS),
        array,
        list(array),
        array.astype(np.int16),
        array.astype(">i4"),
        array[::-1][::-1],
    ]
    for value in kinds:
        assert whole_numbers(pickle.dumps(value, protocol)) == NUMBERS


@pytest.mark.parametrize(
    "value",
    [
        [1.5],
        [True],
        ["1"],
        [[1]],
        {1: 2},
        np.array([1.5]),
        np.array([[1]]),
        np.array(["a"]),
        np.array([None]),
        b"12",
        7,
    ],
)
def test_what_is_no_list_of_whole_numbers_is_refused(value: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        whole_numbers(pickle.dumps(value))


class Calls:
    def __init__(self, function: Callable[..., Any], *arguments: object):
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def dtype_built(state: bytes) -> bytes:
    """A dtype that is given a state of the file's own: what NumPy takes at its word, and reads foreign memory by."""
    return b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00V8I00\nI01\n\x87R" + state + b"b."


def tuples(depth: int, end: bytes) -> bytes:
    return b"\x80\x02K\x01" + b"\x85" * depth + end + b"."


def doubled(times: int) -> bytes:
    """A tuple of twice the tuple of twice …, as the key of a dict: to hash it takes two to the power of ``times``."""
    return b"\x80\x02}K\x01" + b"2\x86" * times + b"K\x01s."


HOSTILE: dict[str, bytes] = {
    "runs code": pickle.dumps(Calls(os.mkdir, "it_ran")),
    "runs code in a list": pickle.dumps([1, Calls(os.mkdir, "it_ran")]),
    "calls what a call gave": pickle.dumps(Calls(functools.partial, os.mkdir, "it_ran")),
    "names what the process has": b"\x80\x02\x82\xf0.",
    "deep tuples": tuples(5_000_000, b""),
    "deep tuples as a key": b"\x80\x02}" + tuples(1_000, b"K\x01s")[2:],
    "deep lists": b"\x80\x02" + b"]" * 5_000 + b"a" * 4_999 + b".",
    "deep lists by way of the memo": b"\x80\x02]q\x00" + b"0]h\x00aq\x00" * 5_000 + b".",
    "deep objects": b"\x80\x02ca\nb\n" + b")R" * 5_000 + b".",
    "a key that takes for ever": doubled(200),
    "a place far away": b"\x80\x02]r\xff\xff\xff\x7f.",
    "bytes that are not there": b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".",
    "a text that is not there": b"\x80\x04\x8d" + struct.pack("<Q", 2**40) + b".",
    "a number that is not there": b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1.",
    "a frame that is not there": b"\x80\x04\x95" + struct.pack("<Q", 2**50) + b"N.",
    "many sets": b"\x80\x04" + b"\x8f" * 30_000 + b".",
    "many names": b"\x80\x02" + b"".join(b"ca\nb%d\n0" % i for i in range(5_000)) + b"N.",
    "a buffer from elsewhere": b"\x80\x05\x97.",
    "nothing": b"",
    "an empty stack": b"\x80\x02a.",
    "no end": b"\x80\x02]",
    "a dtype of objects": pickle.dumps(np.array([print, len], object)),
    "a dtype with a state": dtype_built(b"(K\x03X\x01\x00\x00\x00<NNNK\x08K\x01K\x00t"),
    "a dtype with fields outside": dtype_built(
        b"(K\x03X\x01\x00\x00\x00|NX\x01\x00\x00\x00a\x85}X\x01\x00\x00\x00acnumpy\ndtype\nX\x02\x00\x00\x00O8I00\nI01\n\x87RJ"
        b"\x00\x00\x00\x7f\x86sK\x08K\x01K\x00t"
    ),
}


def peak(call: Callable[[], Any]) -> int:
    tracemalloc.start()
    try:
        with pytest.raises((ValueError, OSError)):
            call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def lengths(folder: Path, content: bytes) -> Callable[[], object]:
    torch.save(torch.zeros(1, 2, 5), folder / "states.pth")
    torch.save(torch.zeros(1, 2, 2), folder / "velocities.pth")
    torch.save(torch.zeros(1, 2, 2), folder / "rel_actions.pth")
    (folder / "obses").mkdir()
    (folder / "obses" / "episode_000.mp4").touch()
    (folder / "seq_lengths.pkl").write_bytes(content)
    return lambda: DinoWM(folder)


def torch_file(path: Path, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", content)
    return path


def tensors(folder: Path, content: bytes) -> Callable[[], object]:
    make = lengths(folder, pickle.dumps([2]))
    torch_file(folder / "velocities.pth", content)
    return make


READERS: dict[str, Callable[[Path, bytes], Callable[[], object]]] = {
    "lengths": lengths,
    "tensors": tensors,
    "checkpoint": lambda folder, content: functools.partial(load_dino_wm, torch_file(folder / "a.pth", content)),
}


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_of_pickles_refuses_every_hostile_one(
    reader: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(pickles, "_MAX_STEPS", 20_000)  # a tenth, and a tenth of the time
    (tmp_path / "set").mkdir()
    call = READERS[reader](tmp_path / "set", HOSTILE[kind])
    assert peak(call) < 256 * 2**20
    assert not (tmp_path / "it_ran").exists()
    if kind.startswith("runs code"):  # where it is let, it does
        pickle.loads(HOSTILE[kind])
        assert (tmp_path / "it_ran").exists()


def test_what_is_nested_as_honest_files_are_is_read() -> None:
    deep: Any = 1
    for _ in range(50):
        deep = {"a": [(deep,)]}
    assert unpickle(pickle.dumps(deep), {}) == deep


def test_a_tensor_is_mapped_and_stays_when_the_file_is_closed(tmp_path: Path) -> None:
    for tensor in (torch.arange(24, dtype=torch.int16).view(2, 3, 4), torch.rand(5).double(), torch.zeros(0, 3)):
        torch.save(tensor.movedim(0, -1), tmp_path / "a.pth")
        with TorchFile(tmp_path / "a.pth") as file:
            read, mapped = (file.read(file.root, "a", mapped=mapped) for mapped in (False, True))
        assert torch.equal(mapped, tensor.movedim(0, -1))
        assert torch.equal(read, tensor.movedim(0, -1))


@pytest.mark.parametrize(
    ("shape", "stride"), [((2**40,), (0,)), ((4,), (2**40,)), ((4,), (-1,)), ((-4,), (1,)), ((2, 2**62), (1, 1))]
)
def test_a_tensor_that_reaches_beyond_its_bytes_is_refused(
    shape: tuple[int, ...], stride: tuple[int, ...], tmp_path: Path
) -> None:
    torch.save(torch.zeros(4), tmp_path / "a.pth")
    with TorchFile(tmp_path / "a.pth") as file:
        record = file.root.__class__(file.root.storage, 0, shape, stride)
        for mapped in (False, True):
            with pytest.raises(ValueError, match=r"a\.pth: tensor x is damaged"):
                file.read(record, "x", mapped=mapped)
