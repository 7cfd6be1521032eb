"""Reads what ``torch.save`` wrote, pickled modules included, without running anything that the file names.

A pickle names functions and classes, to be imported and called. Here nothing is imported: the few names that say how
tensors and containers are put together stand in a table, and every other becomes an inert class, whose objects keep
the state they are given and do nothing, also when they are called. Tensors come as records; their bytes are read when
asked for, after their shape was looked at, and with the file's checksum.
"""

import io
import math
import pickle
import pickletools
import sys
import zipfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor


class Inert:
    """Stands for an object whose class was not loaded."""

    origin = ""  # the class that the file names
    state: Any = None  # what the object was to be restored from; of a module, its __dict__

    def __init__(self, *args: Any, **kwargs: Any):
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def __call__(self, *args: Any, **kwargs: Any) -> "Inert":
        """Do nothing."""
        return self

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, item: Any) -> None:
        """Drop an item of a subclass of list."""

    extend = add = append


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
    ("torch", "BoolStorage"): torch.bool,
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _KNOWN.get((module, name))
        return type("Inert", (Inert,), {"origin": f"{module}.{name}"}) if known is None else known

    def persistent_load(self, pid: Any) -> Any:
        return pid


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
        except zipfile.BadZipFile as error:
            raise ValueError(
                f"{path}: not a whole file of torch.save ({error}); it may be truncated, or older than torch 1.6: "
                "fetch it again, or save it again with a newer torch"
            ) from error
        try:
            pickles = [name for name in self._zip.namelist() if name.endswith("/data.pkl") and name.count("/") == 1]
            if len(pickles) != 1:
                raise ValueError(f"{path}: a zip file, but not one of torch.save: expected one data.pkl in a folder")
            self._folder = pickles[0].removesuffix("data.pkl")
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
            order = self._zip.read(f"{self._folder}byteorder") if self._has("byteorder") else b"little"
            data = self._zip.read(record)
            for opcode, argument, _ in pickletools.genops(data):
                if opcode.name.startswith("EXT"):  # may stand for an object that this process has already loaded
                    raise ValueError("it uses copyreg's extensions")
                # Python's unpickler makes room for all places up to the one named.
                if opcode.name.endswith("PUT") and isinstance(argument, int) and argument > len(data):
                    raise ValueError(f"it counts to {argument} in {len(data)} bytes")
            root = _Unpickler(io.BytesIO(data)).load()
        except Exception as error:  # whatever a damaged pickle makes of itself
            raise ValueError(f"{self.path}: record {record} is damaged ({error}); fetch the file again") from error
        if order.decode(errors="replace") != sys.byteorder:
            raise ValueError(f"{self.path}: its bytes are ordered {order!r}, this machine's are {sys.byteorder}-endian")
        return root

    def _has(self, record: str) -> bool:
        return self._folder + record in self._zip.namelist()

    def read(self, tensor: TensorRecord, name: str) -> Tensor:
        """Return a tensor of its own memory; ``name`` says in errors which one it is.

        Raises:
            ValueError: its bytes are missing or damaged, or fewer than its shape needs.
        """
        try:
            kind, dtype, key, _, numel = tensor.storage
            if kind != "storage" or not isinstance(dtype, torch.dtype):
                raise ValueError(f"its storage is {tensor.storage[:2]!r}")
            record = f"{self._folder}data/{key}"
            held, needed = self._zip.getinfo(record).file_size, numel * dtype.itemsize
            if held != needed:
                raise ValueError(f"record {record} must have {needed} bytes, got {held}")
            if math.prod(tensor.shape) > numel:
                raise ValueError(f"record {record} has {numel} numbers, shape {tensor.shape} needs more")
            flat = torch.frombuffer(bytearray(self._zip.read(record)), dtype=dtype)
            return flat.as_strided(tensor.shape, tensor.stride, tensor.offset).clone()
        except Exception as error:  # whatever a damaged record makes of itself
            raise ValueError(f"{self.path}: tensor {name} is damaged ({error}); fetch the file again") from error
