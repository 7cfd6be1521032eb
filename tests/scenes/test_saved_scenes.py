"""Saved scenes are read back as they were, and a run that was killed ends with the same files."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naming import naming

from wmcontrol.cli.main import main
from wmcontrol.data import open_dataset
from wmcontrol.forecasting.readers import GRASP, SavedScenes, SceneClips
from wmcontrol.runs import OtherRunError
from wmcontrol.scenes import CATEGORIES, TEST_SEED, PairDataset, SceneDataset, SceneDataset3D, save_scenes, scene_sets

SMALL: dict[str, Any] = {
    "num_clips": 3,
    "num_test": 2,
    "num_pairs": 6,
    "image_size": 32,
    "num_frames": 8,
    "frame_rate": 10.0,
}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_scenes(tmp_path_factory.mktemp("scenes"), scene_sets(seed=4, **SMALL))


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "run.json")
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize(("part", "seed"), [("train", 4), ("test", TEST_SEED)])
def test_films_and_labels_are_those_of_the_data_set(saved: Path, part: str, seed: int) -> None:
    films = open_dataset(saved / part, image_size=32)
    count = SMALL["num_clips" if part == "train" else "num_test"]
    clips = SceneDataset(seed, count, image_size=32, num_frames=8, frame_rate=10.0)
    assert len(films) == len(clips)
    for index, clip in enumerate(clips):
        film = films.trajectory(index)
        assert film.frames is not None
        np.testing.assert_array_equal(film.frames.read(range(8)), clip.frames)
        np.testing.assert_allclose(film.times, clip.times, atol=1e-9)
        with np.load(saved / part / "labels" / f"{index:06}.npz") as labels:
            assert sorted(labels) == ["classes", "depth", "instances", "times"]
            for name in labels:
                np.testing.assert_array_equal(labels[name], getattr(clip, name))


@pytest.mark.parametrize("kind", ["segmentation", "depth"])
def test_saved_clips_are_videos_with_labels(saved: Path, kind: Any) -> None:
    found, clips = (
        SavedScenes(saved / "test", kind=kind),
        SceneClips(TEST_SEED, 2, kind=kind, image_size=32, num_frames=8, frame_rate=10.0),
    )
    assert (len(found), found.class_names, found.protocol) == (2, clips.class_names, clips.protocol)
    for one, other in zip(found, clips, strict=True):
        assert one.labelled.tolist() == other.labelled.tolist()
        np.testing.assert_allclose(one.times, other.times, atol=1e-9)
        np.testing.assert_array_equal(one.frames[[5, 2]], other.frames[[5, 2]])
        np.testing.assert_array_equal(one.labels[7], other.labels[7])


def test_labels_that_do_not_fit_are_named(tmp_path: Path) -> None:
    saved = save_scenes(tmp_path, scene_sets(**{**SMALL, "num_clips": 1, "num_test": 0, "num_pairs": 1}))
    with pytest.raises(ValueError, match=naming("run.json", "pairs")):
        SavedScenes(saved / "pairs")
    labels = saved / "train" / "labels" / "000000.npz"
    with labels.open("wb") as file:
        np.savez(file, classes=np.zeros((7, 32, 32), np.uint8), depth=np.zeros((7, 32, 32), np.float32))
    with pytest.raises(ValueError, match=naming("000000.npz", 8, 7)):
        SavedScenes(saved / "train")[0].labels[0]
    with labels.open("wb") as file:
        np.savez(file, classes=np.zeros((8, 32, 32), np.uint8), depth=np.zeros(8, np.float32))
    with pytest.raises(ValueError, match=naming("000000.npz", "depth")):
        SavedScenes(saved / "train")[0].labels[0]
    labels.write_bytes(b"PK")
    with pytest.raises(ValueError, match=naming("000000.npz")):
        SavedScenes(saved / "train")[0].labels[0]
    for film in (saved / "train").glob("*.mp4"):
        film.unlink()
    with pytest.raises(FileNotFoundError, match="train"):
        SavedScenes(saved / "train")


def test_pairs_are_in_the_layout_of_grasp(saved: Path) -> None:
    films = GRASP(saved / "pairs", image_size=32)
    pairs = PairDataset(TEST_SEED, 6, image_size=32, num_frames=32, frame_rate=10.0)
    assert len(films) == 6
    assert {film.category for film in films} == set(CATEGORIES)
    for category in CATEGORIES:
        film, pair = (next(each for each in of if each.category == category) for of in (films, pairs))
        np.testing.assert_array_equal(film.possible.frames.read(range(32)), pair.possible.frames)
        np.testing.assert_array_equal(film.impossible.frames.read(range(32)), pair.impossible.frames)


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same_files(saved: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    save_scenes(tmp_path, scene_sets(seed=4, **SMALL))
    # As a kill leaves it: a clip without its film, a film half written, a pair with one film, and a set not begun.
    (tmp_path / "train" / "000001.mp4").rename(tmp_path / "train" / "000001.mp4.tmp")
    (tmp_path / "pairs" / "IP_gravity" / "000003.mp4").unlink()
    for file in (tmp_path / "test").rglob("*.*"):
        file.unlink()
    kept = (tmp_path / "train" / "000000.mp4").stat().st_mtime_ns
    save_scenes(tmp_path, scene_sets(seed=4, **SMALL), progress=lambda done, total: told.append((done, total)))
    assert contents(tmp_path) == contents(saved)
    assert (tmp_path / "train" / "000000.mp4").stat().st_mtime_ns == kept
    assert told[-1] == (11, 11)


def test_solid_scenes_are_saved_too(tmp_path: Path) -> None:
    made = SceneDataset3D(0, 1, image_size=32, num_frames=2, frame_rate=10.0)
    try:
        clip = made[0]
    except OSError as error:
        pytest.skip(str(error))
    sets = scene_sets(kind="solid", num_clips=1, num_test=0, num_pairs=1, image_size=32, num_frames=2, frame_rate=10.0)
    save_scenes(tmp_path, sets)
    (pair,) = GRASP(tmp_path / "pairs", image_size=32)
    assert (pair.category, len(pair.impossible.times)) == ("permanence", 32)
    frames = open_dataset(tmp_path / "train", image_size=32).trajectory(0).frames
    assert frames is not None
    np.testing.assert_array_equal(frames.read([0, 1]), clip.frames)


def test_other_scenes_in_the_folder_are_refused(saved: Path) -> None:
    with pytest.raises(OtherRunError, match=naming("train.seed", 4, 5)):
        save_scenes(saved, scene_sets(seed=5, **SMALL))


def test_the_command_saves_what_the_function_saves(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"{name}={value}" for name, value in SMALL.items()]
    assert main(["scenes", *words, "seed=4", f"out={tmp_path / 'out'}"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / part) for part in ("pairs", "test", "train")]
    assert contents(tmp_path / "out") == contents(saved)


@pytest.mark.parametrize(
    ("word", "facts"),
    [
        (f"seed={TEST_SEED}", ("seed", TEST_SEED)),
        ("num_test=-1", ("num_test", -1)),
        ("kind=round", ("kind", "flat", "solid")),
        ("image_size=16", ("image_size", 16)),
    ],
)
def test_mistakes_are_named_before_a_folder_is_made(
    word: str, facts: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["scenes", word, f"out={tmp_path / 'out'}"]) == 2
    assert re.search(naming(*facts), capsys.readouterr().err)
    assert not (tmp_path / "out").exists()
