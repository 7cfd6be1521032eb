"""Pickles that are read without running anything that they name.

A pickle names functions and classes, to be imported and called. Here nothing is imported: the names that a reader knows
stand in its table, and every other becomes an inert class, whose objects keep the state they are given and do nothing,
also when they are called.
"""

import io
import pickle
import pickletools
import reprlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAX_BYTES = 16 * 2**20
_MAX_STEPS = 2**18  # each makes an object of up to some 200 bytes
_MAX_DEPTH = 500  # below which nothing that walks over objects runs out of stack
_MAX_TUPLE = 2**20  # values in a tuple and all tuples in it, each counted wherever it stands
_MAX_NAMES = 2000  # functions and classes
_PUT, _GET = ("PUT", "BINPUT", "LONG_BINPUT"), ("GET", "BINGET", "LONG_BINGET")
_ADDS = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
_TUPLES = ("TUPLE1", "TUPLE2", "TUPLE3", "TUPLE", "FROZENSET")


class Inert:
    """Stands for an object whose class was not loaded, or for what a function that was not loaded would return."""

    origin = ""  # the class or function that the file names
    args: tuple[Any, ...]  # what it was to be made of
    state: Any = None  # what the object was to be restored from; of a module, its __dict__

    def __init__(self, *args: Any, **kwargs: Any):
        self.args = args

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


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: bytes, known: Mapping[tuple[str, str], Any]):
        super().__init__(io.BytesIO(data))
        self._known = known
        self._inert: dict[tuple[str, str], type[Inert]] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in self._known:
            return self._known[module, name]
        if (module, name) not in self._inert:
            if len(self._inert) >= _MAX_NAMES:
                raise pickle.UnpicklingError(f"it names more than {_MAX_NAMES} functions and classes")
            self._inert[module, name] = type("Inert", (Inert,), {"origin": f"{module}.{name}"})
        return self._inert[module, name]

    def persistent_load(self, pid: Any) -> Any:
        return pid


def unpickle(data: bytes, known: Mapping[tuple[str, str], Any]) -> Any:
    """Return what a pickle describes, made of containers, numbers, texts, Inert and what the table has.

    Args:
        data: the pickle, in any protocol.
        known: what stands for some of the names, (module, name); objects without a dict and without attributes that
            could be set: a pickle could otherwise change them for the next one.

    Raises:
        Exception: of any class; whatever a damaged pickle makes of itself.
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"a pickle of at most {MAX_BYTES:,} bytes is read, it has {len(data):,}")
    _check(data)
    return _Unpickler(data, known).load()


def _check(data: bytes) -> None:
    """Go through a pickle without making anything, and refuse what would take the memory or the stack.

    Hashing or comparing a tuple walks over all in it, without a limit. So how deep values lie in one another is
    followed as the unpickler's stack would have them, as ``[depth, values in it if it is a tuple]``.
    """
    stack: list[list[int] | None] = []  # None: a mark
    memo: dict[int, list[int] | None] = {}
    for step, (opcode, argument, _) in enumerate(pickletools.genops(data)):
        name = opcode.name
        if step >= _MAX_STEPS:
            raise ValueError(f"it has more than {_MAX_STEPS:,} steps")
        if name.startswith("EXT"):  # may stand for an object that this process has already loaded
            raise ValueError("it uses copyreg's extensions")
        if name in _PUT or name == "MEMOIZE":
            place = len(memo) if argument is None else int(argument)
            if place > len(data):  # Python's unpickler makes room for all places up to the one named
                raise ValueError(f"it counts to {place} in {len(data)} bytes")
            memo[place] = stack[-1]
        elif name in _GET:
            stack.append(memo[int(argument or 0)])
        elif name == "DUP":
            stack.append(stack[-1])
        elif name == "MARK":
            stack.append(None)
        elif name == "POP":
            stack.pop()
        else:
            _apply(name, opcode, stack)


def _apply(name: str, opcode: Any, stack: list[list[int] | None]) -> None:
    """Take from the stack what an opcode takes, and put there what it gives."""
    taken: list[list[int]] = []
    for kind in reversed(opcode.stack_before):
        if kind is pickletools.markobject:
            continue
        while kind is pickletools.stackslice and (item := stack.pop()) is not None:
            taken.append(item)
        if kind is not pickletools.stackslice:
            item = stack.pop()
            if item is None:
                raise ValueError("a mark stands where a value should")
            taken.append(item)
    if opcode.stack_before and opcode.stack_before[-1] is pickletools.markobject:  # POP_MARK
        while stack.pop() is not None:
            pass
    if not opcode.stack_after:
        return
    base = taken.pop() if name in _ADDS else [0, 1]  # what is added to changes wherever it stands
    base[0] = max([base[0], *(item[0] + 1 for item in taken)])
    if name in _TUPLES:
        base[1] = 1 + sum(item[1] for item in taken)
    if base[0] > _MAX_DEPTH:
        raise ValueError(f"values are nested more than {_MAX_DEPTH} deep")
    if base[1] > _MAX_TUPLE:
        raise ValueError(f"a tuple has more than {_MAX_TUPLE:,} values in it")
    stack.append(base)


def _array(value: Inert) -> NDArray[Any]:
    """Return an array of whole numbers, or one of them, from what NumPy would have been called with."""
    kind, content, dtype = value.origin.rpartition(".")[2], None, None
    if kind == "_reconstruct":
        _, (_,), dtype, _, content = value.state  # of one dimension
    elif kind == "scalar":
        dtype, content = value.args
    elif kind == "_frombuffer":
        content, dtype, *_ = value.args
    if isinstance(content, Inert) and content.origin == "_codecs.encode":  # how protocols before 3 write bytes
        content = content.args[0].encode("latin1")
    if not isinstance(dtype, Inert) or not isinstance(content, (bytes, bytearray)):
        raise ValueError(f"expected whole numbers, got an object of {value.origin}")
    name, order = dtype.args[0], dtype.state[1] if dtype.state else "="
    if name not in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8") or order not in ("<", ">", "|", "="):
        raise ValueError(f"expected whole numbers, got {reprlib.repr(name)}")
    return np.frombuffer(content, f"{order}{name}")


def whole_numbers(data: bytes) -> list[int]:
    """Return whole numbers that were pickled, as a list, a tuple or a NumPy array.

    Raises:
        Exception: of any class; there is something else in it, or it is damaged.
    """
    root = unpickle(data, {})
    if isinstance(root, Inert):
        numbers: list[int] = _array(root).tolist()
        return numbers
    if not isinstance(root, (list, tuple)):
        raise ValueError(f"expected a list of whole numbers, got a {type(root).__name__}")
    numbers = []
    for value in root:
        one = _array(value).tolist() if isinstance(value, Inert) else [value]
        if len(one) != 1 or type(one[0]) is not int:
            raise ValueError(f"expected a whole number for each episode, got a {type(value).__name__}")
        numbers += one
    return numbers
