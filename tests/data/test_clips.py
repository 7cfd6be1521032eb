"""Clips: the steps that come out are those that were asked for, and no two processes read the same."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming
from torch.utils.data import DataLoader
from videos import numbers, write_video

from wmcontrol.data import ArrayFrames, Provenance, Trajectory, TrajectoryDataset
from wmcontrol.data.clip_index import ClipIndex, _mix
from wmcontrol.data.clips import Clips
from wmcontrol.data.formats.video_folder import VideoFolder

PTS = (np.cumsum(np.random.default_rng(1).integers(15, 90, 100)) + 400).tolist()


class Memory(TrajectoryDataset):
    """Trajectories in memory; pixel (0, 0) of a frame tells its trajectory, its own number, and 0."""

    def __init__(self, times: list[np.ndarray], control_rate: float | None = None, broken: tuple[int, ...] = ()):
        self.times, self.control_rate, self.broken = times, control_rate, broken
        self.lengths = np.array([len(t) for t in times], dtype=np.int64)
        self.env_id = self.action_bounds = None

    def trajectory(self, index: int) -> Trajectory:
        T = len(self.times[index])
        pixels = np.zeros((T, 1, 1, 3), np.uint8)
        pixels[..., 0], pixels[:, 0, 0, 1] = index, np.arange(T)
        frames = _Broken(T) if index in self.broken else ArrayFrames(pixels)
        return Trajectory(times=self.times[index], frames=frames, provenance=Provenance("test", Path("m"), str(index)))

    def fingerprint(self) -> str:
        return "memory"


class _Broken:
    def __init__(self, T: int):
        self.T = T

    def __len__(self) -> int:
        return self.T

    def read(self, indices: np.ndarray) -> np.ndarray:
        raise ValueError("this one is damaged")


def ks_uniform(samples: np.ndarray, low: float, high: float) -> float:
    """Kolmogorov and Smirnov's largest distance from the uniform distribution, times the root of the count."""
    ordered = (np.sort(samples) - low) / (high - low)
    ranks = np.arange(len(ordered) + 1) / len(ordered)
    return float(max((ranks[1:] - ordered).max(), (ordered - ranks[:-1]).max()) * np.sqrt(len(ordered)))


KS_LIMIT = 1.95  # passed by chance in 1 of 1,000 tests: 2 exp(-2 * 1.95 ** 2)


def test_the_generator_is_splitmix64() -> None:
    # The first number of Vigna's splitmix64.c from state 1234567.
    assert _mix(np.array([1234567], dtype=np.uint64)).tolist() == [6457827717110365317]


def regular(lengths: list[int], rate: float, **settings: object) -> ClipIndex:
    times = np.concatenate([np.arange(n) / rate for n in lengths])
    return ClipIndex.over(
        times, np.array(lengths), **{"num_frames": 8, "step_seconds": (0.1, 0.6), "seed": 0, **settings}
    )


def test_drawn_steps_are_uniform_and_independent() -> None:
    index = regular([60, 500, 43], 10.0)
    steps, positions = index.draw(np.arange(20_000))
    assert steps.shape == (20_000, 7)
    assert steps.min() >= 0.1
    assert steps.max() <= 0.6
    for column in range(7):
        assert ks_uniform(steps[:, column], 0.1, 0.6) < KS_LIMIT
    assert ks_uniform(positions, 0, 1) < KS_LIMIT
    together = np.corrcoef(np.column_stack([steps, positions]), rowvar=False) - np.eye(8)
    assert np.abs(together).max() < 4.5 / np.sqrt(20_000)
    neighbours = np.corrcoef(steps[:-1, 0], steps[1:, 0])[0, 1]
    assert abs(neighbours) < 4.5 / np.sqrt(20_000)
    assert ks_uniform(np.random.default_rng(0).uniform(0.1, 0.61, 20_000), 0.1, 0.6) > KS_LIMIT  # it can fail


