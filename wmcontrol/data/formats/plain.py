"""Plain HDF5, zarr and npz files, by the names of their arrays: see docs/data.md."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...untrusted import AnyJson, Integer, MapOf, Nullable, Number, Record, Text
from ...untrusted.schema import Place, parse_json
from ..frames import ImageSize
from .column_dataset import ColumnDataset, Roles, find_frames, find_named, find_states, flat_episodes, grouped_episodes
from .columns import Columns, is_npz, join, open_columns
from .hdf5_file import is_hdf5

ACTIONS = ("actions", "action")
STATES = ("states", "state", "observations", "obs/state")
TIMES = ("times", "timestamps")
REWARDS = ("rewards", "reward")
ENDS = ("episode_ends", "meta/episode_ends")
FLAGS = ("terminals", "timeouts", "terminations", "truncations", "dones")  # true in the last row of an episode
_GROUPS = ("", "data")  # where arrays, or the groups of episodes, may be
_CHOICES = Integer(low=2, high=2**16)
_ATTRIBUTES = Record(
    {},
    {
        "control_rate": Nullable(Number(above=0)),
        "env_id": Nullable(Text(200)),
        "env_settings": Nullable(MapOf(AnyJson())),
        "num_choices": Nullable(_CHOICES),
    },
    others=AnyJson(),
)


def recognises(path: Path) -> bool:
    """Tell whether this is an HDF5 file, a zarr folder or an npz file; other layouts are these too: ask them first."""
    if path.is_dir():
        return path.suffix == ".zarr" or any((path / name).is_file() for name in (".zgroup", "zarr.json"))
    return is_hdf5(path) or is_npz(path) or path.name.endswith(".zarr.zip")


class PlainArrays(ColumnDataset):
    """Trajectories in the arrays of one HDF5 file, zarr store or npz file.

    Arrays are known by their names, and pictures by their shape, (T, height, width, 3) or (T, 3, height, width):

    - ``actions`` or ``action``, (T, …) or (T - 1, …);
    - ``states``, ``state`` or ``observations``, (T, …), or those that are named in ``states=``;
    - ``rewards`` or ``reward``, (T,) or (T - 1,), what each action was given;
    - ``times`` or ``timestamps``, (T,) seconds, where frames are not equally far apart;
    - ``episode_ends``, (N,): the row after the last of each episode; or ``terminals``, ``timeouts``, ``dones`` and the
      like, (T,), which mark it.

    Or they lie in a group for each episode, in the order of the groups' names where numbers count as numbers. Without
    any of these they are one episode. ``control_rate`` (Hz), ``env_id``, ``env_settings`` (JSON) and ``num_choices``
    are attributes of the file (in npz: arrays without dimensions), or settings, which prevail.

    Args:
        path: the file or folder.
        control_rate: actions per second, Hz.
        env_id: of the environment.
        env_settings: what the environment was made with.
        camera: the array that frames are taken from; None where one alone has pictures.
        states: the array that states are taken from, or several, one after the other.
        image_size: of the frames, pixels, to which they are resized: one side, or height and width.
        num_choices: where an action, (T,), chooses one of several, how many there are; they are counted from 0.

    Raises:
        OSError: it cannot be read.
        ValueError: there are neither frames nor states, arrays disagree, or the rate is not known.
    """

    def __init__(
        self,
        path: str | Path,
        control_rate: float | None = None,
        env_id: str | None = None,
        *,
        env_settings: Mapping[str, Any] | None = None,
        camera: str | None = None,
        states: str | tuple[str, ...] | None = None,
        image_size: ImageSize | None = None,
        num_choices: int | None = None,
    ):
        if num_choices is not None:
            _CHOICES.check(num_choices, Place("num_choices"))
        columns = open_columns(Path(path))
        attributes = _attributes(columns)
        group, episodes = _groups(columns)
        shapes = columns.arrays(episodes[0] if episodes else group)
        roles = Roles(
            find_frames(shapes, camera, columns.path),
            find_named(shapes, ACTIONS),
            find_states(shapes, states, STATES, columns.path),
            find_named(shapes, TIMES),
            find_named(shapes, REWARDS),
        )
        roles.check(shapes, columns.path)
        columns.use(join(inner, name) for inner in episodes or [group] for name in roles.names())
        for name in () if episodes else roles.names():
            if not shapes[name]:
                raise ValueError(f"{columns.path}: {name} must have a row for each step, got a single number")
        ends = None if episodes else _ends(columns, group, shapes[roles.names()[0]][0])
        found = flat_episodes(columns, roles, *ends) if ends else grouped_episodes(columns, roles, episodes or [group])
        super().__init__(
            "plain arrays",
            columns,
            roles,
            found,
            control_rate=attributes["control_rate"] if control_rate is None else control_rate,
            env_id=attributes["env_id"] if env_id is None else env_id,
            env_settings=(attributes["env_settings"] or {}) if env_settings is None else env_settings,
            image_size=image_size,
            num_choices=attributes["num_choices"] if num_choices is None else num_choices,
        )


def _groups(columns: Columns) -> tuple[str, list[str]]:
    """Return the group that has the arrays of all episodes, or those that have the arrays of one each."""
    for group in _GROUPS:
        if group and group not in columns.members(""):
            continue
        members = columns.members(group)
        arrays = {name: shape for name, shape in members.items() if shape is not None}
        if find_named(arrays, (*ACTIONS, *STATES)) or any(len(shape) == 4 for shape in arrays.values()):
            return group, []
        inner = [join(group, name) for name in columns.episodes(group) if name not in ("data", "meta")]
        if inner:
            return group, inner
    raise ValueError(
        f"{columns.path}: there is neither an array called actions or states, nor pictures, nor a group for each "
        f"episode; it has {sorted(columns.members(''))}"
    )


def _ends(columns: Columns, group: str, rows: int) -> tuple[NDArray[Any], str, str] | None:
    """Return the row after the last of each episode, the group of the arrays, and which array says so; None if none."""
    names = [name for name in (*ENDS, *(join(group, name) for name in ENDS)) if columns.shape(name) is not None]
    if names:
        columns.use(names[:1])
        return columns.read(names[0], slice(None), columns.path), group, names[0]
    flags = [name for name in (join(group, flag) for flag in FLAGS) if columns.shape(name) is not None]
    if not flags:
        return None
    columns.use(flags)
    last = np.zeros(rows, bool)
    for name in flags:
        if columns.shape(name) != (rows,):
            raise ValueError(f"{columns.path}: {name} must have the shape {(rows,)}, got {columns.shape(name)}")
        flag = columns.read(name, slice(None), columns.path)
        if flag.dtype.kind not in "biuf" or not np.isin(flag, (0, 1)).all():
            raise ValueError(f"{columns.path}: {name} must be true or false, or 1 or 0, for each row")
        last |= flag.astype(bool)
    last[-1:] = True
    return np.flatnonzero(last) + 1, group, " and ".join(flags)


def _attributes(columns: Columns) -> dict[str, Any]:
    given = {name: columns.attribute(name) for name in _ATTRIBUTES.optional}
    place = Place(str(columns.path))
    if isinstance(given["env_settings"], str):
        given["env_settings"] = parse_json(given["env_settings"], AnyJson(), f"{place.source}: env_settings")
    found: dict[str, Any] = _ATTRIBUTES.check(given, place)
    if ":" in (found["env_id"] or ""):  # which Gymnasium would import
        place.inside("env_id").refuse("an id that is registered; give another by env_id=", found["env_id"])
    return found
