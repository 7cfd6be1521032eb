"""Latent stores: what is in them, what they are keyed by, kills, full disks and broken files."""

import errno
import json
import math
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naming import naming
from sets import Memory

from wmcontrol.data import (
    ArrayDataset,
    ArrayFrames,
    LatentStore,
    Subset,
    Trajectory,
    TrajectoryDataset,
    encode,
    fit_encoder,
)
from wmcontrol.encoders import Encoder, PyramidEncoder, register_encoder, registry
from wmcontrol.encoders.files import encoder_digest, load_encoder, save_encoder

PLACES = [str(Path(__file__).parents[i]) for i in range(2)]  # of the modules that the tests import


def encoder(seed: int = 0, dim: int = 6) -> PyramidEncoder:
    made = PyramidEncoder(dim, tokens=(2, 2))
    made.fit(torch.randint(0, 256, (60, 16, 16, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)))
    return made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    return encode(Memory(), encoder(), tmp_path_factory.mktemp("stores"))


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 1e-3), ("bfloat16", 8e-3), ("float32", 1e-6)])
def test_tokens_are_the_encoders_and_the_rest_is_the_datas(dtype: str, tolerance: float, tmp_path: Path) -> None:
    dataset, made = Memory(), encoder()
    store = encode(dataset, made, tmp_path, dtype=dtype, batch_size=4)
    assert store.tokens.dtype == getattr(torch, dtype)
    assert store.tokens.shape == (33, 4, 6)
    assert store.grid == (2, 2)
    assert store.frame_size == (16, 16)
    for i in range(len(dataset)):
        trajectory, start = dataset.trajectory(i), int(store.offsets[i])
        rows = slice(start, start + len(trajectory))
        frames = torch.from_numpy(trajectory.frames.read(range(len(trajectory))))
        torch.testing.assert_close(store.tokens[rows].float(), made(frames), rtol=tolerance, atol=tolerance)
        assert np.array_equal(store.times[rows], trajectory.times)
        assert np.array_equal(store.states[rows], trajectory.states)
        assert np.array_equal(store.actions[rows][:-1], trajectory.actions)
    assert store.control_rate == 10.0
    statistics, expected = store.action_statistics([1, 3]), Subset(dataset, [1, 3]).action_statistics()
    np.testing.assert_array_equal(statistics.mean, expected.mean)
    np.testing.assert_array_equal(statistics.std, expected.std)


def test_the_store_brings_its_encoder(store: LatentStore) -> None:
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    assert torch.equal(store.encoder(frames), encoder()(frames))


def test_a_finished_store_is_opened_and_nothing_is_encoded_again(tmp_path: Path) -> None:
    first = encode(Memory(), encoder(), tmp_path)
    before = (first.folder / "tokens.bin").stat().st_mtime_ns
    calls: list[tuple[int, int]] = []
    second = encode(Memory(), encoder(), tmp_path, progress=lambda *done: calls.append(done))
    assert second.folder == first.folder
    assert not calls
    assert (first.folder / "tokens.bin").stat().st_mtime_ns == before


def test_the_key_follows_all_that_decides_the_tokens(tmp_path: Path) -> None:
    other = Memory(size=24)
    folders = [
        encode(data, made, tmp_path, dtype=dtype).folder
        for data, made, dtype in (
            (Memory(), encoder(), "float16"),
            (Memory(), encoder(seed=1), "float16"),  # other weights
            (Memory(), encoder(dim=5), "float16"),  # other settings
            (Memory(seed=1), encoder(), "float16"),
            (other, encoder(), "float16"),
            (Memory(), encoder(), "bfloat16"),
            (Subset(Memory(), [0, 1]), encoder(), "float16"),
        )
    ]
    assert len(set(folders)) == 7


