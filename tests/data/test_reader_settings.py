"""What holds of every reader: it is indexed as a list, loads in workers, has no setting that does nothing, and gives
frames of the size that is asked for."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from naming import naming
from torch.utils.data import ConcatDataset, DataLoader, SubsetRandomSampler

from wmcontrol.data import ArrayFrames, open_dataset
from wmcontrol.data.formats import LAYOUTS, reader_of
from wmcontrol.data.frames import ResizedFrames

for _library in ("h5py", "zarr", "pyarrow"):
    pytest.importorskip(_library)

RNG = np.random.default_rng(0)
PUSHT, MEDIUM = "wmcontrol/PushT-v0", "wmcontrol/PointMaze_Medium-v0"


def pictures(count: int, side: int = 32) -> np.ndarray:
    """Smooth ones, which video codecs keep."""
    ramp = np.linspace(0, 200, side * side * 3).reshape(side, side, 3)
    return (ramp + 50 * RNG.uniform(0, 1, (count, 1, 1, 3))).astype(np.uint8)


def dino_wm(folder: Path) -> Path:
    import test_dino_wm_layout as layout

    layout.write_maze(folder)
    for index, length in enumerate(layout.LENGTHS):
        torch.save(torch.from_numpy(pictures(length)), folder / "obses" / f"episode_{index:03d}.pth")
    return folder


def diffusion_policy(folder: Path) -> Path:
    import test_diffusion_policy as layout

    frames = {f"data/{name}": pictures(sum(layout.LENGTHS)) for name in ("img", "side")}
    return layout.write(folder / "set.zarr", {**layout.arrays_of(), **frames})


def lerobot(folder: Path) -> Path:
    import test_lerobot as layout

    layout.write_set(folder)
    rows = layout.episode_rows()
    parts = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")
    more = [{f"videos/{layout.SIDE}/{part}": row[f"videos/{layout.TOP}/{part}"] for part in parts} for row in rows]
    layout.write_episodes(folder, [row | side for row, side in zip(rows, more, strict=True)])
    film = {"dtype": "video", "shape": [32, 32, 3]}
    numbers = {name: {"dtype": "float32", "shape": [2]} for name in ("action", "observation.state")}
    layout.change_info(folder, features={layout.TOP: film, layout.SIDE: film, **numbers})
    for number in (0, 1):
        greys = [layout.grey(i, t) for i in range(4) if layout.FILMS[i] == number for t in range(layout.LENGTHS[i])]
        layout.write_film(folder / "videos" / layout.SIDE / "chunk-000" / f"file-{number:03d}.mp4", greys[::-1])
    return folder


def lerobot_2(folder: Path) -> Path:
    import test_lerobot as layout

    return layout.write_version_2(folder)


def lerobot_images(folder: Path) -> Path:
    import test_lerobot as layout

    layout.write_set(folder)
    features = {layout.TOP: {"dtype": "image", "shape": [32, 32, 3]}, "action": {"dtype": "float32", "shape": [2]}}
    layout.change_info(folder, features=features)
    for number in (0, 1):
        count = sum(length for length, table in zip(layout.LENGTHS, layout.TABLES, strict=True) if table == number)
        layout.put_images(folder / f"data/chunk-000/file-{number:03d}.parquet", [*map(layout.png, pictures(count))])
    return folder


def minari(folder: Path) -> Path:
    import test_minari as layout

    return layout.foreign(folder, [{"top": pictures(5), "wrist": pictures(5), "joints": RNG.normal(size=(5, 3))}])


def d4rl(folder: Path) -> Path:
    import test_d4rl_layout as layout

    return layout.save(folder / "maze2d-umaze-v1.hdf5", layout.generated())


def lewm(folder: Path) -> Path:
    import test_lewm as layout

    columns = layout.columns_of()
    return layout.write(folder / "set.h5", {**columns, "pixels": pictures(len(columns["pixels"]))})


def robomimic(folder: Path) -> Path:
    import test_robomimic as layout

    return layout.write(folder / "image.hdf5", side=32)


def plain(folder: Path) -> Path:
    import test_plain as layout

    more = {"pixels": pictures(12), "side": pictures(12), "joints": RNG.normal(size=(12, 4))}
    return layout.write_hdf5(folder / "set", layout.flat() | more | {"actions": np.arange(12) % 4}, {})


def plain_like(writer: str) -> Callable[[Path], Path]:
    import test_plain as layout

    return lambda folder: layout.WRITERS[writer](folder / "set", layout.grouped(), {"control_rate": 10.0})


def video_folder(folder: Path) -> Path:
    import videos

    videos.write_video(folder / "a.mp4", range(0, 240, 40), frames=list(pictures(6)))
    return folder


def video_actions(folder: Path) -> Path:
    (video_folder(folder) / "a.csv").write_text("action\n" + "".join(f"{number}\n" for number in range(6)))
    return folder


ELSEWHERE = {"env_id": "someone/Env-v0", "env_settings": {"speed": 2}, "control_rate": 5, "image_size": 16}
# Of each layout: who writes a set, what it is opened with, and for every setting that its reader has another value.
SETS: dict[str, tuple[Callable[[Path], Path], dict[str, Any], dict[str, Any]]] = {
    "dino_wm": (dino_wm, {}, {"env_id": MEDIUM, "image_size": 16}),
    "diffusion_policy": (
        diffusion_policy,
        {"camera": "img"},
        {**ELSEWHERE, "camera": "side", "states": ("state", "action")},
    ),
    "robomimic": (
        robomimic,
        {"camera": "agentview"},
        {**ELSEWHERE, "camera": "robot0_eye_in_hand", "states": "obs/robot0_eef_pos", "filter_key": "train"},
    ),
    "plain": (
        plain,
        {"camera": "pixels", "control_rate": 20},
        {**ELSEWHERE, "camera": "side", "states": "joints", "num_choices": 4},
    ),
    "lerobot": (
        lerobot,
        {"camera": "observation.images.top"},
        {"camera": "observation.images.side", "image_size": 16},
    ),
    "minari": (
        minari,
        {"camera": "top", "control_rate": 50},
        {"camera": "wrist", "control_rate": 10, "image_size": 16},
    ),
    "d4rl": (d4rl, {}, {"maze": "medium", "image_size": 16}),
    "lewm": (
        lewm,
        {"env_id": PUSHT},
        {
            "env_id": None,
            "env_settings": {"action_mode": "absolute"},
            "control_rate": 20,
            "image_size": 16,
        },
    ),
    "video_actions": (video_actions, {"image_size": 32}, {"image_size": 16, "progress": None}),
    "video_folder": (video_folder, {"image_size": 32}, {"image_size": 16, "progress": None}),
}
# Other sets of some of these layouts.
MORE: dict[str, tuple[Callable[[Path], Path], dict[str, Any]]] = {
    "lerobot 2": (lerobot_2, {}),
    "lerobot with images": (lerobot_images, {}),
    **{f"plain {writer}": (plain_like(writer), {}) for writer in ("hdf5", "zarr", "npz")},
}
WRITERS = {name: (write, usual) for name, (write, usual, _) in SETS.items()} | MORE
# What belongs together: a rate where there is no environment that has its own.
TOGETHER: dict[tuple[str, str], dict[str, Any]] = {
    ("lewm", "env_id"): {"control_rate": 20},
    ("lewm", "control_rate"): {"env_id": None},
    **{("diffusion_policy", name): {"control_rate": 5} for name in ("camera", "states", "env_id", "env_settings")},
}
DRAWN = ("d4rl",)


def test_all_settings_of_all_layouts_are_tried() -> None:
    assert set(SETS) == {layout.module for layout in LAYOUTS}
    for layout in LAYOUTS:
        names = list(inspect.signature(getattr(layout.load(), layout.reader)).parameters)[1:]
        assert sorted(SETS[layout.module][2]) == sorted(names)


def write_and_open(layout: str, folder: Path) -> Any:
    write, usual = WRITERS[layout]
    folder.mkdir(exist_ok=True)
    return open_dataset(write(folder), **usual)


@pytest.mark.parametrize("layout", WRITERS)
def test_every_set_is_indexed_as_a_list_and_its_frames_as_an_array(tmp_path: Path, layout: str) -> None:
    dataset = write_and_open(layout, tmp_path)
    assert [len(trajectory) for trajectory in dataset] == dataset.lengths.tolist()
    last = dataset[-1]
    assert last.provenance == dataset.trajectory(len(dataset) - 1).provenance
    assert [len(trajectory) for trajectory in dataset[::-1]] == dataset.lengths.tolist()[::-1]
    with pytest.raises(IndexError, match=naming(len(dataset))):
        dataset[len(dataset)]
    every = np.asarray(last.frames)
    assert every.shape == (len(last), *last.frames[0].shape)
    assert every.dtype == np.uint8
    np.testing.assert_array_equal(last.frames[-1], every[-1])
    np.testing.assert_array_equal(last.frames[::-2], every[::-2])
    np.testing.assert_array_equal(last.frames[[0, -1]], every[[0, -1]])


def load_in_workers(root: Path) -> None:
    """Load batches of all layouts in worker processes, and compare them with what is read here."""
    windows = [write_and_open(layout, root / layout).windows(2) for layout in WRITERS]
    starts = np.cumsum([0, *map(len, windows)]).tolist()
    torch.manual_seed(0)
    batches = []
    for start, some in zip(starts, windows, strict=False):
        batches.append([start + i for i in SubsetRandomSampler(range(min(4, len(some))))][:3])
    every = ConcatDataset(windows)
    expected = [[every[number] for number in batch] for batch in batches]  # before workers start: files are open
    for method in ("fork", "spawn"):
        loader = DataLoader(every, batch_sampler=batches, num_workers=2, multiprocessing_context=method)
        for found, windows_read in zip(loader, expected, strict=True):
            assert set(found) == set(windows_read[0])
            for name, values in found.items():
                np.testing.assert_array_equal(values.numpy(), np.stack([window[name] for window in windows_read]), name)
        print(method)


def test_a_data_loader_reads_every_set_in_worker_processes(tmp_path: Path) -> None:
    """In a process of its own, which runs no threads and can be forked."""
    code = f"import pathlib, test_reader_settings as t; t.load_in_workers(pathlib.Path({str(tmp_path)!r}))"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert run.stdout.split() == ["fork", "spawn"], run.stderr


@pytest.mark.parametrize("layout", SETS)
def test_every_setting_changes_what_is_read_and_others_are_refused(tmp_path: Path, layout: str) -> None:
    write, usual, changed = SETS[layout]
    path = write(tmp_path)
    before = open_dataset(path, **usual).fingerprint()
    assert open_dataset(path, **usual).fingerprint() == before
    for name, value in changed.items():
        if name != "progress":
            settings = {**usual, name: value, **TOGETHER.get((layout, name), {})}
            assert open_dataset(path, **settings).fingerprint() != before, name
    for name in ("camera", "control_rate", "env_id", "maze", "rate"):
        if name not in changed:
            with pytest.raises(TypeError, match=naming(reader_of(path).__name__, f"'{name}'")):
                open_dataset(path, **usual, **{name: "anything"})


@pytest.mark.parametrize("layout", SETS)
def test_frames_have_the_size_that_is_asked_for(tmp_path: Path, layout: str) -> None:
    write, usual, _ = SETS[layout]
    path = write(tmp_path)
    whole, half = (open_dataset(path, **{**usual, "image_size": size}).trajectory(0).frames for size in (32, 16))
    assert len(half) == len(whole)
    picked = [1, 0, 1]
    found = half.read(picked)
    assert found.dtype == np.uint8
    if layout in DRAWN:  # rather drawn anew than shrunk
        dataset = open_dataset(path, **usual)
        env = gym.make(dataset.env_id, image_size=16).unwrapped
        env.reset(seed=0)
        np.testing.assert_array_equal(found, env.draw(dataset.trajectory(0).states[picked]))
        with pytest.raises(ValueError, match="image_size"):
            open_dataset(path, **{**usual, "image_size": (16, 20)})
    else:
        areas = whole.read(picked).reshape(3, 16, 2, 16, 2, 3).mean((2, 4))
        np.testing.assert_allclose(found, areas, atol=4 if layout.startswith("video") else 0.5)
        oblong = open_dataset(path, **{**usual, "image_size": (12, 20)}).trajectory(0).frames
        assert oblong.read([0]).shape == (1, 12, 20, 3)
        assert oblong.read([]).shape == (0, 12, 20, 3)
    for wrong in (0, -1, 2.5, "16", True, (16,), (16, 0), 20240105):
        with pytest.raises(ValueError, match="image_size"):
            open_dataset(path, **{**usual, "image_size": wrong})


def test_shrinking_takes_means_over_areas_and_cuts_what_stands_over() -> None:
    frames = RNG.integers(0, 256, (3, 24, 40, 3), dtype=np.uint8)
    found = ResizedFrames(ArrayFrames(frames), (12, 12)).read([2, 0])
    middle = frames[[2, 0]][:, :, 8:32].reshape(2, 12, 2, 12, 2, 3).mean((2, 4))
    np.testing.assert_allclose(found, middle, atol=0.5)
    tall = ResizedFrames(ArrayFrames(frames.swapaxes(1, 2)), (12, 12)).read([2, 0])
    np.testing.assert_array_equal(tall, found.swapaxes(1, 2))
    np.testing.assert_array_equal(ResizedFrames(ArrayFrames(frames), (24, 40)).read([1]), frames[[1]])
    flat = np.full((1, 5, 5, 3), 77, np.uint8)
    assert (ResizedFrames(ArrayFrames(flat), (13, 17)).read([0]) == 77).all()
    with pytest.raises(IndexError):
        ResizedFrames(ArrayFrames(frames), (12, 12)).read([3])