@pytest.mark.parametrize("lengths", [[60, 500, 43], [43] * 50, [4000]])
def test_steps_between_the_frames_have_the_distribution_of_uniform_steps_rounded_to_frames(lengths: list) -> None:
    # A step d that begins anywhere within a frame's time spans floor(d) frames or one more, in proportion to what is
    # left over. Integrated over d from 1 to 6 frames: half a share each for 1 and 6, a whole one for 2 to 5.
    index = regular(lengths, 10.0)
    chosen = index.choose(np.arange(20_000))
    spans = np.diff(chosen.frames, axis=1)
    np.testing.assert_allclose(np.diff(chosen.times, axis=1), spans / 10, atol=1e-9)
    expected = np.array([0.5, 1, 1, 1, 1, 0.5]) / 5
    for column in (0, 3, 6):
        counts = np.bincount(spans[:, column] - 1, minlength=6)
        assert len(counts) == 6
        chi_square = ((counts - 20_000 * expected) ** 2 / (20_000 * expected)).sum()
        assert chi_square < 20.5  # 5 degrees of freedom, 1 in 1,000


def test_steps_at_a_varying_frame_rate_are_uniform_up_to_the_frames() -> None:
    rng = np.random.default_rng(2)
    times = [5 * i + np.cumsum(rng.uniform(0.002, 0.01, 4000)) for i in range(20)]
    index = ClipIndex.of(Memory(times), 8, (0.1, 0.6), seed=1)
    numbers_ = np.arange(5000)
    (drawn, _), chosen = index.draw(numbers_), index.choose(numbers_)
    steps = np.diff(chosen.times, axis=1)
    assert np.abs(steps - drawn).max() < 0.01
    assert ks_uniform(steps[:, 3], 0.1, 0.6) < KS_LIMIT
    for trajectory, frames, seconds in zip(*chosen, strict=True):
        assert (times[trajectory][frames] == seconds).all()


def test_every_moment_is_as_likely_in_long_trajectories_as_in_short_ones() -> None:
    # Steps of exactly 5 frames: a clip of 2 frames can start at 40 - 5 of 40 frames, and at 100 - 5 of 100.
    index = regular([40, 4, 100], 10.0, num_frames=2, step_seconds=(0.5, 0.5))
    trajectories, frames, _ = index.choose(np.arange(65_000))
    assert (np.diff(frames) == 5).all()
    starts = np.bincount(frames[:, 0] + 40 * (trajectories == 2))
    assert len(starts) == 40 + 95
    assert not starts[35:40].any()
    starts = np.delete(starts, np.s_[35:40])
    assert ((starts - 500) ** 2 / 500).sum() < 129 + 3.3 * np.sqrt(2 * 129)


def test_frames_never_repeat_even_where_steps_are_as_short_as_frames_are_apart() -> None:
    for rate in (10.0, 30.0, 29.97):
        index = regular([80, 90], rate, step_seconds=(1 / rate, 1.5 / rate))
        _, frames, times = index.choose(np.arange(50_000))
        assert (np.diff(frames, axis=1) >= 1).all()
        assert (np.diff(frames, axis=1) <= 2).all()
        assert (np.diff(times, axis=1) > 0).all()
    milliseconds = np.round(np.arange(300) / 30, 3)  # 33 and 34 ms apart
    index = ClipIndex.over(milliseconds, np.array([300]), 8, (1 / 30, 0.1), seed=0)
    assert (np.diff(index.choose(np.arange(50_000)).frames, axis=1) >= 1).all()


def test_clips_lie_on_one_side_of_a_gap() -> None:
    times = np.concatenate([np.arange(100) / 10, 50 + np.arange(60) / 10, 70 + np.arange(10) / 10])
    index = ClipIndex.over(times, np.array([170]), 8, (0.1, 0.6), seed=0)
    frames = index.choose(np.arange(3000)).frames
    first, second = frames[:, -1] < 100, (frames[:, 0] >= 100) & (frames[:, -1] < 160)
    assert (first | second).all()
    assert first.any()
    assert second.any()


