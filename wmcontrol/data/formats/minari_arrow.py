"""The episodes of a Minari data set in Arrow or Parquet: a folder each, with a table and ``metadata.json``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import AnyJson, Integer, Record, check_claim, read_json
from ..trajectory import Frames, Pixels
from .minari_episodes import Episode, decoded
from .minari_observations import space_of
from .reading import import_library

FORMATS = ("arrow", "parquet")
_EPISODE = Record({"total_steps": Integer(low=0)}, {"options": AnyJson()}, others=AnyJson())


class ArrowEpisodes:
    """Where they lie: one folder for each episode, named by its number.

    Args:
        folder: of the set.
        data_format: one of ``FORMATS``.
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
    def opened(self, index: int) -> Iterator[Episode]:
        """Give an episode, and name it in what goes wrong while it is read."""
        with self._reading(index):
            names = self._dataset(index).schema.names
            observations = actions = None
            if "observations" in names:
                observations = self._observations(index, self._dataset(index).schema.field("observations").type, ())
            if "actions" in names:
                # As many rows as there are observations: the last is padding.
                actions = self._array(index, ("actions",), {})[:-1]
            options = _flat(self._metadata(index).get("options") or {}, "options")
        yield Episode(observations, actions, options)

    def frames(self, index: int, name: str, length: int, jpeg: bool) -> Frames:
        """Return the frames of an episode that an array of its observations has, unread."""
        return _Frames(self, index, name, length, jpeg)

    def images(self, index: int, name: str, wanted: Sequence[int], jpeg: bool) -> Pixels:
        """Read frames of an episode, (len(wanted), height, width, 3)."""
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


@dataclass(frozen=True, eq=False)
class _Frames:
    """Frames in a column of an episode's table."""

    episodes: ArrowEpisodes
    index: int
    name: str
    length: int
    jpeg: bool

    def __len__(self) -> int:
        return self.length

    def read(self, indices: Sequence[int] | NDArray[np.integer[Any]]) -> Pixels:
        """Return the frames with these indices, (len(indices), height, width, 3)."""
        return self.episodes.images(self.index, self.name, np.asarray(indices, dtype=np.intp).tolist(), self.jpeg)


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
