"""Which frames make up a clip of variable frame rate: an arithmetic of times, for frames and stored tokens alike.

Letters: ``N`` trajectories, ``F`` frames of all of them, ``K`` clips, ``T`` frames of a clip, ``R`` runs.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .trajectory import Floats

if TYPE_CHECKING:
    from .dataset import TrajectoryDataset

Ints = NDArray[np.int64]
_CLOCK = 1e-3  # seconds that containers round times to
_CLOCK_SHARE = 0.05  # of a step: more is no rounding


class ChosenClips(NamedTuple):
    """What :meth:`ClipIndex.choose` chose."""

    trajectories: Ints  # (K,)
    frames: Ints  # (K, T), rising, counted from the trajectory's first
    times: Floats  # (K, T) seconds, when these frames really are


@dataclass(frozen=True, eq=False)
class ClipIndex:
    """Clips with ``T - 1`` time steps drawn uniformly from a range, a start drawn uniformly, and the nearest frames.

    DINO-world's "variable FPS" (Baldassarre et al., arXiv 2507.19468, section 3.2). Two rules keep the steps uniform,
    whatever the trajectories are like:

    - Used are only stretches that are long enough for the longest clip, so that no draw has to be thrown away or
      shortened. Starts are uniform over all places where the drawn steps fit: every moment counts the same, so long
      trajectories give more clips, and cutting one in two changes little.
    - Frames lie at most the shortest step apart, so that two drawn times never fall on the same frame. Where a
      recording has a larger gap, clips lie before or after it.

    Clip ``k`` depends on the seed and on ``k``, and on nothing that was drawn before; numbers have no end.
    """

    num_frames: int  # T
    step_seconds: tuple[float, float]
    seed: int
    times: Floats  # (F,) seconds, trajectory after trajectory
    # Runs, the stretches without a gap that are long enough; on one line, each followed by the room for a rounding.
    trajectories: Ints  # (R,) whose they are
    starts: Ints  # (R,) their first frames, counted over all trajectories
    first_frames: Ints  # (R,) the first frames of those trajectories, counted so
    counts: Ints  # (R,) how many frames they have
    room: Floats  # (R,) seconds up to and with this one, each from half a frame before its first to half after its last
    half: Floats  # (R,) half a frame: of a run's frames on average, seconds
    line: Floats  # (F,) seconds: the times, so shifted that they rise over all trajectories

    @staticmethod
    def of(
        dataset: "TrajectoryDataset", num_frames: int, step_seconds: tuple[float, float], *, seed: int
    ) -> "ClipIndex":
        """Index the trajectories of a data set; only where it has no control rate are they opened, for their times.

        Raises:
            ValueError: as :meth:`over` says.
        """
        if dataset.control_rate is not None:
            frames = np.concatenate([np.arange(n) for n in dataset.lengths.tolist()])
            times = frames / dataset.control_rate
        else:
            times = np.concatenate([dataset.trajectory(index).times for index in range(len(dataset))])
        return ClipIndex.over(times, dataset.lengths, num_frames, step_seconds, seed=seed)

    @staticmethod
    def over(
        times: Floats, lengths: Ints, num_frames: int, step_seconds: tuple[float, float], *, seed: int
    ) -> "ClipIndex":
        """Index trajectories of these times.

        Args:
            times: (F,) seconds, one trajectory after the other, rising within each.
            lengths: (N,) how many frames each has.
            num_frames: T, frames of a clip.
            step_seconds: the shortest and the longest time from one frame of a clip to the next.
            seed: what another set of clips has another of.

        Raises:
            ValueError: settings out of range, or no trajectory has a long enough stretch with frames close enough.
        """
        low, high = (float(step) for step in step_seconds)
        if num_frames < 2:
            raise ValueError(f"num_frames must be 2 or more, got {num_frames!r}")
        if not 0 < low <= high < np.inf:
            raise ValueError(
                f"step_seconds must be the shortest and the longest step, both above 0, got {step_seconds}"
            )
        if not 0 <= seed < 2**64:
            raise ValueError(f"seed must be from 0 to 2**64 - 1, got {seed!r}")
        lengths = np.asarray(lengths, dtype=np.int64)
        if lengths.sum() != len(times) or not len(times):
            raise ValueError(f"expected as many times as frames, {lengths.sum()} and at least 1, got {len(times)}")
        owners = np.repeat(np.arange(len(lengths)), lengths)
        gaps = np.diff(times)
        # A rounded time makes no gap: 30 frames a second are 33 and 34 ms apart in Matroska, which counts in ms.
        tolerance = min(_CLOCK, _CLOCK_SHARE * low)
        cuts = np.flatnonzero((owners[1:] != owners[:-1]) | (gaps > low + tolerance)) + 1
        starts, stops = np.append(0, cuts), np.append(cuts, len(times))
        durations = times[stops - 1] - times[starts]
        used = (durations >= (num_frames - 1) * high * (1 - 1e-9)) & (stops - starts >= num_frames)
        if not used.any():
            within = gaps[owners[1:] == owners[:-1]]
            raise ValueError(
                f"no clip of {num_frames} frames fits: with steps of up to {high:g} s it takes "
                f"{(num_frames - 1) * high:g} s of frames at most {low:g} s apart; of {len(lengths)} trajectories the "
                f"longest such stretch has {durations.max():g} s, and frames are mostly "
                f"{np.median(within) if len(within) else 0:g} s apart; take other step_seconds, or fewer frames"
            )
        all_starts, all_durations = starts, durations
        starts, counts, durations = starts[used], (stops - starts)[used], durations[used]
        half = durations / (counts - 1) / 2
        # Runs one after the other, a second apart.
        shift = np.append(0, np.cumsum(all_durations[:-1] + 1)) - times[all_starts]
        return ClipIndex(
            num_frames=int(num_frames),
            step_seconds=(low, high),
            seed=int(seed),
            times=times,
            trajectories=owners[starts],
            starts=starts,
            first_frames=(np.cumsum(lengths) - lengths)[owners[starts]],
            counts=counts,
            room=np.cumsum(durations + 2 * half),
            half=half,
            line=times + np.repeat(shift, stops - all_starts),
        )

    def draw(self, numbers: Ints, attempt: int = 0) -> tuple[Floats, Floats]:
        """Draw clips with these numbers (K,), before they are rounded to frames.

        Returns:
            their steps (K, T - 1), seconds, and where among all places that clips with these steps fit they are (K,),
            from 0 to 1.
        """
        uniform = _uniform(self.seed, numbers, attempt, self.num_frames)
        low, high = self.step_seconds
        return low + (high - low) * uniform[:, 1:], uniform[:, 0]

    def choose(self, numbers: Ints, attempt: int = 0) -> ChosenClips:
        """Choose the frames of clips.

        Args:
            numbers: (K,) which clips, from 0 up.
            attempt: 0, or which other choice for the same numbers, where the first could not be read.

        Raises:
            IndexError: a number below 0.
        """
        numbers = np.asarray(numbers, dtype=np.int64)
        if numbers.size and numbers.min() < 0:
            raise IndexError(f"clips are numbered from 0 up, got {numbers.min()}")
        steps, positions = self.draw(numbers, attempt)
        offsets = np.zeros((len(steps), self.num_frames))
        np.cumsum(steps, axis=1, out=offsets[:, 1:])
        runs, begins = self._places(offsets[:, -1], positions)
        starts, ends = self.starts[runs, None], (self.starts + self.counts)[runs, None]
        wanted = self.line[starts] + begins[:, None] + offsets
        after = np.clip(np.searchsorted(self.line, wanted), starts + 1, ends - 1)
        frames = after - (wanted - self.line[after - 1] <= self.line[after] - wanted)
        # Two times can share a frame only where times are rounded; then it is that one and its neighbour.
        ramp = np.arange(self.num_frames)
        frames = np.maximum.accumulate(frames - ramp, axis=1) + ramp
        frames = np.minimum(frames, ends - self.num_frames + ramp)
        return ChosenClips(self.trajectories[runs], frames - self.first_frames[runs, None], self.times[frames])

    def _places(self, spans: Floats, positions: Floats) -> tuple[Ints, Floats]:
        """Return the runs that clips of these spans lie in, and their starts, seconds from the runs' first frames."""
        # All starts of such a clip, one run's after the other's, have the length room[-1] - R * span; the first r runs
        # of them room[r - 1] - r * span, which rises with r, so runs are found by bisection.
        number = len(self.room)
        targets = positions * (self.room[-1] - number * spans)
        low, high = np.zeros(len(spans), dtype=np.int64), np.full(len(spans), number - 1)
        for _ in range(number.bit_length()):
            middle = (low + high) // 2
            before = self.room[middle] - (middle + 1) * spans <= targets
            low, high = np.where(before, np.minimum(middle + 1, number - 1), low), np.where(before, high, middle)
        before_run = np.where(low > 0, self.room[low - 1] - low * spans, 0.0)
        return low, targets - before_run - self.half[low]


def _uniform(seed: int, numbers: Ints, attempt: int, count: int) -> Floats:
    """Return ``count`` numbers from 0 to 1 for each of ``numbers``, (K, count): the same wherever they are asked for.

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014), keyed in turn by seed,
    attempt, number and place.
    """
    with np.errstate(over="ignore"):
        key = _mix(_mix(np.array([seed], dtype=np.uint64)) ^ np.uint64(attempt))
        rows = _mix(key ^ numbers.astype(np.uint64))
        words = _mix(rows[:, None] ^ np.arange(count, dtype=np.uint64))
    return np.asarray((words >> np.uint64(11)) * 2.0**-53, dtype=np.float64)


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))