def test_deviations_of_tokens_are_those_of_the_trajectories_asked_for(
    store: LatentStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, end = (int(store.offsets[1]), int(store.offsets[1] + store.lengths[1]))
    by_hand = store.tokens[begin:end].double().reshape(-1, 6).std(0, correction=0)
    assert store.token_std([1]) == pytest.approx(by_hand.tolist())
    assert store.token_std() == pytest.approx(store.tokens.double().reshape(-1, 6).std(0, correction=0).tolist())
    monkeypatch.setattr("wmcontrol.data.latent_store._STD_TOKENS", 4 * 3)  # of 4 patches: at most three frames
    stride = -(-len(store.tokens) // 3)
    while math.gcd(stride, int(np.median(store.lengths))) > 1:
        stride += 1
    expected = store.tokens[::stride].double().reshape(-1, 6).std(0, correction=0)
    assert store.token_std() == pytest.approx(expected.tolist())


def test_deviations_are_of_all_moments_of_trajectories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ramp = np.linspace(0, 250, 8).astype(np.uint8)[:, None, None, None] * np.ones((1, 16, 16, 3), np.uint8)
    many = ArrayDataset(np.stack([ramp] * 12), np.zeros((12, 7, 2)), control_rate=10)
    store = encode(many, encoder(), tmp_path)
    monkeypatch.setattr(
        "wmcontrol.data.latent_store._STD_TOKENS", 4 * 12
    )  # each eighth frame would be the first of all
    assert store.token_std() == pytest.approx(
        store.tokens.double().flatten(0, 1).std(0, correction=0).tolist(), rel=0.2
    )


def test_windows_are_those_of_the_data_set(store: LatentStore) -> None:
    windows, expected = store.windows(3, 2), Memory().windows(3, 2)
    assert len(windows) == len(expected)
    numbers = np.array([5, 0, len(windows) - 1, 5])
    batch = windows.batch(numbers)
    assert batch.tokens.shape == (4, 3, 4, 6)
    for row, number in enumerate(numbers.tolist()):
        window = expected[number]
        torch.testing.assert_close(
            batch.tokens[row].float(), encoder()(torch.from_numpy(window.frames)), rtol=1e-3, atol=1e-3
        )
        assert np.array_equal(batch.times[row], window.times)
        np.testing.assert_array_equal(batch.actions[row], window.actions.astype(np.float32))
    with pytest.raises(IndexError, match="there are"):
        windows.batch(np.array([len(windows)]))


@given(
    members=st.lists(st.integers(0, 3), min_size=1, max_size=4, unique=True),
    num_frames=st.integers(1, 4),
    frameskip=st.integers(1, 3),
)
@settings(max_examples=40, deadline=None)
def test_windows_of_some_trajectories_are_those_of_the_subset(
    store: LatentStore, members: list[int], num_frames: int, frameskip: int
) -> None:
    subset = Subset(Memory(), members)
    try:
        expected = subset.windows(num_frames, frameskip)
    except ValueError:
        with pytest.raises(ValueError, match=naming(num_frames)):
            store.windows(num_frames, frameskip, subset)
        return
    windows = store.windows(num_frames, frameskip, subset)
    batch = windows.batch(np.arange(len(windows)))
    assert np.array_equal(batch.times, np.stack([expected[i].times for i in range(len(expected))]))
    actions = np.stack([expected[i].actions for i in range(len(expected))]).astype(np.float32)
    np.testing.assert_array_equal(batch.actions, actions)
    assert torch.equal(store.windows(num_frames, frameskip, members).batch(np.array([0])).tokens, batch.tokens[:1])


def test_a_store_travels_to_other_processes_as_its_path(store: LatentStore) -> None:
    sent = pickle.dumps(store.windows(3, 2))
    assert len(sent) < 4000 + store.actions.nbytes + store.times.nbytes  # and not the tokens
    there = pickle.loads(sent)
    numbers = np.array([3, 1])
    assert torch.equal(there.batch(numbers).tokens, store.windows(3, 2).batch(numbers).tokens)


def test_a_split_of_another_set_does_not_fit(store: LatentStore) -> None:
    for other in (Memory([5] * 9), Memory(seed=1)):
        with pytest.raises(ValueError, match="is a store of other data than those that were split"):
            store.windows(2, 1, Subset(other, [0]))
    with pytest.raises(ValueError, match="trajectory"):
        store.windows(2, 1, [0, 0])
    with pytest.raises(ValueError, match=naming(0, 3)):
        store.windows(2, 1, [4])


def test_data_without_actions_gives_windows_without_them(tmp_path: Path) -> None:
    store = encode(Memory(with_actions=False), encoder(), tmp_path)
    assert store.windows(2).batch(np.array([0])).actions is None
    with pytest.raises(ValueError, match="actions"):
        store.action_statistics()


class Changed(Memory):
    """One trajectory is not like the others."""

    def __init__(self, change: Any):
        super().__init__()
        self.change = change

    def trajectory(self, index: int) -> Trajectory:
        trajectory = super().trajectory(index)
        return self.change(trajectory) if index == 2 else trajectory


def test_frames_that_cannot_be_encoded_are_named(tmp_path: Path) -> None:
    none = Changed(lambda t: replace(t, frames=None))
    with pytest.raises(ValueError, match=naming("walk_2", "frames")):
        encode(none, encoder(), tmp_path / "a")
    larger = Changed(lambda t: replace(t, frames=ArrayFrames(np.zeros((len(t), 20, 16, 3), np.uint8))))
    with pytest.raises(ValueError, match=naming("walk_2", "16 x 16", "20 x 16")):
        encode(larger, encoder(), tmp_path / "b")
    floats = Changed(lambda t: replace(t, frames=ArrayFrames(np.zeros((len(t), 16, 16, 3), np.float32))))
    with pytest.raises(ValueError, match=naming("walk_2", 5, "uint8", "float32")):
        encode(floats, encoder(), tmp_path / "c")
    assert not list(tmp_path.rglob("store.json"))


@pytest.mark.parametrize("jobs", [1, 2])
def test_tokens_that_overflow_are_named(jobs: int, tmp_path: Path) -> None:
    made = encoder()
    with torch.no_grad():
        for tensor in made.state_dict().values():
            if tensor.is_floating_point():
                tensor.mul_(1e4)
    with pytest.raises(ValueError, match=r"walk_\d\).*frame \d+ .*torch\.float16"):
        encode(Memory(), made, tmp_path, jobs=jobs)
    assert not list(tmp_path.rglob("store.json"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"dtype": "int8"}, naming("dtype", "int8")),
        ({"batch_size": 0}, naming("batch_size", 0)),
        ({"jobs": 0}, naming("jobs", 0)),
    ],
)
def test_bad_arguments_are_refused(arguments: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        encode(Memory(), encoder(), tmp_path / "new", **arguments)
    assert not (tmp_path / "new").exists()


def big() -> Memory:
    return Memory([60] * 50, seed=9)


def build(root: Path, slowly: bool) -> LatentStore:
    """What the process that is killed runs."""

    def wait(done: int, total: int) -> None:
        if slowly:
            time.sleep(0.02)

    return encode(big(), encoder(), root, batch_size=10, progress=wait)


def encoded(folder: Path) -> int:
    """How many frames of a store that is not finished are safe on disk."""
    spans = [path.name.split("-") for path in (folder / "encoded").glob("*-*")]
    return sum(int(stop) - int(start) for start, stop in spans)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != "lock"}


