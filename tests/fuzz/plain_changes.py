"""What is done to bytes, JSON, arrays and pickles: each returns in words what it was, and what an error should name.

An error should have one of those words; where there are none, the file's name is enough.
"""

import io
import json
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .child import run

Rng = np.random.Generator
Change = tuple[str, tuple[str, ...]]

RAW = {  # what Python's json cannot write: by a word that stands for it
    "@deep@": "[" * 100_000 + "]" * 100_000,
    "@deep objects@": '{"a":' * 50_000 + "1" + "}" * 50_000,
    "@1e999@": "1e999",
    "@5000 digits@": "1" * 5000,
    "@half@": "[1, ",
}
VALUES: tuple[Any, ...] = (
    *(None, True, False, "true", "false", "", "x", "é\0\ud800", 0, 1, 3, -1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308),
    *(float("nan"), float("inf"), float("-inf"), [], {}, [[]], [1, "a"], [None], {"a": 1}, [1e308] * 3, "x" * 100_000),
    *(
        "../outside/canary.bin",
        "/etc/passwd",
        "{0.__class__}",
        "{chunk_index:>1000000000}",
        "{video_key}/../../x",
        "%s",
    ),
    *("nan", "1e999", "-1", "[1, 2]", "NaN", [float("nan")] * 2, [2, 1], [True, False], list(range(50)), *RAW),
)


def pick(rng: Rng, among: Any) -> Any:
    """Return one of several."""
    return among[int(rng.integers(len(among)))]


# Bytes


def change_bytes(rng: Rng, path: Path) -> Change:
    """Change a file as a broken disk would, or an attacker who does not know what is in it."""
    data = bytearray(path.read_bytes())
    kind = pick(rng, ("flip", "flip", "flips", "cut", "cut", "zeros", "insert", "repeat", "empty", "append", "random"))
    if not data:
        kind = "append"
    at = int(rng.integers(max(1, len(data))))
    if rng.random() < 0.3:
        at = min(at, int(rng.integers(64)))  # headers
    if kind == "flip":
        data[at] ^= 1 << int(rng.integers(8))
    elif kind == "flips":
        for place in rng.integers(len(data), size=int(rng.integers(2, 30))):
            data[place] = int(rng.integers(256))
    elif kind == "cut":
        data = data[:at]
    elif kind == "zeros":
        data[at : at + 64] = bytes(len(data[at : at + 64]))
    elif kind == "insert":
        data[at:at] = rng.bytes(int(rng.integers(1, 20)))
    elif kind == "repeat":
        data[at:at] = data[at : at + 200]
    elif kind == "empty":
        data = bytearray()
    elif kind == "append":
        data += rng.bytes(100)
    else:
        data = bytearray(rng.bytes(len(data)))
    path.write_bytes(data)
    return f"{kind} at {at}", ()


# JSON


def change_json(rng: Rng, path: Path) -> Change:
    """Change one place of a JSON file."""
    text, said, fields = changed_json(rng, json.loads(path.read_text()))
    if path.name.startswith((".z", "zarr")):  # zarr reads these: it has its own words
        fields = ()
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    return said, fields


def change_json_lines(rng: Rng, path: Path) -> Change:
    """Change one line of a file of JSON lines."""
    lines = path.read_text().splitlines()
    number = int(rng.integers(len(lines)))
    if rng.random() < 0.15:
        kind = pick(rng, ("twice", "gone", "swapped", "blank"))
        if kind == "twice":
            lines.insert(number, lines[number])
        elif kind == "gone":
            del lines[number]
        elif kind == "swapped":
            lines[0], lines[number] = lines[number], lines[0]
        else:
            lines.insert(number, "")
        said, fields = f"line {number + 1} {kind}", ()
    else:
        lines[number], said, fields = changed_json(rng, json.loads(lines[number]))
        said = f"line {number + 1}: {said}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return said, fields


def changed_json(rng: Rng, value: Any) -> tuple[str, str, tuple[str, ...]]:
    """Return as JSON a value one place of which is another, and what was done to it."""
    holder = _Holder([value])
    where, key, parents = _place(rng, holder)
    kind = pick(rng, ("value", "value", "value", "value", "gone", "added", "renamed"))
    fields = tuple(str(name) for name in parents if isinstance(name, str))
    if isinstance(where, _Holder):
        kind = "value"
    if kind == "value":
        new = pick(rng, VALUES)
        said = f"{'.'.join(map(str, parents)) or 'all'} = {new!r}"[:120]
        where[key] = new
        fields = _without_raw(new, fields)
    elif kind == "gone":
        said = f"without {'.'.join(map(str, parents))}"
        del where[key]
    elif kind == "added" or not isinstance(where, dict):
        said = f"added beside {'.'.join(map(str, parents))}"
        new = pick(rng, VALUES)
        if isinstance(where, dict):
            where["unheard_of"] = new
            fields = ()
        else:
            where.append(new)
            fields = _without_raw(new, fields)
    else:
        said = f"renamed {'.'.join(map(str, parents))}"
        where[f"{key}_"] = where.pop(key)
    return _json_text(holder[0]), said, fields


