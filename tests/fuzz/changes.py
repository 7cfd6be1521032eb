"""What is done to a file: each returns in words what it was, and the words of which an error should have one."""

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
    text, said, fields = _changed_json(rng, json.loads(path.read_text()))
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
        lines[number], said, fields = _changed_json(rng, json.loads(lines[number]))
        said = f"line {number + 1}: {said}"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8", errors="surrogatepass")
    return said, fields


def _changed_json(rng: Rng, value: Any) -> tuple[str, str, tuple[str, ...]]:
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


# Files of torch and of safetensors


def change_torch(rng: Rng, path: Path) -> Change:
    """Save another thing with torch.save, or change what is in its zip file, checksums and all."""
    import torch

    if rng.random() < 0.4 or path.name == "model_latest.pth":
        return _change_zip(rng, path)
    value = torch.load(path, weights_only=True)
    others: dict[str, Callable[[], Any]] = {
        "sparse": lambda: value.to_sparse(),
        "csr": lambda: value.double().reshape(len(value), -1).to_sparse_csr(),
        "meta": lambda: value.to("meta"),
        "dict": lambda: {"a": value},
        "list": lambda: value.tolist(),
        "ragged list": lambda: [[1, 2], [3]],
        "number": lambda: 3,
        "parameter": lambda: torch.nn.Parameter(value.double()),
        "half": lambda: value.half(),
        "bfloat16": lambda: value.bfloat16(),
        "quantized": lambda: torch.quantize_per_tensor(value.float(), 0.1, 0, torch.qint8),
        "complex": lambda: value.to(torch.complex64),
        "float8": lambda: value.float().to(torch.float8_e4m3fn),
        "expanded": lambda: value.reshape(-1)[:1].expand(3, 10**9),
        "huge stride": lambda: torch.zeros(1).expand(10**6, 10**6),
        "nested": lambda: torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)]),
        "conjugate": lambda: torch.conj(value.to(torch.complex64)),
        "transposed": lambda: value.transpose(0, -1),
        "uint8": lambda: value.to(torch.uint8),
        "no dimension": lambda: torch.tensor(3.0),
        "old format": lambda: value,
    }
    if rng.random() < 0.5:
        array, kind = change_array(rng, value.numpy())
        if array.dtype.kind not in "fiubc" or not array.dtype.isnative or array.dtype == np.uint64:
            array, kind = np.zeros(3, np.float32), "zeros"
        torch.save(torch.from_numpy(np.ascontiguousarray(array)), path)
        return f"tensor {kind}", ()
    kind = pick(rng, list(others))
    torch.save(others[kind](), path, _use_new_zipfile_serialization=kind != "old format")
    return f"torch: {kind}", ()


def _change_zip(rng: Rng, path: Path) -> Change:
    """Change one member of a zip file and write the file whole again."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = pick(rng, sorted(members))
    if rng.random() < 0.5:
        name = next((each for each in members if each.endswith("data.pkl")), name)
    kind = pick(rng, ("byte", "byte", "byte", "cut", "gone", "bomb", "renamed", "twice", "pickle", "nan", "number"))
    data = bytearray(members[name])
    at = int(rng.integers(max(1, len(data))))
    if kind == "byte" and data:
        data[at] = int(rng.integers(256))
        members[name] = bytes(data)
    elif kind == "number" and data:  # one number of the pickle
        places = [i for i, byte in enumerate(data[:-5]) if byte in b"KMJ"]
        at = pick(rng, places) if places else at
        data[at + 1 : at + 2] = bytes([int(rng.integers(256))])
        members[name] = bytes(data)
    elif kind == "cut":
        members[name] = bytes(data[:at])
    elif kind == "gone":
        del members[name]
    elif kind == "bomb":
        members[name] = bytes(1 << 30)
    elif kind == "renamed":
        members[f"../{name}"] = members.pop(name)
    elif kind == "pickle" and any(each.endswith("data.pkl") for each in members):
        place = next(each for each in members if each.endswith("data.pkl"))
        name, kind = place, pick(rng, list(hostile_pickles()))
        members[place] = hostile_pickles()[kind]
    elif kind == "nan":
        members[name] = bytes([0xFF]) * len(data)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for each, content in members.items():
            archive.writestr(each, content)
            if kind == "twice" and each == name:
                archive.writestr(f"{each}\0hidden", content)
    return f"{name} in the zip file: {kind} at {at}", ()


def change_safetensors(rng: Rng, path: Path) -> Change:
    """Change the header of a safetensors file, or a tensor of it."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + size]), data[8 + size :]
    name = pick(rng, sorted(set(header) - {"__metadata__"}))
    kind = pick(rng, ("header", "header", "size", "nan", "dtype", "gone", "renamed", "shape"))
    if kind == "header":
        text, said, _ = _changed_json(rng, header)
    elif kind == "size":
        size, said = pick(rng, (0, 1, 2**63, 2**31, size - 1, size + 1)), "size"
        path.write_bytes(size.to_bytes(8, "little") + data[8:])
        return f"header of {size} bytes", ()
    elif kind == "nan":
        begin = header[name]["data_offsets"][0]
        rest, said = rest[:begin] + b"\xff\xff\xff\xff" + rest[begin + 4 :], f"{name} NaN"
        text = json.dumps(header)
    elif kind == "dtype":
        header[name]["dtype"] = pick(rng, ("I32", "F16", "BF16", "F64", "BOOL", "F8_E4M3", "X"))
        text, said = json.dumps(header), f"{name} {header[name]['dtype']}"
    elif kind == "shape":
        header[name]["shape"] = [1, *header[name]["shape"]]
        text, said = json.dumps(header), f"{name} {header[name]['shape']}"
    else:
        value = header.pop(name)
        if kind == "renamed":
            header[f"{name}_"] = value
        text, said = json.dumps(header), f"{name} {kind}"
    raw = text.encode(errors="surrogatepass")
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + rest)
    return said, ()