@pytest.mark.long
def test_killed_again_and_again_it_ends_with_the_same_bytes(tmp_path: Path) -> None:
    whole = build(tmp_path / "whole", slowly=False)
    root = tmp_path / "broken"
    code = f"import sys; sys.path[:0] = {PLACES!r}; import test_latent_store as t, pathlib; "
    code += f"t.build(pathlib.Path({str(root)!r}), slowly=True)"
    seen = []
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", code])
        before, deadline = encoded(root / whole.folder.name), time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None and encoded(root / whole.folder.name) == before:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (root / whole.folder.name / "store.json").exists()
        seen.append(encoded(root / whole.folder.name))
    assert seen == sorted(set(seen))  # each run went on where the one before had come to
    steps: list[int] = []
    again = encode(big(), encoder(), root, batch_size=10, progress=lambda done, total: steps.append(done))
    assert steps[0] == seen[-1] + 10
    assert contents(again.folder) == contents(whole.folder)


def test_several_processes_make_the_same_bytes_and_go_on_after_one(tmp_path: Path) -> None:
    alone = build(tmp_path / "alone", slowly=False)

    def stop(done: int, total: int) -> None:
        if done == 1000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(big(), encoder(), tmp_path / "shared", batch_size=10, progress=stop)
    assert encoded(tmp_path / "shared" / alone.folder.name) == 640
    told: list[tuple[int, int]] = []
    shared = encode(big(), encoder(), tmp_path / "shared", batch_size=10, jobs=2, progress=lambda *at: told.append(at))
    assert told == [(done, 3000) for done in (1280, 1920, 2560, 3000)]
    assert contents(shared.folder) == contents(alone.folder)


