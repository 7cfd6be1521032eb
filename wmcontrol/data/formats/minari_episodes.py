"""The episodes of a Minari data set, in HDF5 or Arrow, and what of their observations are states and frames."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import AnyJson, Integer, Record, check_claim, read_json
from ..frames import decoded, pick_camera
from ..trajectory import Floats, Provenance
from .hdf5_file import open_hdf5, reading
from .reading import PerProcess, import_library

ARROW = ("arrow", "parquet")
_EPISODE = Record({"total_steps": Integer(low=0)}, {"options": AnyJson()}, others=AnyJson())
_GOALS = ("goal", "desired", "achieved")  # names with one of these are of the task, not of the world


@dataclass(frozen=True)
class Episode:
    """What is stored of an episode, as yet unread.

    Attributes:
        observations: an array by itself, or by name, nested; None where there are none.
        actions: an array; None where there are none.
        rewards: the same, and where they were not asked for.
        attributes: what is known of it besides, the options of its reset as ``"options/a/b"``.
    """

    observations: Any
    actions: Any
    rewards: Any
    attributes: Any


class Hdf5Episodes:
    """Where they lie: ``main_data.hdf5``."""

    def __init__(self, folder: Path):
        self.path = folder / "main_data.hdf5"
        self._file = PerProcess(partial(open_hdf5, self.path))

    def files(self) -> list[Path]:
        """Return all files that are read."""
        return [self.path]

    def count(self) -> int:
        """Return how many there are."""
        with reading(self.path, "all episodes"):
            return sum(1 for _ in self._file.get())

    def steps(self, index: int) -> Any:
        """Return how many steps an episode says that it has."""
        with reading(self.path, f"episode_{index}"):
            return self._group(index).attrs.get("total_steps")

    @contextmanager
    def opened(self, index: int, rewards: bool = False) -> Iterator[Episode]:
        """Give an episode, and name it in what goes wrong while it is read."""
        with reading(self.path, f"episode_{index}"):
            group = self._group(index)
            given = group.get("rewards") if rewards else None
            yield Episode(group.get("observations"), group.get("actions"), given, group.attrs)

    def images(self, index: int, name: str, jpeg: bool, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read images of an episode, by the name of an array of its observations, (len(rows), height, width, 3)."""
        with reading(self.path, f"episode_{index}"):
            stored = self._file.get()["/".join(filter(None, [f"episode_{index}", "observations", name]))]
            # One by one: a list of numbers HDF5 picks slowly. The first, where none is wanted, for its shape.
            frames = [stored[row] for row in rows.tolist() or [0]]
            return np.stack([decoded(frame) if jpeg else np.asarray(frame) for frame in frames])[: len(rows)]

    def _group(self, index: int) -> Any:
        group = self._file.get().get(f"episode_{index}")
        if group is None:
            raise ValueError(f"{self.path} has no episode_{index}, which metadata.json counts")
        if not hasattr(group, "items"):
            raise ValueError(f"{self.path}: episode_{index} must be a group, got {group.dtype} {group.shape}")
        return group


