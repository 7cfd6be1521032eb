"""LeRobot's versions 3 and 2, written here from their public descriptions."""

import io
import json
import pickle
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from naming import naming

from wmcontrol.data.formats.lerobot import LeRobot

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
Image = pytest.importorskip("PIL.Image")

FPS = 10
TOP, SIDE = "observation.images.top", "observation.images.side"
# Episodes 0 and 1 share a table, 2 and 3 the next; 1, 2 and 3 share the second film. Tables and films need not agree.
LENGTHS, TABLES, FILMS = [5, 1, 7, 4], [0, 0, 1, 1], [0, 1, 1, 1]


def grey(episode: int, frame: int) -> int:
    return 20 + 45 * episode + 6 * frame


def write_film(path: Path, greys: list[int], fps: int = FPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "0", "g": "2"})
        stream.width = stream.height = 32
        stream.pix_fmt, stream.time_base = "yuv420p", Fraction(1, fps)
        for value in greys:
            frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), value, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def rows_of(episode: int) -> dict[str, np.ndarray]:
    rng, T = np.random.default_rng(episode), LENGTHS[episode]
    return {
        "observation.state": rng.normal(0, 100, (T, 3)).astype(np.float32),
        "action": rng.normal(0, 100, (T, 2)).astype(np.float32),
        "timestamp": (np.arange(T) / FPS).astype(np.float32),
        "frame_index": np.arange(T),
        "episode_index": np.full(T, episode),
        "index": sum(LENGTHS[:episode]) + np.arange(T),
        "task_index": np.zeros(T, int),
    }


def write_table(path: Path, episodes: list[dict[str, np.ndarray]], row_group_size: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    columns: dict[str, Any] = {}
    for name in episodes[0]:
        values = np.concatenate([episode[name] for episode in episodes])
        columns[name] = pa.array(list(values)) if values.ndim == 2 else pa.array(values)
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)


def episode_rows() -> list[dict[str, Any]]:
    rows, starts = [], [0.0, 0.0]
    for i, length in enumerate(LENGTHS):
        film = FILMS[i]
        rows.append(
            {
                "episode_index": i,
                "tasks": ["push"],
                "length": length,
                "data/chunk_index": 0,
                "data/file_index": TABLES[i],
                "dataset_from_index": sum(LENGTHS[:i]),
                "dataset_to_index": sum(LENGTHS[: i + 1]),
                f"videos/{TOP}/chunk_index": 0,
                f"videos/{TOP}/file_index": film,
                f"videos/{TOP}/from_timestamp": starts[film],
                f"videos/{TOP}/to_timestamp": starts[film] + length / FPS,
                "stats/action/mean": [0.0, 0.0],
            }
        )
        starts[film] += length / FPS
    return rows


def write_episodes(folder: Path, rows: list[dict[str, Any]]) -> None:
    path = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def change_info(folder: Path, **changes: object) -> None:
    path = folder / "meta" / "info.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def write_set(folder: Path) -> Path:
    (folder / "meta").mkdir()
    info = {
        "codebase_version": "v3.0",
        "fps": FPS,
        "total_episodes": len(LENGTHS),
        "total_frames": sum(LENGTHS),
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
        "video_path": "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4",
        "features": {
            TOP: {"dtype": "video", "shape": [32, 32, 3]},
            "observation.state": {"dtype": "float32", "shape": [3]},
            "action": {"dtype": "float32", "shape": [2]},
            "timestamp": {"dtype": "float32", "shape": [1]},
        },
    }
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    write_episodes(folder, episode_rows())
    for number in (0, 1):
        episodes = [rows_of(i) for i in range(4) if TABLES[i] == number]
        write_table(folder / "data" / "chunk-000" / f"file-{number:03d}.parquet", episodes)
        greys = [grey(i, t) for i in range(4) if FILMS[i] == number for t in range(LENGTHS[i])]
        write_film(folder / "videos" / TOP / "chunk-000" / f"file-{number:03d}.mp4", greys)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_set(tmp_path)


