"""A folder of videos: what is in it, in which order, and what happens with damaged files."""

import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from naming import naming
from videos import numbers, write_video

from wmcontrol.data import TrajectoryDataset
from wmcontrol.data.formats.reading import fingerprint
from wmcontrol.data.formats.video_folder import VideoFolder, recognises


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(
        tmp_path_factory.mktemp("film") / "film.mkv", [100, 140, 200, 320, 350], codec="ffv1", pix_fmt="bgr0"
    )


@pytest.fixture
def folder(film: Path, tmp_path: Path) -> Path:
    """Three films among other things; one is in a folder of its own."""
    root = tmp_path / "videos"
    (root / "more").mkdir(parents=True)
    write_video(root / "b.mp4", range(0, 1200, 40))
    shutil.copy(film, root / "a.MKV")
    shutil.copy(film, root / "more" / "a.mkv")
    (root / "notes.txt").write_text("not a video")
    (root / "._b.mp4").write_text("a system's own")
    (root / "folder.mp4").mkdir()
    return root


@pytest.fixture
def many(film: Path, tmp_path: Path) -> Path:
    root = tmp_path / "many"
    root.mkdir()
    for index in range(20):
        shutil.copy(film, root / f"{index:02d}.mkv")
    return root


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def test_all_videos_below_it_in_the_order_of_their_names(folder: Path) -> None:
    dataset = VideoFolder(folder, image_size=(24, 32))
    assert isinstance(dataset, TrajectoryDataset)
    assert [dataset.trajectory(i).provenance.record for i in range(3)] == ["a.MKV", "b.mp4", "more/a.mkv"]
    assert dataset.lengths.tolist() == [5, 30, 5]
    assert dataset.control_rate is dataset.env_id is dataset.action_bounds is None
    assert dataset.skipped == []


def test_a_trajectory_has_the_files_frames_and_times_and_no_actions(folder: Path) -> None:
    trajectory = VideoFolder(folder, image_size=(24, 32)).trajectory(2)
    np.testing.assert_allclose(trajectory.times, [0.1, 0.14, 0.2, 0.32, 0.35], rtol=0, atol=1e-9)
    assert trajectory.actions is trajectory.states is None
    frames = trajectory.frames.read([3, 1])
    assert frames.shape == (2, 24, 32, 3)
    assert numbers(frames) == [3, 1]
    assert str(trajectory.provenance) == f"{folder} (video folder, more/a.mkv)"


def test_windows_and_splits_work_on_it(folder: Path) -> None:
    windows = VideoFolder(folder, image_size=(24, 32)).windows(3, 2)
    assert len(windows) == 1 + 26 + 1
    assert numbers(windows[5].frames) == [4, 6, 8]
    one, two = pickle.loads(pickle.dumps(VideoFolder(folder))).split(0.5, seed=0)
    assert len(one) + len(two) == 3


def test_progress_counts_files(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    VideoFolder(folder, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_one_damaged_file_in_twenty_is_named_and_left_out(many: Path) -> None:
    damage(many / "07.mkv")
    dataset = VideoFolder(many)
    assert len(dataset) == 19
    assert [path.name for path, _ in dataset.skipped] == ["07.mkv"]
    assert "100 bytes are missing" in dataset.skipped[0].reason
    assert dataset.trajectory(7).provenance.record == "08.mkv"


def test_two_damaged_files_in_twenty_are_an_error_that_names_them(many: Path) -> None:
    damage(many / "07.mkv")
    (many / "11.mkv").write_bytes(b"")
    with pytest.raises(ValueError, match=naming(2, 20, "5%", "07.mkv", "11.mkv")):
        VideoFolder(many)


def test_no_folder_no_video_and_no_such_number(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        VideoFolder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=naming(tmp_path / "empty")):
        VideoFolder(tmp_path / "empty")
    with pytest.raises(FileNotFoundError, match=naming(folder / "b.mp4")):
        VideoFolder(folder / "b.mp4")
    with pytest.raises(IndexError, match=naming(3)):
        VideoFolder(folder).trajectory(3)
    with pytest.raises(ValueError, match="size"):
        VideoFolder(folder, image_size=(0, 64))


def test_recognises_folders_with_videos_only(folder: Path, tmp_path: Path) -> None:
    assert recognises(folder)
    assert recognises(folder / "more")
    assert not recognises(folder / "b.mp4")
    assert not recognises(folder / "folder.mp4")
    assert not recognises(tmp_path / "nowhere")


def test_fingerprint_tells_files_and_sizes_apart_and_not_places(folder: Path, tmp_path: Path) -> None:
    before = VideoFolder(folder).fingerprint()
    assert VideoFolder(folder).fingerprint() == before
    assert VideoFolder(folder, image_size=(32, 32)).fingerprint() != before
    shutil.copytree(folder, tmp_path / "copy")
    assert VideoFolder(tmp_path / "copy").fingerprint() == before
    os.utime(folder / "b.mp4", ns=(0, 1))
    opened = VideoFolder(folder)
    assert opened.fingerprint() == before
    content = (folder / "b.mp4").read_bytes()
    (folder / "b.mp4").write_bytes(content[:-1] + b"?")
    changed = opened.fingerprint()
    assert changed != before
    (folder / "b.mp4").write_bytes(content)
    (folder / "b.mp4").rename(folder / "c.mp4")
    assert VideoFolder(folder).fingerprint() not in (before, changed)
    assert fingerprint("one", [folder / "c.mp4"], {"a": 1}) != fingerprint("two", [folder / "c.mp4"], {"a": 1})