class ArrowEpisodes:
    """Where they lie: one folder for each episode, named by its number.

    Args:
        folder: of the set.
        data_format: one of ``ARROW``.
        spaces: of the observations, as Minari's metadata have them: Arrow has arrays as lists, without their shapes.

    Raises:
        ImportError: pyarrow is not installed.
    """

    def __init__(self, folder: Path, data_format: str, spaces: Mapping[str, Any]):
        import_library("pyarrow.dataset")
        self.path = folder
        self._format, self._spaces = data_format, spaces

    def files(self) -> list[Path]:
        """Return all files that are read."""
        return sorted(file for file in self.path.glob("*/*") if file.is_file())

    def count(self) -> int:
        """Return how many there are."""
        return sum(folder.is_dir() for folder in self.path.iterdir())

    def steps(self, index: int) -> Any:
        """Return how many steps an episode says that it has."""
        return self._metadata(index).get("total_steps")

    @contextmanager
    def opened(self, index: int, rewards: bool = False) -> Iterator[Episode]:
        """Give an episode, and name it in what goes wrong while it is read."""
        with self._reading(index):
            names = self._dataset(index).schema.names
            observations = actions = given = None
            if "observations" in names:
                observations = self._observations(index, self._dataset(index).schema.field("observations").type, ())
            if "actions" in names:
                # As many rows as there are observations: the last is padding.
                actions = self._array(index, ("actions",), {})[:-1]
            if rewards and "rewards" in names:
                given = self._array(index, ("rewards",), {})[:-1]
            options = _flat(self._metadata(index).get("options") or {}, "options")
        yield Episode(observations, actions, given, options)

    def images(self, index: int, name: str, jpeg: bool, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Read images of an episode, by the name of an array of its observations, (len(rows), height, width, 3)."""
        wanted = rows.tolist()
        with self._reading(index):
            column = self._column(index, ("observations", *filter(None, name.split("/"))))
            # The first, where none is wanted: its shape.
            picked = column.take(import_library("pyarrow").array(wanted or [0]))
            if jpeg:
                frames = np.stack([decoded(value.as_py()) for value in picked])
            else:
                frames = _array(picked, space_of(self._spaces, name), f"{self.path}, episode_{index}: {name}")
            return frames if wanted else frames[:0]

    def _observations(self, index: int, kind: Any, path: tuple[str, ...]) -> Any:
        """Return an episode's observations, but of images no more than what they are."""
        types: Any = import_library("pyarrow.types")
        if types.is_struct(kind):
            return {field.name: self._observations(index, field.type, (*path, field.name)) for field in kind}
        space = space_of(self._spaces, "/".join(path))
        shape = space.get("shape") or []
        if space.get("dtype") == "uint8" and len(shape) == 3:
            rows = self._dataset(index).count_rows()
            if types.is_binary(kind):
                return np.broadcast_to(np.array(None, object), (rows,))
            return np.broadcast_to(np.uint8(0), (rows, *shape))
        return self._array(index, ("observations", *path), space)

    def _metadata(self, index: int) -> dict[str, Any]:
        path = self.path / str(index) / "metadata.json"
        if not path.exists():
            raise FileNotFoundError(f"there is no {path}, which says how long the episode is")
        found: dict[str, Any] = read_json(path, _EPISODE)
        return found

    def _array(self, index: int, path: tuple[str, ...], space: Mapping[str, Any]) -> NDArray[Any]:
        return _array(self._column(index, path), space, f"{self.path}, episode_{index}: {'/'.join(path)}")

    def _dataset(self, index: int) -> Any:
        folder, ignored = str(self.path / str(index)), ["_", ".", "metadata.json"]
        return import_library("pyarrow.dataset").dataset(folder, format=self._format, ignore_prefixes=ignored)

    def _column(self, index: int, path: tuple[str, ...]) -> Any:
        """Return a column, or a part of it, as one array."""
        field = import_library("pyarrow.dataset").field(*path)
        dataset = self._dataset(index)
        kind: Any = dataset.schema.field(path[0]).type
        for name in path[1:]:
            kind = kind.field(name).type
        claimed, where = dataset.count_rows() * _row_size(kind), f"{self.path}, episode_{index}: {'/'.join(path)}"
        check_claim(where, claimed, sum(Path(file).stat().st_size for file in dataset.files))
        column = dataset.to_table(columns={"it": field})["it"]
        column.validate(full=True)  # else what is damaged may lead into memory that is not the column's
        whole = column.combine_chunks()
        return whole.chunk(0) if hasattr(whole, "chunk") else whole

    @contextmanager
    def _reading(self, index: int) -> Iterator[None]:
        arrow: Any = import_library("pyarrow")
        try:
            yield
        except FileNotFoundError:
            raise
        except (arrow.ArrowException, OSError) as error:
            raise OSError(f"{self.path}, episode_{index}: it cannot be read, is it whole? {error}") from error


def _array(column: Any, space: Mapping[str, Any], where: str) -> NDArray[Any]:
    """Return a column as a NumPy array; lists in the shape that the space says."""
    if not import_library("pyarrow.types").is_fixed_size_list(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    size = column.type.list_size
    shape = space.get("shape") or [size]
    numbers = column.flatten().to_numpy(zero_copy_only=False)
    if prod(shape) != size or numbers.size != len(column) * size:
        raise ValueError(
            f"{where}: expected {len(column)} arrays of shape {shape}, got {numbers.size} numbers, {size} in each"
        )
    return np.asarray(numbers.reshape(-1, *shape))


def _row_size(kind: Any) -> int:
    """Return how many bytes a row of a column takes, 0 where rows differ."""
    types: Any = import_library("pyarrow.types")
    if types.is_fixed_size_list(kind):
        return int(kind.list_size) * _row_size(kind.value_type)
    return int(kind.bit_width) // 8 if types.is_primitive(kind) else 0


def _flat(options: Any, name: str) -> dict[str, Any]:
    """Return what Minari's HDF5 has as attributes: ``{"options/a/b": value}``."""
    if not isinstance(options, Mapping):
        return {name: options}
    return {key: value for part, inner in options.items() for key, value in _flat(inner, f"{name}/{part}").items()}


def leaves(observations: Any, provenance: Provenance, prefix: str = "") -> dict[str, Any]:
    """Return all arrays of the observations by name, as ``"a/b"``; one array by itself has the name ``""``.

    Raises:
        ValueError: what is neither an array nor a group of them, such as a link to nowhere.
    """
    if hasattr(observations, "shape"):
        return {prefix: observations}
    if not hasattr(observations, "items"):
        raise ValueError(f"{provenance}: {prefix or 'observations'} must be an array or a group of them")
    found: dict[str, Any] = {}
    for name, part in observations.items():
        found |= leaves(part, provenance, f"{prefix}/{name}" if prefix else name)
    return found


def find_states(found: Mapping[str, Any], provenance: Provenance) -> Floats | None:
    """Read the states (T, n) among observations (see :class:`~wmcontrol.data.formats.minari.MinariTrajectories`)."""
    for name in ("state", "", "observation"):
        if name in found and _is_vector(found[name]):
            return _vectors([found[name]])
    if "state" in found:
        leaf = found["state"]
        raise ValueError(f"{provenance}: state must be numbers (T, n), got {leaf.dtype} {leaf.shape}")
    vectors = [found[name] for name in sorted(found) if _is_vector(found[name]) and not _is_goal(name)]
    return _vectors(vectors) if vectors else None


def find_images(
    found: Mapping[str, Any], spaces: Mapping[str, Any], camera: str | None, provenance: Provenance
) -> tuple[str, bool] | None:
    """Return which of the observations are the frames, and whether they are JPEG files; None where none are.

    Raises:
        ValueError: there are no images of this name, or none is named and there are several.
    """
    kinds = {name: _image_kind(leaf, space_of(spaces, name)) for name, leaf in found.items()}
    images = [name for name, kind in kinds.items() if kind]
    if camera is None:
        images = ["pixels"] if "pixels" in images else [name for name in images if not _is_goal(name)]
    camera = pick_camera(images, camera, provenance)
    return None if camera is None else (camera, kinds[camera] == "jpeg")


def space_of(spaces: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return the space of one array, {} where nobody wrote it down."""
    for key in filter(None, name.split("/")):
        inner = spaces.get("subspaces") or {}
        if isinstance(inner, list):
            number = key.removeprefix("_index_")  # HDF5 has names, Arrow numbers
            inner = {key: inner[int(number)]} if number.isdecimal() and int(number) < len(inner) else {}
        spaces = inner.get(key) or {}
    return spaces


def _is_goal(name: str) -> bool:
    return any(word in name for word in _GOALS)


def _is_vector(leaf: Any) -> bool:
    return leaf.dtype.kind in "fiub" and leaf.dtype != np.uint8 and leaf.ndim in (1, 2)


def _vectors(found: list[Any]) -> Floats:
    return np.concatenate([np.asarray(leaf[()], np.float64).reshape(len(leaf), -1) for leaf in found], axis=1)


def _image_kind(leaf: Any, space: Mapping[str, Any]) -> str | None:
    """Say whether these are images: raw ones say so themselves, of JPEG files the space does."""
    if leaf.ndim == 4:
        return "raw" if leaf.dtype == np.uint8 and leaf.shape[-1] == 3 else None
    shape = space.get("shape") or []
    files = leaf.dtype.kind == "O" or (leaf.dtype == np.uint8 and leaf.ndim == 2)
    return "jpeg" if files and space.get("dtype") == "uint8" and len(shape) == 3 and shape[-1] == 3 else None