def test_episodes_equal_what_was_written(folder: Path) -> None:
    dataset = LeRobot(folder)
    assert dataset.lengths.tolist() == LENGTHS
    assert (dataset.control_rate, dataset.camera, dataset.env_id, dataset.action_bounds) == (10, TOP, None, None)
    for index, length in enumerate(LENGTHS):
        trajectory, rows = dataset.trajectory(index), rows_of(index)
        np.testing.assert_array_equal(trajectory.states, rows["observation.state"])
        np.testing.assert_array_equal(trajectory.actions, rows["action"][:-1])
        np.testing.assert_allclose(trajectory.times, np.arange(length) / FPS)
        asked = [length - 1, 0, length // 2]
        brightness = trajectory.frames.read(asked).mean((1, 2, 3))
        np.testing.assert_allclose(brightness, [grey(index, t) for t in asked], atol=2)


def test_episodes_may_be_listed_in_several_files_and_any_order(folder: Path) -> None:
    rows = episode_rows()
    write_episodes(folder, [rows[3], rows[1]])
    second = folder / "meta" / "episodes" / "chunk-001" / "file-000.parquet"
    second.parent.mkdir()
    pq.write_table(pa.Table.from_pylist([rows[0], rows[2]]), second)
    dataset = LeRobot(folder)
    assert dataset.lengths.tolist() == LENGTHS
    np.testing.assert_array_equal(dataset.trajectory(2).states, rows_of(2)["observation.state"])


def test_fixed_size_lists_and_single_numbers_are_read_too(folder: Path) -> None:
    episodes = [rows_of(0), rows_of(1)]
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    states = np.concatenate([rows["observation.state"] for rows in episodes])
    write_table(path, [{**rows, "action": rows["action"][:, 0]} for rows in episodes])
    table = pq.read_table(path)
    column = pa.FixedSizeListArray.from_arrays(pa.array(states.ravel()), 3)
    place = table.schema.get_field_index("observation.state")
    pq.write_table(table.set_column(place, "observation.state", column), path, row_group_size=4)
    trajectory = LeRobot(folder).trajectory(0)
    np.testing.assert_array_equal(trajectory.states, rows_of(0)["observation.state"])
    np.testing.assert_array_equal(trajectory.actions, rows_of(0)["action"][:-1, :1])


def test_of_several_cameras_one_must_be_named(folder: Path) -> None:
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, SIDE: {"dtype": "video", "shape": [32, 32, 3]}})
    with pytest.raises(ValueError, match=naming(2, "camera", SIDE)):
        LeRobot(folder)
    with pytest.raises(ValueError, match=naming("'front'")):
        LeRobot(folder, camera="front")
    assert len(LeRobot(folder, camera=TOP).trajectory(0).frames) == 5
    assert LeRobot(folder, camera="top").camera == TOP
    with pytest.raises(ValueError, match=naming(f"videos/{SIDE}/chunk_index")):
        LeRobot(folder, camera=SIDE)


def test_data_without_a_camera_have_no_frames(folder: Path) -> None:
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    del features[TOP]
    change_info(folder, features=features)
    assert LeRobot(folder).trajectory(0).frames is None


def test_rewards_are_those_of_the_action_in_the_same_row(folder: Path) -> None:
    assert LeRobot(folder)[2].rewards is None
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, "next.reward": {"dtype": "float32", "shape": [1]}})
    for number in (0, 1):
        episodes = [rows_of(i) | {"next.reward": i + np.arange(LENGTHS[i])} for i in range(4) if TABLES[i] == number]
        write_table(folder / "data" / "chunk-000" / f"file-{number:03d}.parquet", episodes)
    np.testing.assert_array_equal(LeRobot(folder)[2].rewards, 2 + np.arange(6))


def pictures_of(episode: int) -> np.ndarray:
    return np.random.default_rng(episode).integers(0, 256, (LENGTHS[episode], 6, 7, 3), dtype=np.uint8)