# HDF5


def change_hdf5(rng: Rng, path: Path, outside: Path) -> Change:
    """Change one object of an HDF5 file."""
    import h5py

    with h5py.File(path, "a") as file:
        names: list[str] = []
        file.visit(names.append)
        name = pick(rng, sorted(names))
        node = file[name]
        parent, key = node.parent, name.rsplit("/", 1)[-1]
        if isinstance(node, h5py.Group) or rng.random() < 0.15:
            return _change_group(rng, file, name, outside), ()
        values = node[()]
        kind = pick(
            rng, ("array", "array", "array", "claims", "external", "link", "virtual", "filter", "text", "chunks")
        )
        del parent[key]
        if kind == "array":
            new, kind = change_array(rng, np.asarray(values)) if np.asarray(values).dtype.kind in "fiub" else (3, "3")
            parent[key] = np.full(np.shape(new), b"x") if getattr(new, "dtype", np.dtype("f")).kind == "M" else new
        elif kind == "claims":
            shape = (10**8, *np.shape(values)[1:])
            parent.create_dataset(key, shape, np.asarray(values).dtype, chunks=True, maxshape=(None, *shape[1:]))
        elif kind == "external":
            spread = np.asarray(values)
            target = [(str(outside / "canary.bin"), 0, max(1, spread.nbytes))]
            parent.create_dataset(key, spread.shape, spread.dtype if spread.dtype != object else "f4", external=target)
        elif kind == "link":
            parent[key] = h5py.ExternalLink(
                pick(rng, (str(outside / "canary.hdf5"), "../outside/canary.hdf5")), "actions"
            )
        elif kind == "virtual":
            layout = h5py.VirtualLayout(np.shape(values) or (1,), "f4")
            layout[...] = h5py.VirtualSource(str(outside / "canary.hdf5"), "many", (100_000,))[
                : max(1, np.size(values))
            ]
            parent.create_virtual_dataset(key, layout)
        elif kind == "filter":
            options = pick(
                rng, ({"compression": 32001}, {"compression": "lzf"}, {"scaleoffset": 2}, {"fletcher32": True})
            )
            try:
                parent.create_dataset(key, data=np.atleast_1d(values), **options)
            except (ValueError, OSError, TypeError):
                parent[key] = np.atleast_1d(values)
        elif kind == "text":
            parent[key] = pick(rng, ("{}", "[" * 100_000, "x"))
        else:
            parent.create_dataset(key, (10**6,) * 2, "f4", chunks=(10**4,) * 2, compression="gzip")
    return f"{name}: {kind}", ()


def _change_group(rng: Rng, file: Any, name: str, outside: Path) -> str:
    import h5py

    kind = pick(rng, ("gone", "renamed", "loop", "soft", "external", "attribute", "attribute", "attribute", "dataset"))
    node = file[name]
    if kind == "gone":
        del file[name]
    elif kind == "renamed":
        file.move(name, f"{name}_")
    elif kind == "loop":
        del file[name]
        file[name] = h5py.SoftLink(f"/{name}")
    elif kind == "soft":
        del file[name]
        file[name] = h5py.SoftLink("/nowhere")
    elif kind == "external":
        del file[name]
        file[name] = h5py.ExternalLink(str(outside / "canary.hdf5"), "/")
    elif kind == "dataset":
        del file[name]
        file[name] = 3
    else:
        found = sorted(node.attrs) or ["total_steps"]
        key = pick(rng, found)
        value = pick(rng, (-1, 2**40, 0.5, np.nan, "3", True, np.zeros(3), h5py.Empty("f"), np.array([2]), 0, None))
        if value is None:
            node.attrs.pop(key, None)
        else:
            node.attrs[key] = value
        kind = f"attribute {key} = {value!r}"
    return f"{name}: {kind}"