def test_an_encoder_that_is_not_fitted_is_fitted_to_the_frames_and_found_again(tmp_path: Path) -> None:
    made = PyramidEncoder(4)
    assert not made.fitted
    store = encode(Memory(), made, tmp_path)
    assert made.fitted
    assert encoder_digest(store.encoder) == encoder_digest(made)
    again = PyramidEncoder(4)
    assert encode(Memory(), again, tmp_path).folder == store.folder
    assert encoder_digest(again) == encoder_digest(made)
    other = PyramidEncoder(4)
    fit_encoder(other, [Memory(), Memory(seed=1)])
    assert encoder_digest(other) != encoder_digest(made)


@pytest.mark.long
def test_while_one_process_builds_another_is_told_so(tmp_path: Path) -> None:
    errors = []

    def meanwhile(done: int, total: int) -> None:
        if done == 10:
            code = f"import sys; sys.path[:0] = {PLACES!r}; import test_latent_store as t, pathlib; "
            code += f"t.build(pathlib.Path({str(tmp_path)!r}), slowly=False)"
            result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
            errors.append(result.stderr)

    store = encode(big(), encoder(), tmp_path, batch_size=10, progress=meanwhile)
    assert "another process is writing to" in errors[0]
    assert torch.equal(store.tokens, build(tmp_path / "alone", slowly=False).tokens)