def png(picture: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()


def put_images(path: Path, contents: list[bytes]) -> None:
    """Add images to a table, as the package ``datasets`` has them."""
    kind = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    column = pa.array([{"bytes": content, "path": f"frame_{i}.png"} for i, content in enumerate(contents)], kind)
    pq.write_table(pq.read_table(path).append_column(TOP, column), path, row_group_size=5)


def test_images_in_tables_are_read(folder: Path) -> None:
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, TOP: {"dtype": "image", "shape": [6, 7, 3]}})
    for number in (0, 1):
        contents = [png(frame) for i in range(4) if TABLES[i] == number for frame in pictures_of(i)]
        put_images(folder / "data" / "chunk-000" / f"file-{number:03d}.parquet", contents)
    dataset = LeRobot(folder)
    for index in range(4):
        np.testing.assert_array_equal(dataset[index].frames, pictures_of(index))
    np.testing.assert_array_equal(dataset[2].frames[[6, 0, 6]], pictures_of(2)[[6, 0, 6]])


@pytest.mark.parametrize("content", [b"", b"no picture", b"%!PS-Adobe-3.0 EPSF-3.0", None])
def test_what_is_no_image_is_named_and_runs_nothing(folder: Path, content: bytes) -> None:
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, TOP: {"dtype": "image", "shape": [6, 7, 3]}})
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    put_images(path, [png(pictures_of(0)[0])] * 5 + [content])
    LeRobot(folder)[0].frames[0]
    with pytest.raises(ValueError, match=naming("file-000.parquet", "episode_1", TOP)):
        LeRobot(folder)[1].frames[0]
    with pytest.raises(ValueError, match=naming("file-001.parquet", "episode_2", TOP)):
        LeRobot(folder)[2].frames[0]


def test_a_picture_that_is_far_larger_than_its_file_is_refused(folder: Path) -> None:
    features = json.loads((folder / "meta" / "info.json").read_text())["features"]
    change_info(folder, features={**features, TOP: {"dtype": "image", "shape": [6, 7, 3]}})
    path, large = folder / "data" / "chunk-000" / "file-000.parquet", io.BytesIO()
    Image.new("1", (6000, 6000)).save(large, "PNG")
    put_images(path, [png(pictures_of(0)[0])] * 5 + [large.getvalue()])
    with pytest.raises(
        ValueError, match=naming("file-000.parquet", "episode_1", TOP, "6000 by 6000", f"{108_000_000:,}")
    ):
        LeRobot(folder)[1].frames[0]


def write_version_2(folder: Path, version: str = "v2.1") -> Path:
    """As release 0.3 does: a table and a film for each episode, and two episodes in a folder."""
    (folder / "meta").mkdir()
    info = {
        "codebase_version": version,
        "fps": FPS,
        "total_episodes": len(LENGTHS),
        "chunks_size": 2,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {
            TOP: {"dtype": "video", "shape": [32, 32, 3]},
            "observation.state": {"dtype": "float32", "shape": [3]},
            "action": {"dtype": "float32", "shape": [2]},
        },
    }
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    lines = [{"episode_index": i, "tasks": ["push"], "length": length} for i, length in enumerate(LENGTHS)]
    (folder / "meta" / "episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for i, length in enumerate(LENGTHS):
        write_table(folder / "data" / f"chunk-{i // 2:03d}" / f"episode_{i:06d}.parquet", [rows_of(i)])
        film = folder / "videos" / f"chunk-{i // 2:03d}" / TOP / f"episode_{i:06d}.mp4"
        write_film(film, [grey(i, t) for t in range(length)])
    return folder


@pytest.mark.parametrize("version", ["v2.0", "v2.1"])
def test_version_2_is_read_too(tmp_path: Path, version: str) -> None:
    dataset = LeRobot(write_version_2(tmp_path, version))
    assert dataset.lengths.tolist() == LENGTHS
    assert (dataset.control_rate, dataset.camera) == (10, TOP)
    for index, length in enumerate(LENGTHS):
        trajectory, rows = dataset[index], rows_of(index)
        np.testing.assert_array_equal(trajectory.states, rows["observation.state"])
        np.testing.assert_array_equal(trajectory.actions, rows["action"][:-1])
        brightness = np.asarray(trajectory.frames).mean((1, 2, 3))
        np.testing.assert_allclose(brightness, [grey(index, t) for t in range(length)], atol=2)
    files = [file for file in tmp_path.rglob("*.*") if file.is_file() and file.parent.name != "meta"]
    assert len(files) == 8
    prints = {dataset.fingerprint()}
    for file in (files[0], files[-1], tmp_path / "meta" / "episodes.jsonl"):
        file.write_bytes(file.read_bytes() + b" ")
        prints.add(dataset.fingerprint())
    assert len(prints) == 4


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ("", "4 episodes"),
        ('{"episode_index": 0}', "length"),
        ('{"episode_index": 0, "length": 5}\n{"episode_index": 0, "length": 5}', "episode_0"),
        ('{"episode_index": -1, "length": 5}', "episode_index"),
        ('{"episode_index": 0, "length": "5"}', "line 1"),
        ("[" * 10_000, "line 1"),
        ("\xff", "line 1"),
    ],
)
def test_lists_of_episodes_that_make_no_sense_are_refused(tmp_path: Path, lines: str, says: str) -> None:
    file = write_version_2(tmp_path) / "meta" / "episodes.jsonl"
    file.write_bytes(lines.encode("latin1"))
    with pytest.raises(ValueError, match=naming(says) if lines else "not a single episode"):
        LeRobot(tmp_path)
    file.unlink()
    with pytest.raises(FileNotFoundError, match=r"episodes\.jsonl"):
        LeRobot(tmp_path)