def _without_raw(new: Any, fields: tuple[str, ...]) -> tuple[str, ...]:
    """Return the words of a place, or the value as good as they are; of what is no JSON nothing has a name."""
    if isinstance(new, str) and new in RAW and new != "@1e999@":
        return ()
    return (*fields, repr(new)) if fields and len(repr(new)) > 2 else fields


class _Text:
    """JSON that stands in a string of JSON, as Minari has it."""

    def __init__(self, value: Any):
        self.holder = _Holder([value])


class _Holder(list[Any]):
    """A list of one, so that all of a text has a place."""


def _place(rng: Rng, holder: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Return a container, the key of a place in it, and all keys that lead there; strings of JSON are gone into."""
    where: Any = holder
    key: Any = 0
    parents: list[Any] = []
    while True:
        value = where[key]
        if isinstance(value, str) and value[:1] in ("{", "["):
            try:
                where[key] = _Text(json.loads(value))
            except ValueError:
                return where, key, parents
            where, key = where[key].holder, 0
            continue
        if not isinstance(value, (dict, list)) or not value or rng.random() < 0.15:
            return where, key, parents
        where, key = value, pick(rng, sorted(value) if isinstance(value, dict) else range(len(value)))
        parents.append(key)


def _json_text(value: Any) -> str:
    def plain(item: Any) -> Any:
        if isinstance(item, _Text):
            return _json_text(item.holder[0])
        if isinstance(item, dict):
            return {key: plain(each) for key, each in item.items()}
        return [plain(each) for each in item] if isinstance(item, list) else item

    text = json.dumps(plain(value))
    for word, raw in RAW.items():
        text = text.replace(f'"{word}"', raw)
    return text


# Arrays


def change_array(rng: Rng, values: np.ndarray) -> tuple[np.ndarray, str]:
    """Return an array that is not what it was."""
    kinds: dict[str, Callable[[], np.ndarray]] = {
        "NaN": lambda: _with(rng, values.astype(np.float64), np.nan),
        "inf": lambda: _with(rng, values.astype(np.float64), np.inf),
        "1e308": lambda: _with(rng, values.astype(np.float64), 1e308),
        "negative": lambda: _with(rng, values.astype(np.int64), -3),
        "huge": lambda: _with(rng, values.astype(np.int64), 2**62),
        "zero": lambda: np.zeros_like(values),
        "cut": lambda: values[: len(values) // 2] if values.ndim else values,
        "longer": lambda: np.concatenate([values, values]) if values.ndim else values,
        "empty": lambda: values[:0] if values.ndim else values,
        "flat": lambda: values.reshape(-1),
        "deeper": lambda: values[..., None],
        "scalar": lambda: np.array(values.reshape(-1)[0]) if values.size else values,
        "falling": lambda: values[::-1] if values.ndim else values,
        "strings": lambda: np.full(values.shape, "x").astype("S1"),
        "bool": lambda: values.astype(bool),
        "complex": lambda: values.astype(np.complex128),
        "float16": lambda: values.astype(np.float16),
        "uint64": lambda: values.astype(np.uint64),
        "int8": lambda: values.astype(np.int8),
        "big-endian": lambda: values.astype(values.dtype.newbyteorder(">")),
        "dates": lambda: np.zeros(values.shape, "M8[s]"),
        "records": lambda: np.zeros(values.shape, [("a", "f4"), ("b", "i4")]),
    }
    kind = pick(rng, list(kinds))
    with np.errstate(all="ignore"):
        return kinds[kind](), kind


def _with(rng: Rng, values: np.ndarray, value: Any) -> np.ndarray:
    flat = values.reshape(-1).copy()
    if flat.size:
        flat[int(rng.integers(flat.size))] = value
    return flat.reshape(values.shape)


def change_npz(rng: Rng, path: Path) -> Change:
    """Change one array of an npz file, its header, or its name."""
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in file.files}
    name = pick(rng, sorted(arrays))
    kind = pick(rng, ("array", "array", "array", "gone", "added", "header", "header", "object", "renamed", "bomb"))
    members: dict[str, bytes] = {}
    if kind == "array":
        arrays[name], said = change_array(rng, arrays[name])
    elif kind == "gone":
        del arrays[name]
        said = "gone"
    elif kind == "added":
        arrays["unheard_of"], said = np.zeros(3), "added"
    elif kind == "renamed":
        arrays[f"{name}_"], said = arrays.pop(name), "renamed"
    elif kind == "object":
        members[name], said = _npy_bytes(np.array([Touch()], object)), "object"
        del arrays[name]
    elif kind == "bomb":
        del arrays[name]
        members[name], said = _npy_header("<f8", "(1000000000,)") + bytes(8 << 20), "claims 8 GB"
    else:
        shape = pick(
            rng, ("(-1,)", "(1000000000000,)", "(2, 3, 4)", "()", "'x'", "(1e9,)", "(True,)", "(None,)", "((1,),)")
        )
        kinds = ("<f8", "|O", "<U1000000000", "|S0", "x", "<f3", "<i8", "|V8", "[('a','<f4')]", "(" * 300)
        dtype = pick(rng, kinds)
        members[name], said = _npy_header(dtype, shape) + arrays[name].tobytes(), f"header {dtype[:20]} {shape}"
        del arrays[name]
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for each, values in arrays.items():
            archive.writestr(f"{each}.npy", _npy_bytes(values))
        for each, data in members.items():
            archive.writestr(f"{each}.npy", data)
    path.write_bytes(stream.getvalue())
    return f"{name} {said}", ()


def _npy_bytes(values: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.save(stream, values, allow_pickle=True)
    return stream.getvalue()


def _npy_header(dtype: str, shape: str) -> bytes:
    said = f"{{'descr': {dtype if dtype[:1] == '[' else repr(dtype)}, 'fortran_order': False, 'shape': {shape}, }}"
    said = said.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(said)) + said.encode()


# Pickles


class Touch:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return run, (1,)


def hostile_pickles() -> dict[str, bytes]:
    """Pickles that run something, crash an unpickler, or never end."""
    deep = b"\x80\x02" + b"(" * 1 + b")" + b"\x85" * 3_000_000 + b"."
    dtype = b"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR"
    return {
        "runs": b"cfuzz_payload\nrun\n(I1\ntR.",
        "system": b"cos\nsystem\n(S'true'\ntR.",
        "eval": b"cbuiltins\neval\n(S'__import__(\"fuzz_payload\").run(1)'\ntR.",
        "by torch": b"ctorch._utils\n_rebuild_tensor_v2\n(I1\ntR.",
        "by getattr": b"cbuiltins\ngetattr\n(cfuzz_payload\n__builtins__\nS'eval'\ntR.",
        "deep tuples": deep,
        "deep lists": b"\x80\x02" + b"]" * 2_000_000 + b"a" * 1_999_999 + b".",
        "dtype state": dtype + b"(I3\nS'<'\nNNNI-1\nI-1\nI63\ntb.",
        "dtype fields": dtype + b"(I3\nS'|'\nN(S'a'\ntp0\n(dp1\nS'a'\n(" + dtype + b"I100000000\ntsI8\nI1\nI16\ntb.",
        "array state": b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1000000000\nt"
        + dtype
        + b"I0\nS'x'\ntb.",
        "objects": b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\ntcnumpy\ndtype\n"
        b"(S'O8'\nI0\nI1\ntRI0\n(lp0\nI5\natb.",
        "memo": b"\x80\x02K\x05r\xff\xff\xff\x7f.",
        "billion laughs": b"\x80\x02]q\x00(h\x00h\x00e"
        + b"".join(b"]" + bytes([0x71, i]) + b"(" + bytes([0x68, i - 1]) * 10 + b"e" for i in range(1, 12))
        + b".",
        "itself": b"\x80\x02]q\x00h\x00a.",
        "long": b"\x80\x02\x8b\xff\xff\xff\x7f.",
        "bytes": b"\x80\x05\x8e\xff\xff\xff\xff\xff\x00\x00\x00.",
        "strings": pickle.dumps(["5", "3", "6"]),
        "floats": pickle.dumps([5.0, 3.0, float("nan")]),
        "true": pickle.dumps([True, True, True]),
        "huge": pickle.dumps([10**400, 3, 6]),
        "negative": pickle.dumps([-5, 3, 6]),
        "nested": pickle.dumps([[5], [3], [6]]),
        "ragged": pickle.dumps([[5], 3, 6]),
        "dict": pickle.dumps({0: 5}),
        "none": pickle.dumps(None),
        "complex": pickle.dumps([5 + 0j, 3, 6]),
        "many": pickle.dumps([5] * 100_000),
    }


def change_pickle(rng: Rng, path: Path) -> Change:
    """Put another pickle in the place of one."""
    name = pick(rng, list(hostile_pickles()))
    path.write_bytes(hostile_pickles()[name])
    return f"pickle: {name}", ()
