"""Videos with a table of actions beside each."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from naming import naming
from videos import numbers, picture, write_video

from wmcontrol.data import open_dataset
from wmcontrol.data.formats.video_actions import VideoActions

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
LENGTHS = {"a": 5, "b": 4}


def actions_of(name: str) -> np.ndarray:
    return np.random.default_rng(ord(name)).normal(size=(LENGTHS[name], 2)).round(3)


def write_csv(path: Path, actions: np.ndarray) -> None:
    rows = [f"{i},{x},{y},{i + 0.5}" for i, (x, y) in enumerate(actions)]
    path.with_suffix(".csv").write_text("\n".join(["frame,action_x,action_y,state", *rows]) + "\n")


def write_npz(path: Path, actions: np.ndarray) -> None:
    np.savez(path.with_suffix(".npz"), actions=actions, state=np.arange(len(actions)) + 0.5, notes=np.array("a"))


def write_parquet(path: Path, actions: np.ndarray) -> None:
    columns = {"action": pa.array(actions.tolist()), "observation.state": pa.array(np.arange(len(actions)) + 0.5)}
    pq.write_table(pa.table(columns), path.with_suffix(".parquet"))


WRITERS: dict[str, Callable[[Path, np.ndarray], None]] = {
    "csv": write_csv,
    "npz": write_npz,
    "parquet": write_parquet,
}


def write(folder: Path, writer: str = "csv", aside: bool = False) -> Path:
    films, tables = (folder / "videos", folder / "actions") if aside else (folder, folder)
    for name, length in LENGTHS.items():
        films.mkdir(exist_ok=True)
        tables.mkdir(exist_ok=True)
        frames = [picture(number, 24, 32) for number in range(length)]
        write_video(films / f"{name}.mp4", range(0, 50 * length, 50), frames=frames)
        WRITERS[writer](tables / name, actions_of(name))
    return folder


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("aside", [False, True])
def test_videos_have_the_actions_and_states_of_their_tables(tmp_path: Path, writer: str, aside: bool) -> None:
    dataset = open_dataset(write(tmp_path, writer, aside), image_size=(24, 32))
    assert isinstance(dataset, VideoActions)
    assert dataset.lengths.tolist() == list(LENGTHS.values())
    assert dataset.control_rate == pytest.approx(20)
    for trajectory, name in zip(dataset, LENGTHS, strict=True):
        T = LENGTHS[name]
        np.testing.assert_allclose(trajectory.actions, actions_of(name)[: T - 1])
        np.testing.assert_allclose(trajectory.states, np.arange(T)[:, None] + 0.5)
        np.testing.assert_allclose(trajectory.times, np.arange(T) * 0.05)
        assert numbers(np.asarray(trajectory.frames)) == list(range(T))
    before = dataset.fingerprint()
    table = next(path for path in tmp_path.rglob("a.*") if path.suffix != ".mp4")
    table.write_bytes(table.read_bytes() + b"\n")
    assert dataset.fingerprint() != before


def test_a_csv_without_names_has_actions_alone_and_may_lack_the_last(tmp_path: Path) -> None:
    write(tmp_path)
    np.savetxt(tmp_path / "a.csv", actions_of("a")[:4], delimiter=",")
    trajectory = open_dataset(tmp_path)[0]
    np.testing.assert_allclose(trajectory.actions, actions_of("a")[:4])
    assert trajectory.states is None


def test_a_csv_of_a_spreadsheet_has_all_its_columns(tmp_path: Path) -> None:
    rows = "".join(f"{row},{2 * row}\n" for row in range(5))
    (write(tmp_path) / "a.csv").write_text(f"action_x,action_y\n{rows}", encoding="utf-8-sig")
    np.testing.assert_array_equal(open_dataset(tmp_path)[0].actions, [[row, 2 * row] for row in range(4)])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ()),
        ("x,y\n1,2\n", ("action",)),
        ("action\n1\n2\n", (2, 5)),
        ("action\n1\n2\nthree\n4\n5\n", ("three",)),
        ("action,action_y\n1,2\n3\n", ()),
        ("action\n1\n2\nnan\n4\n5\n", ("actions[2]",)),
        ("\0\n", ()),
        ("action,action\n1,2\n", ("action",)),
    ],
)
def test_tables_that_make_no_sense_are_named(tmp_path: Path, text: str, says: tuple) -> None:
    (write(tmp_path) / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=naming("a.csv" if says != ("actions[2]",) else "a.mp4", *says)):
        open_dataset(tmp_path)[0]


def test_a_table_without_rows_is_named(tmp_path: Path) -> None:
    write(tmp_path, "parquet")
    pq.write_table(pq.read_table(tmp_path / "b.parquet").slice(0, 0), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet"):
        open_dataset(tmp_path)[1]


def test_a_video_without_a_table_or_of_another_rate_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "b.csv").rename(tmp_path / "c.csv")
    with pytest.raises(FileNotFoundError, match=r"b\.mp4"):
        open_dataset(tmp_path)
    (tmp_path / "c.csv").rename(tmp_path / "b.csv")
    write_video(tmp_path / "b.mp4", range(0, 400, 100))
    with pytest.raises(ValueError, match=naming("b.mp4", 10, "a.mp4", 20)):
        open_dataset(tmp_path)