def test_version_2_has_its_own_fields_of_paths(tmp_path: Path) -> None:
    change_info(write_version_2(tmp_path), data_path="data/{chunk_index:03d}/{file_index}.parquet")
    with pytest.raises(ValueError, match=r"info\.json: data_path: "):
        LeRobot(tmp_path)


@pytest.mark.parametrize("version", ["v1.6", "v4.0"])
def test_another_version_is_told(folder: Path, version: str) -> None:
    change_info(folder, codebase_version=version)
    with pytest.raises(ValueError, match=naming(version, "v2", "v3")):
        LeRobot(folder)


def test_a_reader_goes_through_pickle(folder: Path) -> None:
    dataset = LeRobot(folder)
    again = pickle.loads(pickle.dumps(dataset))
    np.testing.assert_array_equal(again.trajectory(2).states, dataset.trajectory(2).states)
    frames = pickle.loads(pickle.dumps(dataset.trajectory(2).frames))
    np.testing.assert_allclose(frames.read([3]).mean(), grey(2, 3), atol=2)
    assert again.fingerprint() == dataset.fingerprint()


def test_the_fingerprint_follows_every_file(folder: Path) -> None:
    dataset = LeRobot(folder)
    seen = {dataset.fingerprint()}
    for path in sorted(folder.rglob("*.*")):
        if path.is_file():
            path.write_bytes(path.read_bytes()[:-1] + b"?")
            seen.add(dataset.fingerprint())
    assert len(seen) == 1 + 6


def test_each_missing_file_is_named(folder: Path) -> None:
    names = [path for path in folder.rglob("*.*") if path.is_file()]
    assert len(names) == 6
    for path in names:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(FileNotFoundError, match=str(path)):
            LeRobot(folder)
        path.write_bytes(content)
    LeRobot(folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", ""),
        ("[1]", "list"),
        ('{"fps": 10}', "codebase_version"),
        ('{"codebase_version": "v3.0", "fps": 10}', "'features', 'total_episodes'"),
        ("[" * 100_000, ""),
    ],
)
def test_metadata_that_are_damaged_are_named(folder: Path, text: str, says: str) -> None:
    (folder / "meta" / "info.json").write_text(text)
    with pytest.raises(ValueError, match=rf"info\.json: .*{says}"):
        LeRobot(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fps": 0}, r"fps: .*0"),
        ({"fps": "10"}, "fps: .*'10'"),
        ({"total_episodes": True}, "total_episodes: .*True"),
        ({"total_episodes": 5}, r"5.*info\.json|info\.json.*5.*4"),
        ({"features": {}}, "action"),
        ({"features": {"action": {"dtype": 3}}}, r"features\.action\.dtype: .*3"),
        ({"data_path": 3}, "data_path: .*3"),
    ],
)
def test_metadata_that_make_no_sense_are_refused(folder: Path, changes: dict, message: str) -> None:
    change_info(folder, **changes)
    with pytest.raises(ValueError, match=message):
        LeRobot(folder)


