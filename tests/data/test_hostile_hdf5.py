"""HDF5 files that lead elsewhere, or claim more than they hold: refused by every reader, and by name."""

import json
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naming import naming

from wmcontrol.data import TrajectoryDataset
from wmcontrol.data.formats.d4rl import D4RLTrajectories
from wmcontrol.data.formats.hdf5_file import open_hdf5
from wmcontrol.data.formats.lewm import LeWM
from wmcontrol.data.formats.minari import MinariTrajectories
from wmcontrol.data.formats.plain import PlainArrays
from wmcontrol.data.formats.robomimic import Robomimic

h5py = pytest.importorskip("h5py")
ROWS = 6


def lewm(path: Path, columns: dict[str, Any]) -> Callable[[], TrajectoryDataset]:
    columns |= {"ep_len": np.array([ROWS]), "ep_offset": np.array([0]), "pixels": np.zeros((ROWS, 4, 4, 3), np.uint8)}
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file.create_dataset(name.replace("actions", "action").replace("observations", "state"), data=values)
    return lambda: LeWM(path, control_rate=10)


def d4rl(path: Path, columns: dict[str, Any]) -> Callable[[], TrajectoryDataset]:
    with h5py.File(path, "w") as file:
        for name, values in (columns | {"terminals": np.zeros(ROWS, bool)}).items():
            file.create_dataset(name, data=values)
    return lambda: D4RLTrajectories(path, maze="umaze")


def minari(path: Path, columns: dict[str, Any]) -> Callable[[], TrajectoryDataset]:
    folder = path.parent
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        group = file.create_group("episode_0")
        group["observations"], group["actions"] = columns["observations"], columns["actions"][:-1]
        group.attrs["total_steps"] = ROWS - 1
    about = {"total_episodes": 1, "total_steps": ROWS - 1, "minari_version": "0.5.0", "data_format": "hdf5"}
    (folder / "metadata.json").write_text(json.dumps(about))
    return lambda: MinariTrajectories(folder, control_rate=10)


def plain(path: Path, columns: dict[str, Any]) -> Callable[[], TrajectoryDataset]:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
    return lambda: PlainArrays(path, control_rate=10)


def robomimic(path: Path, columns: dict[str, Any]) -> Callable[[], TrajectoryDataset]:
    with h5py.File(path, "w") as file:
        file["data/demo_0/actions"], file["data/demo_0/states"] = columns["actions"], columns["observations"]
    return lambda: Robomimic(path, control_rate=10)


READERS = {"lewm": (lewm, "set.h5", "action"), "d4rl": (d4rl, "set.h5", "actions")}
READERS |= {"plain": (plain, "set.h5", "actions"), "robomimic": (robomimic, "set.h5", "data/demo_0/actions")}
READERS |= {"minari": (minari, "main_data.hdf5", "episode_0/actions")}
SECRET = np.full((ROWS, 2), 7, np.float32)


def external_storage(file: Any, name: str, outside: Path) -> None:
    SECRET.tofile(outside / "secret.bin")
    file.create_dataset(name, SECRET.shape, SECRET.dtype, external=[(str(outside / "secret.bin"), 0, SECRET.nbytes)])


def external_link(file: Any, name: str, outside: Path) -> None:
    with h5py.File(outside / "secret.h5", "w") as other:
        other["secret"] = SECRET
    file[name] = h5py.ExternalLink(str(outside / "secret.h5"), "/secret")


def link_to_a_link(file: Any, name: str, outside: Path) -> None:
    external_link(file, "elsewhere", outside)
    file[name] = h5py.SoftLink("/elsewhere")


def virtual(file: Any, name: str, outside: Path) -> None:
    external_link(file, "unused", outside)
    layout = h5py.VirtualLayout(SECRET.shape, SECRET.dtype)
    layout[:] = h5py.VirtualSource(str(outside / "secret.h5"), "secret", SECRET.shape)
    file.create_virtual_dataset(name, layout)


def never_written(file: Any, name: str, _: Path) -> None:
    file.create_dataset(name, SECRET.shape, SECRET.dtype)


def six_gibibytes(file: Any, name: str, _: Path) -> None:
    file.create_dataset(name, (3 * 2**28, 2), np.float32)


def six_gibibytes_of_which_a_chunk_is_there(file: Any, name: str, _: Path) -> None:
    dataset = file.create_dataset(name, (3 * 2**28, 2), np.float32, chunks=(ROWS, 2))
    dataset[:ROWS] = SECRET


def a_chunk_of_a_gibibyte(file: Any, name: str, _: Path) -> None:
    file.create_dataset(name, SECRET.shape, SECRET.dtype, chunks=(2**27, 2), maxshape=(None, 2))
    file[name].id.write_direct_chunk((0, 0), b"x" * 100, filter_mask=0)


def a_chunk_that_becomes_a_hundred_mebibytes(file: Any, name: str, _: Path) -> None:
    # HDF5 before 2 counts the bytes of a chunk in as many bytes as its size asks for: of a small one, in 2.
    file.create_dataset(name, SECRET.shape, SECRET.dtype, chunks=(64, 2), maxshape=(None, 2), compression="gzip")
    file[name].id.write_direct_chunk((0, 0), zlib.compress(bytes(100 << 20)))


def references(file: Any, name: str, _: Path) -> None:
    file.create_dataset(name, data=np.array([file.ref] * ROWS, object), dtype=h5py.ref_dtype)


def a_type_alone(file: Any, name: str, _: Path) -> None:
    file[name] = np.dtype("f4")