# Parquet and Arrow


def change_table(rng: Rng, path: Path) -> Change:
    """Change one column of a parquet file or of an Arrow stream."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    arrow = path.suffix == ".arrow"
    if arrow:
        with pa.ipc.open_file(path) if path.read_bytes()[:6] == b"ARROW1" else pa.ipc.open_stream(path) as stream:
            table = stream.read_all()
    else:
        table = pq.read_table(path)
    place = int(rng.integers(table.num_columns))
    name, rows = table.column_names[place], table.num_rows
    others: dict[str, Callable[[], Any]] = {
        "gone": lambda: None,
        "nulls": lambda: pa.array([None] * rows, table.schema.field(place).type),
        "one null": lambda: pa.array([None, *table[name].to_pylist()[1:]], table.schema.field(place).type),
        "strings": lambda: pa.array(["x"] * rows),
        "NaN": lambda: pa.array([float("nan")] * rows),
        "negative": lambda: pa.array([-1] * rows),
        "huge": lambda: pa.array([2**62] * rows),
        "1e300": lambda: pa.array([1e300] * rows),
        "lists": lambda: pa.array([[1.0, 2.0]] * rows),
        "ragged": lambda: pa.array([[1.0] * (i % 3) for i in range(rows)]),
        "nested": lambda: pa.array([[[1.0]]] * rows),
        "structs": lambda: pa.array([{"a": 1}] * rows),
        "bool": lambda: pa.array([True] * rows),
        "dictionary": lambda: table[name].combine_chunks().dictionary_encode(),
        "dates": lambda: pa.array([0] * rows, pa.timestamp("s")),
        "decimal": lambda: pa.array([1] * rows).cast(pa.decimal128(20, 2)),
        "bytes": lambda: pa.array([b"\0"] * rows),
        "swapped": lambda: pa.chunked_array([table[name].combine_chunks()[::-1]]),
        "float": lambda: pa.array([0.5] * rows),
    }
    kind = pick(rng, [*others, "no rows", "twice", "one row"])
    try:
        if kind == "no rows":
            table = table.slice(0, 0)
        elif kind == "one row":
            table = table.slice(0, 1)
        elif kind == "twice":
            table = pa.concat_tables([table, table])
        elif kind == "gone":
            table = table.remove_column(place)
        else:
            table = table.set_column(place, name, others[kind]())
    except (pa.ArrowException, NotImplementedError):
        kind, table = "no rows", table.slice(0, 0)
    if arrow:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    else:
        pq.write_table(table, path)
    return f"{name}: {kind}", ()


# Whole files


def change_place(rng: Rng, path: Path) -> Change:
    """Take a file away, or put a folder or another file in its place."""
    kind = pick(rng, ("gone", "folder", "another"))
    others = sorted(file for file in path.parent.iterdir() if file.is_file() and file != path)
    if kind == "another" and others:
        data = pick(rng, others).read_bytes()
        path.write_bytes(data)
        return "another file of the folder", ()
    path.unlink()
    if kind == "folder":
        path.mkdir()
    return kind, ()


def change_file(rng: Rng, path: Path, outside: Path) -> Change:
    """Change a file in a way that fits it."""
    chance = rng.random()
    if chance < 0.05:
        return change_place(rng, path)
    if chance < 0.3:
        return change_bytes(rng, path)
    suffix = path.suffix if path.suffix not in ("", ".zarr") else path.name
    if suffix in (".hdf5", ".h5"):
        return change_hdf5(rng, path, outside)
    by_suffix: dict[str, Callable[[Rng, Path], Change]] = {
        **dict.fromkeys((".json", ".zarray", ".zgroup", ".zattrs"), change_json),
        ".jsonl": change_json_lines,
        ".pth": change_torch,
        ".pkl": change_pickle,
        ".npz": change_npz,
        ".safetensors": change_safetensors,
        ".parquet": change_table,
        ".arrow": change_table,
        ".zip": _change_zip,
    }
    return by_suffix.get(suffix, change_bytes)(rng, path)