@pytest.mark.parametrize("name", ["data_path", "video_path"])
@pytest.mark.parametrize(
    "template",
    [
        "data/{episode_chunk}",
        "data/{chunk_index.__class__}",
        "data/{chunk_index[0]}",
        "data/{chunk_index!r}",
        "data/{chunk_index:0999999999d}",
        "data/{chunk_index:{file_index}}",
        "data/{video_key:>99}",
        "data/{}",
        "data/{0}",
        "data/{chunk_index",
        "/etc/{chunk_index}",
        "../outside/{chunk_index}",
        "data/../../outside/{chunk_index}",
        "data\\..\\..\\outside",
        "C:\\outside\\{chunk_index}",
    ],
)
def test_paths_have_the_documented_fields_and_stay_in_the_folder(folder: Path, name: str, template: str) -> None:
    change_info(folder, **{name: template})
    with pytest.raises(ValueError, match=rf"info\.json: {name}: "):
        LeRobot(folder)


def test_a_camera_does_not_lead_out_of_the_folder(folder: Path) -> None:
    outside = "../../../outside"
    info = json.loads((folder / "meta" / "info.json").read_text())
    change_info(folder, features={**info["features"], outside: info["features"][TOP]})
    rows = [{key.replace(TOP, outside): value for key, value in row.items()} for row in episode_rows()]
    write_episodes(folder, rows)
    with pytest.raises(ValueError, match=r"info\.json: video_path: .*outside"):
        LeRobot(folder, camera=outside)


def test_other_templates_of_the_documented_fields_are_filled_in(folder: Path) -> None:
    change_info(folder, data_path="tables/{file_index}-{chunk_index:02d}.parquet", video_path=None)
    (folder / "tables").mkdir()
    for number in (0, 1):
        old = folder / "data" / "chunk-000" / f"file-{number:03d}.parquet"
        old.rename(folder / "tables" / f"{number}-00.parquet")
    np.testing.assert_array_equal(LeRobot(folder).trajectory(3).states, rows_of(3)["observation.state"])


def test_a_table_that_claims_more_rows_than_it_can_hold_is_refused(folder: Path) -> None:
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    count = 10_000_000
    names = ("episode_index", "timestamp", "action", "observation.state")
    pq.write_table(pa.table({name: pa.repeat(pa.scalar(0), count) for name in names}), path, row_group_size=count)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(ValueError, match=naming("file-000.parquet")):
        LeRobot(folder).trajectory(0)


def test_a_table_of_episodes_that_claims_more_rows_than_it_can_hold_is_refused(folder: Path) -> None:
    path = folder / "meta" / "episodes" / "chunk-000" / "file-000.parquet"
    table, count = pq.read_table(path), 4_000_000
    columns = {name: pa.repeat(table[name][0], count) for name in table.column_names if "index" in name or "/" in name}
    pq.write_table(pa.table({**columns, "length": pa.repeat(pa.scalar(1), count)}), path)
    assert path.stat().st_size < 500_000
    with pytest.raises(ValueError, match=naming("file-000.parquet", "claims")):
        LeRobot(folder)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 0}, r"episode_2.* 0 "),
        ({"length": 8}, naming("episode_2", 8, 0.1, 0.8, 10)),
        ({"length": None}, "length"),
        ({f"videos/{TOP}/to_timestamp": 0.2}, naming("episode_2", 7, 0.1, 0.2)),
        ({f"videos/{TOP}/from_timestamp": float("nan")}, naming("episode_2", 7, "nan")),
    ],
)
def test_episodes_that_disagree_are_refused_at_opening(folder: Path, changes: dict, message: str) -> None:
    rows = episode_rows()
    rows[2] |= changes
    write_episodes(folder, rows)
    with pytest.raises(ValueError, match=message):
        LeRobot(folder)