def test_a_full_disk_is_told_before_work_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1000, 900, 100))
    with pytest.raises(OSError, match=naming("1,584", 100)) as caught:
        encode(Memory(), encoder(), tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert not list(tmp_path.rglob("store.json"))


def test_a_disk_that_fills_meanwhile_leaves_a_store_that_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            encode(Memory(), encoder(), tmp_path)
        patch.setattr(os, "posix_fallocate", full)
        with pytest.raises(OSError, match="1,584"):
            encode(Memory(), encoder(), tmp_path / "other")
    assert not list(tmp_path.rglob("store.json"))
    store = encode(Memory(), encoder(), tmp_path)
    assert bool(store.tokens.isfinite().all())


def broken(store: LatentStore, to: Path) -> Path:
    shutil.copytree(store.folder, to)
    return to


def test_broken_stores_are_refused_by_name(store: LatentStore, tmp_path: Path) -> None:
    def described(**change: Any) -> str:
        return json.dumps(json.loads((store.folder / "store.json").read_text()) | change)

    for number, (name, content, says) in enumerate(
        (
            ("tokens.bin", (store.folder / "tokens.bin").read_bytes()[:-1], naming(1584, 1583)),
            ("store.json", b"{", naming("store.json")),
            ("store.json", b"[]", naming("store.json", "list")),
            ("store.json", described(version=99).encode(), naming("version", 99)),
            ("store.json", described(dtype="int4").encode(), "dtype"),
            ("store.json", described(dim="six").encode(), naming("dim", "'six'")),
            ("store.json", described(source={}).encode(), "source"),
            ("arrays.npz", (store.folder / "arrays.npz").read_bytes()[:100], naming("arrays.npz")),
        )
    ):
        folder = broken(store, tmp_path / str(number))
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=says):
            LatentStore.open(folder)
    folder = broken(store, tmp_path / "linked")
    (tmp_path / "outside.json").write_text('{"secret": 1}')
    (folder / "store.json").unlink()
    (folder / "store.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(ValueError, match=naming("store.json")) as refused:
        LatentStore.open(folder)
    assert "secret" not in str(refused.value)
    folder = broken(store, tmp_path / "unfinished")
    (folder / "store.json").unlink()
    with pytest.raises(FileNotFoundError, match=naming(folder)):
        LatentStore.open(folder)
    folder = broken(store, tmp_path / "lacking")
    (folder / "arrays.npz").unlink()
    with pytest.raises(FileNotFoundError):
        LatentStore.open(folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"action_bounds": [[math.nan, 0], [1, 1]]}, r"source\.action_bounds\[0\]\[0\]: .*nan"),
        ({"action_bounds": [[2, 0], [1, 1]]}, "action_bounds"),
        ({"action_bounds": [[0], [1, 1]]}, "action_bounds"),
        ({"control_rate": "10"}, r"source\.control_rate: .*'10'"),
        ({"control_rate": 0}, r"source\.control_rate: .*0"),
        ({"fingerprint": None}, r"source\.fingerprint: .*null"),
        ({"env_settings": {"a": [[math.nan]]}}, r"source\.env_settings\.a\[0\]\[0\]: .* nan"),
    ],
)
def test_what_a_store_says_of_its_data_is_checked(
    change: dict[str, Any], says: str, store: LatentStore, tmp_path: Path
) -> None:
    folder = broken(store, tmp_path / "broken")
    described = json.loads((folder / "store.json").read_text())
    described["source"] |= change
    (folder / "store.json").write_text(json.dumps(described))
    with pytest.raises(ValueError, match=rf"store\.json: .*{says}"):
        LatentStore.open(folder)