KINDS = {
    external_storage: "",
    external_link: r"secret\.h5:/secret",
    link_to_a_link: ":/elsewhere",
    virtual: "",
    never_written: "",
    six_gibibytes: "",
    six_gibibytes_of_which_a_chunk_is_there: "",
    a_chunk_of_a_gibibyte: "chunk",
    a_chunk_that_becomes_a_hundred_mebibytes: "chunk",
    references: "",
    a_type_alone: "",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("reader", READERS)
def test_every_reader_refuses_every_hostile_file(reader: str, kind: Callable[..., None], tmp_path: Path) -> None:
    make, file_name, member = READERS[reader]
    folder, outside = tmp_path / "set", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    rng = np.random.default_rng(0)
    columns = {"observations": 1 + rng.uniform(0, 0.01, (ROWS, 4)), "actions": rng.uniform(-1, 1, (ROWS, 2))}
    call = make(folder / file_name, columns)
    call().trajectory(0)  # as it is, it is read
    with h5py.File(folder / file_name, "a") as file:
        del file[member]
        kind(file, member, outside)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"{file_name}: {member}.*{KINDS[kind]}"):
            call().trajectory(0)
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()


def test_a_frame_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    side = 2**15  # 3 GiB
    with h5py.File(tmp_path / "set.h5", "w") as file:
        frames = file.create_dataset("pixels", (ROWS, side, side, 3), np.uint8, chunks=(1, 8, 8, 3))
        frames[0, :8, :8] = 7
        small = file.create_dataset("small", (ROWS, 480, 640, 3), np.uint8, chunks=(1, 480, 640, 3), compression="gzip")
        small[...] = np.full(small.shape, 7, np.uint8)  # a number alone would be written piece by piece
    assert open_hdf5(tmp_path / "set.h5")["small"].shape == (ROWS, 480, 640, 3)
    with pytest.raises(ValueError, match=naming("set.h5", "pixels", "frame", f"{3 * side * side:,}")):
        open_hdf5(tmp_path / "set.h5")["pixels"]


def test_a_link_on_the_way_to_a_name_is_not_followed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["qpos"] = SECRET
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["infos"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/")
        file["array"] = SECRET
    root = open_hdf5(tmp_path / "a.h5")
    assert "array/qpos" not in root
    for look in (lambda: "infos/qpos" in root, lambda: root["infos/qpos"]):
        with pytest.raises(ValueError, match=naming("a.h5", "infos", tmp_path / "other.h5")):
            look()


def test_a_group_in_itself_ends(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = file["/"]
    group = open_hdf5(tmp_path / "a.h5")
    with pytest.raises(ValueError, match=r"a\.h5: (a/)+a .*32"):
        group["/".join("a" * 100)]


def test_a_data_set_is_looked_at_once(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a"] = [1]
    root = open_hdf5(tmp_path / "a.h5")
    assert root["a"] is root["a"]


def test_an_attribute_of_a_type_that_there_is_not_is_named_when_it_is_read(tmp_path: Path) -> None:
    odd = h5py.h5t.IEEE_F64LE.copy()
    odd.set_fields(63, 52, 11, 0, 52)
    odd.set_ebias(2**20)  # more than any type of NumPy
    with h5py.File(tmp_path / "a.h5", "w") as file:
        group = file.create_group("a")
        group.attrs["good"] = 3
        h5py.h5a.create(group.id, b"odd", odd, h5py.h5s.create(h5py.h5s.SCALAR))
        h5py.h5d.create(group.id, b"numbers", odd, h5py.h5s.create_simple((2,)))
    group = open_hdf5(tmp_path / "a.h5")["a"]
    assert set(group.attrs) == {"good", "odd"}
    assert group.attrs["good"] == 3
    assert group.attrs.get("none") is None
    with pytest.raises(OSError, match=r"a\.h5, attribute odd of a: "):
        group.attrs["odd"]
    with pytest.raises(OSError, match=r"a\.h5, a/numbers: "):
        group["numbers"]


def test_names_that_are_no_text_are_named(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name in (b"a", b"b"):
            h5py.h5g.create(file.id, name)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        h5py.h5a.create(file["a"].id, b"\xff\xfe", h5py.h5t.IEEE_F64LE, space)
        h5py.h5g.create(file["b"].id, b"\xff\xfe")
    root = open_hdf5(tmp_path / "a.h5")
    with pytest.raises(OSError, match=r"a\.h5, attributes of a: .*xff.xfe"):
        list(root["a"].attrs)
    with pytest.raises(OSError, match=r"a\.h5, b: .*xff.xfe"):
        list(root["b"])


def test_a_member_that_is_listed_and_cannot_be_found_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        for name in ("first", "middle", "other"):
            file[name] = [1]
    path.write_bytes(path.read_bytes().replace(b"first", b"zirst"))  # found by its place in the alphabet
    root = open_hdf5(path)
    assert list(root) == ["zirst", "middle", "other"]
    with pytest.raises(OSError, match=r"a\.h5, zirst: "):
        dict(root.items())


def test_what_is_not_there_is_none_or_a_key_error(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["a/b"] = [1]
    root = open_hdf5(tmp_path / "a.h5")
    assert root["a/b"][:].tolist() == [1]
    assert [name for name, _ in root.items()] == ["a"]
    assert root.get("c") is None
    for name in ("c", "a/c", "c/b", "a/b/c"):
        with pytest.raises(KeyError):
            root[name]