def test_rows_of_another_episode_are_refused(folder: Path) -> None:
    rows = episode_rows()
    rows[3]["dataset_from_index"] -= 1
    write_episodes(folder, rows)
    with pytest.raises(ValueError, match=r"file-001\.parquet .*episode_3\).*6"):
        LeRobot(folder).trajectory(3)
    rows[3]["dataset_from_index"] += 2
    write_episodes(folder, rows)
    with pytest.raises(ValueError, match=r"file-001\.parquet .*episode_3\).*11"):
        LeRobot(folder).trajectory(3)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("action", lambda a: np.where(np.arange(7)[:, None] == 2, np.nan, a), r"actions\[2\]"),
        ("observation.state", lambda a: np.where(np.arange(7)[:, None] == 6, np.inf, a), r"states\[6\]"),
        ("action", lambda a: a.astype(str), "action"),
        ("timestamp", lambda a: a + 0.06, r"timestamp\[0\] .*0\.06"),
        ("timestamp", lambda a: a * np.nan, r"timestamp\[0\] .*nan"),
    ],
)
def test_numbers_that_are_wrong_name_file_and_record(folder: Path, name: str, change: object, message: str) -> None:
    rows = rows_of(2)
    path = folder / "data" / "chunk-000" / "file-001.parquet"
    other = {**rows_of(3), name: rows_of(3)[name].astype(change(rows[name]).dtype)}
    write_table(path, [{**rows, name: change(rows[name])}, other])
    with pytest.raises(ValueError, match=rf"file-001\.parquet .*episode_2\): {message}"):
        LeRobot(folder).trajectory(2)


def test_a_column_of_nothing_is_named(folder: Path) -> None:
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    nothing = pa.array([[]] * len(table), pa.list_(pa.float32()))
    pq.write_table(table.set_column(table.schema.get_field_index("timestamp"), "timestamp", nothing), path)
    with pytest.raises(ValueError, match=naming("file-000.parquet", "episode_0", "timestamp")):
        LeRobot(folder).trajectory(0)


def test_the_action_at_the_last_frame_may_be_anything(folder: Path) -> None:
    rows = rows_of(2)
    rows["action"][6] = np.nan
    write_table(folder / "data" / "chunk-000" / "file-001.parquet", [rows, rows_of(3)])
    assert len(LeRobot(folder).trajectory(2).actions) == 6


def test_rows_of_different_sizes_or_null_are_refused(folder: Path) -> None:
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    table = pq.read_table(path)
    place = table.schema.get_field_index("action")
    actions = table["action"].to_pylist()
    for wrong in ([1.0], None):
        column = pa.array([*actions[:1], wrong, *actions[2:]])
        pq.write_table(table.set_column(place, "action", column), path)
        with pytest.raises(ValueError, match=r"episode_0\).*action"):
            LeRobot(folder).trajectory(0)


def test_a_missing_column_is_named(folder: Path) -> None:
    path = folder / "data" / "chunk-000" / "file-000.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["action"]), path)
    with pytest.raises(ValueError, match=naming("file-000.parquet", "action")):
        LeRobot(folder).trajectory(0)


@pytest.mark.parametrize("name", ["meta/episodes", "data"])
def test_a_table_cut_short_is_named(folder: Path, name: str) -> None:
    path = folder / name / "chunk-000" / "file-000.parquet"
    content = path.read_bytes()
    for kept in (0, 10, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:kept])
        with pytest.raises(ValueError, match=rf"{name}/chunk-000/file-000\.parquet"):
            LeRobot(folder).trajectory(0)


def test_a_film_without_the_frame_is_named(folder: Path) -> None:
    path = folder / "videos" / TOP / "chunk-000" / "file-001.mp4"
    content = path.read_bytes()
    write_film(path, [30] * 10)  # 12 were written: the last two of episode_3 are not there
    frames = LeRobot(folder).trajectory(3).frames
    frames.read([1])
    with pytest.raises(ValueError, match=naming("file-001.mp4", "episode_3", "1.000 s", "0.900 s")):
        frames.read([1, 2])
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises((ValueError, OSError), match=r"file-001\.mp4"):
        LeRobot(folder).trajectory(3).frames.read([2])


def test_frames_of_another_episode_cannot_be_reached(folder: Path) -> None:
    frames = LeRobot(folder).trajectory(2).frames
    for index in (7, -1):
        with pytest.raises(IndexError, match="7 frames"):
            frames.read([index])