def test_trajectories_too_short_for_the_longest_clip_are_left_out_and_do_not_shorten_steps() -> None:
    index = regular([43, 42, 500], 10.0)  # the longest clip takes 4.2 s: 43 frames
    trajectories = index.choose(np.arange(20_000)).trajectories
    assert set(trajectories.tolist()) == {0, 2}
    with pytest.raises(ValueError, match=naming("4.2 s", 2, "4.1 s")):
        regular([42, 30], 10.0)


def test_a_frame_rate_too_low_for_the_shortest_step_is_refused() -> None:
    with pytest.raises(ValueError, match=naming("0.05 s", "0.1 s")):
        regular([500], 10.0, step_seconds=(0.05, 0.6))


def test_clip_k_is_a_function_of_seed_and_k() -> None:
    index = regular([60, 500], 10.0)
    whole = index.choose(np.arange(100))
    part = index.choose(np.array([7, 99, 7]))
    for all_, some in zip(whole, part, strict=True):
        np.testing.assert_array_equal(all_[[7, 99, 7]], some)
    far = index.choose(np.array([2**62]))
    assert 0 <= far.frames.min() <= far.frames.max() < 500
    assert (regular([60, 500], 10.0, seed=1).choose(np.arange(100)).frames != whole.frames).any(1).mean() > 0.9
    assert (index.choose(np.arange(100), attempt=1).frames != whole.frames).any(1).mean() > 0.9
    # The same on any machine.
    assert whole.frames[:2].tolist() == [[30, 31, 34, 37, 39, 45, 48, 53], [399, 401, 402, 406, 411, 414, 418, 424]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_frames": 1}, "num_frames"),
        ({"step_seconds": (0.0, 0.1)}, "step_seconds"),
        ({"step_seconds": (0.3, 0.1)}, "step_seconds"),
        ({"step_seconds": (0.1, np.inf)}, "step_seconds"),
        ({"step_seconds": (np.nan, 0.1)}, "step_seconds"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_out_of_range_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regular([60, 500], 10.0, **settings)


def test_wrong_times_and_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=naming(5)):
        ClipIndex.over(np.arange(4.0), np.array([5]), 2, (1, 1), seed=0)
    with pytest.raises(ValueError, match=naming(0)):
        ClipIndex.over(np.zeros(0), np.zeros(0, np.int64), 2, (1, 1), seed=0)
    with pytest.raises(IndexError, match=naming(-1)):
        regular([60], 10.0).choose(np.array([-1]))


def test_clips_hold_the_frames_and_times_of_their_trajectory() -> None:
    dataset = Memory([np.arange(60) / 10, np.arange(200) / 10], control_rate=10.0)
    clips = Clips(dataset, 4, step_seconds=(0.1, 0.6), seed=3)
    for k in (0, 1, 500):
        clip = clips[k]
        assert clip.frames[:, 0, 0].tolist() == [[clip.trajectory, i, 0] for i in clip.indices.tolist()]
        np.testing.assert_array_equal(clip.times, dataset.times[clip.trajectory][clip.indices])


def test_clips_of_a_video_of_varying_frame_rate_have_the_containers_times(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", PTS)
    write_video(tmp_path / "b.mkv", PTS[:80], codec="ffv1", pix_fmt="bgr0")
    clips = Clips(VideoFolder(tmp_path, image_size=(24, 32)), 4, step_seconds=(0.1, 0.5), seed=0)
    for k in range(30):
        clip = clips[k]
        assert numbers(clip.frames) == clip.indices.tolist()
        np.testing.assert_allclose(clip.times, np.array(PTS)[clip.indices] / 1000, rtol=0, atol=1e-9)


def test_damaged_trajectories_are_counted_named_and_replaced_in_every_process_alike() -> None:
    times = [np.arange(60) / 10] * 40
    sound = Clips(Memory(times, 10.0), 4, step_seconds=(0.1, 0.6), seed=0)
    clips = Clips(Memory(times, 10.0, broken=(5, 6)), 4, step_seconds=(0.1, 0.6), seed=0)
    there = [sound[k].trajectory for k in range(300)]
    here = [clips[k].trajectory for k in range(300)]
    assert clips.skipped == {5: "this one is damaged", 6: "this one is damaged"}
    assert {5, 6} <= set(there)
    assert not {5, 6} & set(here)
    assert all(a == b for a, b in zip(there, here, strict=True) if a not in (5, 6))
    late = Clips(Memory(times, 10.0, broken=(5, 6)), 4, step_seconds=(0.1, 0.6), seed=0)
    assert [late[k].trajectory for k in range(299, -1, -1)] == here[::-1]


def test_too_many_damaged_trajectories_are_an_error() -> None:
    clips = Clips(Memory([np.arange(60) / 10] * 40, 10.0, broken=(1, 2, 3)), 4, step_seconds=(0.1, 0.6), seed=0)
    with pytest.raises(ValueError, match=naming(3, 40, "5%", "this one is damaged")):
        [clips[k] for k in range(1000)]


def test_a_video_that_went_bad_after_it_was_indexed_is_skipped(tmp_path: Path) -> None:
    film = write_video(tmp_path / "00.mkv", PTS, codec="ffv1", pix_fmt="bgr0")
    for index in range(1, 20):
        shutil.copy(film, tmp_path / f"{index:02d}.mkv")
    clips = Clips(VideoFolder(tmp_path), 4, step_seconds=(0.1, 0.5), seed=0)
    (tmp_path / "03.mkv").unlink()
    found = {clips[k].trajectory for k in range(100)}
    assert 3 not in found
    assert len(found) == 19
    assert "03.mkv" in clips.skipped[3]


def test_sets_without_frames_are_refused() -> None:
    class Blind(Memory):
        def trajectory(self, index: int) -> Trajectory:
            seen = super().trajectory(index)
            return Trajectory(times=seen.times, provenance=seen.provenance)

    with pytest.raises(ValueError, match=naming("m (test, 0)", "frames")):
        Clips(Blind([np.arange(60) / 10], 10.0), 4, step_seconds=(0.1, 0.6), seed=0)


@pytest.fixture
def clips() -> Clips:
    return Clips(Memory([np.arange(60) / 10, np.arange(250) / 10], 10.0), 4, step_seconds=(0.1, 0.6), seed=0)


@pytest.mark.parametrize("workers", [0, 2])
def test_torch_makes_batches_of_the_clips_that_a_sampler_names(clips: Clips, workers: int) -> None:
    shares = [list(DataLoader(clips, 4, sampler=range(6 + r, 54, 3), num_workers=workers)) for r in range(3)]
    for rank, share in enumerate(shares):
        times = torch.cat([batch.times for batch in share])
        np.testing.assert_array_equal(times, np.stack([clips[k].times for k in range(6 + rank, 54, 3)]))
    batch = shares[0][0]
    assert batch.frames.shape == (4, 4, 1, 1, 3)
    assert (batch.frames.dtype, batch.times.dtype) == (torch.uint8, torch.float64)
    assert batch.trajectory.tolist() == batch.frames[:, 0, 0, 0, 0].tolist()


def test_two_workers_read_videos(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mp4", PTS, codec_options={"g": "12"})
    clips = Clips(VideoFolder(tmp_path, image_size=(24, 32)), 4, step_seconds=(0.1, 0.5), seed=0)
    clips[0]  # the file is open when the workers begin
    for number, batch in enumerate(DataLoader(clips, 3, sampler=range(18), num_workers=2)):
        for row in range(3):
            clip = clips[3 * number + row]
            assert numbers(batch.frames[row].numpy()) == clip.indices.tolist()
            np.testing.assert_array_equal(batch.times[row], clip.times)
