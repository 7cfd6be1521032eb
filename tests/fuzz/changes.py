"""What is done to files of libraries (torch, safetensors, HDF5, parquet and Arrow), and which change fits a file."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from .plain_changes import (
    Change,
    Rng,
    change_array,
    change_bytes,
    change_json,
    change_json_lines,
    change_npz,
    change_pickle,
    changed_json,
    hostile_pickles,
    pick,
)

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
        text, said, _ = changed_json(rng, header)
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