def test_bounds_that_are_open_on_a_side_come_back(store: LatentStore, tmp_path: Path) -> None:
    folder = broken(store, tmp_path / "open")
    described = json.loads((folder / "store.json").read_text())
    described["source"]["action_bounds"] = [[-math.inf, 0], [1, math.inf]]
    (folder / "store.json").write_text(json.dumps(described))
    assert [bound.tolist() for bound in LatentStore.open(folder).action_bounds] == [[-math.inf, 0], [1, math.inf]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"times": np.r_[np.arange(32.0), 30.5]}, r"times .*32"),
        ({"lengths": np.array([7, 12, 5, 8])}, r"lengths .*33"),
        ({"lengths": np.array([7, 12, 5, 9, 0])}, "lengths"),
        ({"lengths": np.array([2**62, 2**62, 2**62, 2**62, 33])}, "lengths"),
        ({"lengths": np.array([], np.int64)}, "lengths"),
        ({"times": np.arange(32.0)}, r"times: .*33.*\(32,\)"),
        ({"actions": np.full((33, 2), np.nan)}, "actions: "),
        ({"states": np.full((33, 2), np.inf)}, "states: "),
        ({"states": np.zeros((33, 2), bool)}, "states: "),
    ],
)
def test_arrays_of_a_store_that_contradict_it_are_named(
    change: dict[str, Any], says: str, store: LatentStore, tmp_path: Path
) -> None:
    folder = broken(store, tmp_path / "broken")
    with np.load(folder / "arrays.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    np.savez(folder / "arrays.npz", **(kept | change))
    with pytest.raises(ValueError, match=rf"arrays\.npz.* {says}"):
        LatentStore.open(folder)


def test_tokens_that_are_no_numbers_are_named_when_they_are_read(store: LatentStore, tmp_path: Path) -> None:
    folder = broken(store, tmp_path / "broken")
    at = int(store.offsets[1]) + 3  # frame 3 of trajectory 1
    content = bytearray((folder / "tokens.bin").read_bytes())
    per_frame = len(content) // 33
    content[at * per_frame : at * per_frame + 2] = np.float16(np.nan).tobytes()
    (folder / "tokens.bin").write_bytes(content)
    opened = LatentStore.open(folder)
    assert opened.windows(2, 1, [0, 2, 3]).batch(np.arange(4)).tokens.isfinite().all()
    with pytest.raises(ValueError, match=r"trajectory 1 .*frame 2"):
        opened.windows(2, 1, [1]).batch(np.arange(11))
    with pytest.raises(ValueError, match=naming("tokens.bin")):
        opened.token_std()


@pytest.mark.parametrize("name", ["tokens.bin", "store.json", "arrays.npz"])
def test_a_damaged_store_is_built_again(name: str, tmp_path: Path) -> None:
    first = encode(Memory(), encoder(), tmp_path)
    expected = contents(first.folder)
    for damage in (b"x", None):
        (first.folder / name).unlink() if damage is None else (first.folder / name).write_bytes(damage)
        again = encode(Memory(), encoder(), tmp_path)
        assert contents(again.folder) == expected


class Thumbnail(Encoder):
    """Without weights, and so without a device of its own."""

    dim = 12

    def settings(self) -> dict[str, Any]:
        return {}

    def grid(self, height: int, width: int) -> tuple[int, int]:
        return 1, 1

    def _tokens(self, frames: torch.Tensor) -> torch.Tensor:
        return frames[:, ::8, ::8].flatten(1)[:, None].float() / 255


def test_an_encoder_without_weights_makes_a_store_like_any_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    made = encode(Memory(), register_encoder(Thumbnail)(), tmp_path, dtype="float32")
    frames = torch.from_numpy(Memory().trajectory(0).frames.read(range(7)))
    assert torch.equal(made.tokens[:7], Thumbnail()(frames))
    assert isinstance(LatentStore.open(made.folder).encoder, Thumbnail)
    assert encode(Memory(), Thumbnail(), tmp_path, dtype="float32").folder == made.folder


def test_an_encoder_that_would_not_come_back_makes_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})

    @register_encoder
    class Random(Thumbnail):
        carries_weights = False

        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.randn(3))

    with pytest.raises(ValueError, match=naming("weight", "Random")):
        encode(Memory(), Random(), tmp_path)
    assert not list(tmp_path.glob("*/store.json"))


def test_an_encoder_that_cannot_encode_leaves_no_folder(tmp_path: Path) -> None:
    made = encoder()
    made.components = made.components[:, 1:]
    with pytest.raises(RuntimeError):
        encode(Memory(), made, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_encoders_come_back_from_their_files_and_broken_ones_are_named(tmp_path: Path) -> None:
    save_encoder(encoder(), tmp_path, (16, 16))
    frames = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    assert torch.equal(load_encoder(tmp_path)(frames), encoder()(frames))
    weights = (tmp_path / "encoder.safetensors").read_bytes()
    (tmp_path / "encoder.safetensors").write_bytes(weights[:-8])
    with pytest.raises(ValueError, match=naming("encoder.safetensors")):
        load_encoder(tmp_path)
    (tmp_path / "encoder.json").write_text('{"name": "pyramid"}')
    with pytest.raises(ValueError, match=naming("encoder.json", "settings")):
        load_encoder(tmp_path)


def test_a_data_set_of_ones_own_needs_only_the_contract() -> None:
    assert isinstance(Memory(), TrajectoryDataset)
