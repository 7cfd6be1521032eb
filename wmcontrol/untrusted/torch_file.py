"""Reads what ``torch.save`` wrote, pickled modules included, without running anything that the file names.

The few names that say how tensors and containers are put together stand in a table. Tensors come as records; their
bytes are read when asked for, after their shape was looked at, and with the file's checksum.
"""

import math
import mmap
import reprlib
import sys
import warnings
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .arrays import stored_entries
from .pickles import unpickle


@dataclass(frozen=True)
class TensorRecord:
    """A tensor whose bytes are still in the file. Nothing is checked before it is read."""

    storage: Any  # ("storage", dtype, key, device, number of elements)
    offset: Any
    shape: Any
    stride: Any


# Objects without a dict and without settable attributes: a pickle could otherwise change them for the next one.
class _RebuildTensor:
    __slots__ = ()

    def __call__(self, storage: Any, offset: Any, shape: Any, stride: Any, *_: Any) -> TensorRecord:
        return TensorRecord(storage, offset, shape, stride)


class _RebuildParameter:
    __slots__ = ()

    def __call__(self, data: Any, *_: Any) -> Any:
        return data


_KNOWN: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("__builtin__", "set"): set,
    ("torch._utils", "_rebuild_tensor_v2"): _RebuildTensor(),
    ("torch._utils", "_rebuild_parameter"): _RebuildParameter(),
    ("torch", "DoubleStorage"): torch.float64,
    ("torch", "FloatStorage"): torch.float32,
    ("torch", "HalfStorage"): torch.float16,
    ("torch", "BFloat16Storage"): torch.bfloat16,
    ("torch", "LongStorage"): torch.int64,
    ("torch", "IntStorage"): torch.int32,
    ("torch", "ShortStorage"): torch.int16,
    ("torch", "CharStorage"): torch.int8,
    ("torch", "ByteStorage"): torch.uint8,
    ("torch", "BoolStorage"): torch.bool,
    ("torch", "ComplexFloatStorage"): torch.complex64,
}


class TorchFile:
    """A file of ``torch.save``, open for reading; use it in a ``with`` block.

    Args:
        path: the file.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is not such a file, or damaged.
    """

    def __init__(self, path: str | Path):
        self.path = path
        if not Path(path).exists():
            raise FileNotFoundError(f"there is no file {path}; give the path of a file that torch.save wrote")
        try:
            self._zip = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, NotImplementedError, ValueError) as error:  # zipfile has all of these for damage
            raise ValueError(
                f"{path}: not a whole file of torch.save ({error}); it may be truncated, or older than torch 1.6: "
                "fetch it again, or save it again with a newer torch"
            ) from error
        try:
            pickles = [name for name in self._zip.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise ValueError(f"{path}: a zip file, but not one of torch.save: expected one data.pkl in a folder")
            self._folder = pickles[0].removesuffix("data.pkl")
            try:
                self._entries = stored_entries(self._zip, Path(path).stat().st_size)
            except ValueError as error:
                raise ValueError(f"{path}: not as torch.save writes it: {error}; fetch the file again") from error
            self.root = self._unpickle()
        except BaseException:
            self._zip.close()
            raise

    def __enter__(self) -> "TorchFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def _unpickle(self) -> Any:
        """Return the object that was saved, made of containers, numbers, strings, Inert and TensorRecord."""
        record = f"{self._folder}data.pkl"
        try:
            order = self._zip.read(f"{self._folder}byteorder") if f"{self._folder}byteorder" in self._entries else b""
            root = unpickle(self._zip.read(record), _KNOWN)
        except Exception as error:  # whatever a damaged pickle makes of itself
            raise ValueError(f"{self.path}: record {record} is damaged ({error}); fetch the file again") from error
        if order and order.decode(errors="replace") != sys.byteorder:
            raise ValueError(f"{self.path}: its bytes are ordered {order!r}, this machine's are {sys.byteorder}-endian")
        return root

    def read(self, tensor: TensorRecord, name: str, *, mapped: bool = False) -> Tensor:
        """Return a tensor of its own memory, or one that is ``mapped``; ``name`` says in errors which one it is.

        The numbers of a mapped one are read from the file when they are used, without a look at its checksum. It stays
        usable when the file is closed. Writing to it ends the process.

        Raises:
            ValueError: its bytes are missing or damaged, or fewer than its shape needs.
        """
        try:
            entry, dtype, numel = self._storage(tensor)
            if not numel:
                flat = torch.empty(0, dtype=dtype, device="cpu")
            elif mapped:
                with Path(self.path).open("rb") as file:
                    file.seek(entry.header_offset + 26)
                    lengths = file.read(4)  # of the two fields that the header ends with
                start = entry.header_offset + 30 + sum(int.from_bytes(lengths[i : i + 2], "little") for i in (0, 2))
                flat = map_tensor(Path(self.path), dtype, numel, start)
            else:
                flat = torch.frombuffer(bytearray(self._zip.read(entry)), dtype=dtype)
            seen = flat.as_strided(tensor.shape, tensor.stride, tensor.offset)
            return seen if mapped else seen.clone()
        except Exception as error:  # whatever a damaged record makes of itself
            raise ValueError(f"{self.path}: tensor {name} is damaged ({error}); fetch the file again") from error

    def _storage(self, tensor: TensorRecord) -> tuple[zipfile.ZipInfo, torch.dtype, int]:
        """Return where a tensor's numbers are, and how many of which type, after a look at whether they suffice."""
        kind, dtype, key, _, numel = tensor.storage
        if kind != "storage" or not isinstance(dtype, torch.dtype):
            raise ValueError(f"its storage is {reprlib.repr(tensor.storage[:2])}")
        record = f"{self._folder}data/{key}"
        if record not in self._entries:
            raise ValueError(f"record {record} is missing")
        held, needed = self._entries[record].file_size, numel * dtype.itemsize
        if held != needed:
            raise ValueError(f"record {record} must have {needed} bytes, got {held}")
        if math.prod(tensor.shape) > numel:
            raise ValueError(f"record {record} has {numel} numbers, shape {tuple(tensor.shape)} needs more")
        return self._entries[record], dtype, numel


def map_tensor(path: Path, dtype: torch.dtype, count: int = -1, start: int = 0) -> Tensor:
    """Map numbers of a file, from a byte on, for reading: a private map that could be written would count as memory."""
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable", UserWarning)
        return torch.frombuffer(mapped, dtype=dtype, count=count, offset=start)
