"""Frames of video files: their exact times, and the right picture for each, however they lie in the file."""

import pickle
import shutil
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from naming import naming
from processes import read_elsewhere
from videos import numbers, picture, write_video

from wmcontrol.data import video, video_index
from wmcontrol.data.video import VideoFrames
from wmcontrol.data.video_index import declared_size

T = 100
# Variable frame rate: 15 to 90 ms apart, the first not at 0.
PTS = (np.cumsum(np.random.default_rng(1).integers(15, 90, T)) + 400).tolist()
OPEN = {"x264-params": "open-gop=1:keyint=12:bframes=5:b-adapt=0:scenecut=0"}
FILES = {
    "b_frames.mp4": {"codec_options": {"g": "12"}},
    "one_group.mkv": {},
    "open_groups.mp4": {"codec_options": OPEN},
    "open_groups.mkv": {"codec_options": OPEN},
    "intra_refresh.mp4": {"codec_options": {"x264-params": "intra-refresh=1:keyint=12"}},
    "fragmented.mp4": {"codec_options": {"g": "12"}, "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "vp9.webm": {"codec": "libvpx-vp9", "codec_options": {"deadline": "realtime", "g": "20"}},
    "ten_bit.mov": {"pix_fmt": "yuv420p10le"},
    "grey.mkv": {"codec": "ffv1", "pix_fmt": "gray"},
    "regular.avi": {"codec": "mpeg4", "pts": range(T), "time_base": Fraction(1, 25)},
}


def with_edit_list(source: Path, path: Path, seconds: float) -> Path:
    """Copy a film so that an edit list hides its beginning, with the keyframe that the rest needs."""
    with av.open(str(source)) as old, av.open(str(path), "w", options={"avoid_negative_ts": "disabled"}) as new:
        stream = new.add_stream_from_template(old.streams.video[0])
        offset = int(seconds / old.streams.video[0].time_base)
        for packet in old.demux(video=0):
            if packet.size:
                packet.pts, packet.dts, packet.stream = packet.pts - offset, packet.dts - offset, stream
                new.mux(packet)
    return path


@pytest.fixture(scope="module", params=FILES)
def file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("video") / request.param, **{"pts": PTS, **FILES[request.param]})


@pytest.fixture(scope="module")
def lossless(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """Noise of an odd size, kept exactly."""
    frames = np.random.default_rng(0).integers(0, 256, (12, 37, 53, 3)).astype(np.uint8)
    path = tmp_path_factory.mktemp("lossless") / "noise.mkv"
    return write_video(path, range(0, 480, 40), codec="ffv1", pix_fmt="bgr0", frames=frames), frames


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_video(tmp_path_factory.mktemp("plain") / "plain.mp4", range(0, 2400, 40), codec_options={"g": "10"})


def test_times_are_those_of_the_decoded_frames(file: Path) -> None:
    with av.open(str(file)) as container:
        expected = [float(frame.pts * frame.time_base) for frame in container.decode(video=0)]
    frames = VideoFrames(file)
    assert len(frames) == T
    assert frames.times.tolist() == expected


@pytest.mark.parametrize("name", ["b_frames.mp4", "one_group.mkv", "vp9.webm", "open_groups.mkv"])
def test_times_are_those_that_were_written(name: str, tmp_path: Path) -> None:
    frames = VideoFrames(write_video(tmp_path / name, PTS, **FILES[name]))
    np.testing.assert_allclose(frames.times, np.array(PTS) / 1000, rtol=0, atol=1e-9)


def test_all_frames_in_order_one_by_one_backwards_and_repeated(file: Path) -> None:
    frames = VideoFrames(file)
    assert numbers(frames.read(range(T))) == list(range(T))
    for order in (range(T - 1, -1, -3), range(0, T, 7), [0, T - 1, 50, 50, 51, 0]):
        assert [numbers(frames.read([index]))[0] for index in order] == list(order)
        assert numbers(frames.read(list(order))) == list(order)


def test_lossless_frames_of_odd_size_come_back_exactly(lossless: tuple[Path, np.ndarray]) -> None:
    path, written = lossless
    frames = VideoFrames(path)
    np.testing.assert_array_equal(frames.read([7, 0, 11, 7]), written[[7, 0, 11, 7]])
    assert frames.read([]).shape == (0, 37, 53, 3)
    assert frames.read([]).dtype == np.uint8


def test_frames_that_an_edit_list_hides_do_not_count_but_are_decoded_from(plain: Path, tmp_path: Path) -> None:
    frames = VideoFrames(with_edit_list(plain, tmp_path / "edited.mp4", 0.28))
    assert frames.index.keyframes[0] < 0
    np.testing.assert_allclose(frames.times, 0.04 * np.arange(53), rtol=0, atol=1e-9)
    assert numbers(frames.read(range(53))) == list(range(7, 60))
    assert numbers(frames.read([0])) == [7]
    assert numbers(frames.read([30, 1])) == [37, 8]


def test_nearest_frame(plain: Path) -> None:
    frames = VideoFrames(plain)
    times = np.array([-1.0, 0.0, 0.019, 0.021, 0.04, 1.0, 99.0])
    assert frames.nearest(times).tolist() == [0, 0, 0, 1, 1, 25, 59]
    exhaustive = np.abs(frames.times - np.linspace(-0.1, 2.5, 77)[:, None]).argmin(1)
    assert frames.nearest(np.linspace(-0.1, 2.5, 77)).tolist() == exhaustive.tolist()


def test_rising_indices_are_decoded_in_one_go(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered = []
    enter = video._Decoder._enter
    monkeypatch.setattr(video._Decoder, "_enter", lambda self, *a: (entered.append(a[0]), enter(self, *a))[1])
    frames = VideoFrames(plain)
    frames.read([21, 23, 29, 30, 31])  # groups of 10 begin at 20 and, directly after 29, at 30
    assert len(entered) == 1
    frames.read([32, 35])  # goes on where the last reading ended
    assert len(entered) == 1
    frames.read([33, 55])  # back, and over a group that nobody asked for
    assert len(entered) == 3


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_turned_films_come_upright_as_opencv_shows_them(degrees: int, tmp_path: Path) -> None:
    frame = np.zeros((48, 64, 3), np.uint8)
    frame[:24, :32], frame[24:, :32] = (255, 0, 0), (0, 255, 0)
    path = write_video(tmp_path / "turned.mp4", range(0, 400, 40), frames=[frame] * 10, rotation=degrees)
    capture = cv2.VideoCapture(str(path))
    expected = cv2.cvtColor(capture.read()[1], cv2.COLOR_BGR2RGB)
    capture.release()
    upright = VideoFrames(path).read([0])[0]
    assert upright.shape == expected.shape == ((48, 64, 3) if degrees == 180 else (64, 48, 3))
    assert np.abs(upright.astype(int) - expected).mean() < 4
    assert np.abs(frame.astype(int).reshape(-1, 3) - upright.reshape(-1, 3)).mean() > 20
    assert VideoFrames(path, size=(16, 8)).read([0]).shape == (1, 16, 8, 3)


def test_frames_are_shrunk_to_cover_the_size_and_cut_in_the_middle(tmp_path: Path) -> None:
    # 60 by 180, smooth; a square of it is its middle third.
    x, y = np.meshgrid(np.linspace(0, 255, 180), np.linspace(0, 255, 60))
    frame = np.stack([x, y, 255 - x], -1).astype(np.uint8)
    path = write_video(tmp_path / "wide.mkv", [0, 40], codec="ffv1", pix_fmt="bgr0", frames=[frame] * 2)
    small = VideoFrames(path, size=(20, 20)).read([1])[0]
    expected = cv2.resize(frame[:, 60:120], (20, 20), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).max() <= 2
    assert VideoFrames(path, size=(90, 100)).read([0]).shape == (1, 90, 100, 3)


def test_shrinking_averages_and_does_not_pick(tmp_path: Path) -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    path = write_video(tmp_path / "stripes.mkv", [0], codec="ffv1", pix_fmt="bgr0", frames=[stripes])
    assert np.abs(VideoFrames(path, size=(16, 16)).read([0]).astype(int) - 127.5).max() < 3


def _read_two(frames: VideoFrames, index: int) -> list[int]:
    return numbers(frames.read([index, index + 2]))


def test_pickles_and_reads_in_other_processes(plain: Path) -> None:
    frames = VideoFrames(plain)
    assert numbers(frames.read([10])) == [10]  # the file is open, between 10 and 11
    assert numbers(pickle.loads(pickle.dumps(frames)).read([11])) == [11]
    for there in read_elsewhere(partial(_read_two, frames), (12, 40, 3, 57)).values():
        assert there == [[12, 14], [40, 42], [3, 5], [57, 59]]
    assert numbers(frames.read([12, 13])) == [12, 13]


def test_few_files_stay_open(plain: Path, tmp_path: Path) -> None:
    for index in range(9):
        path = shutil.copy(plain, tmp_path / f"{index}.mp4")
        assert numbers(VideoFrames(path).read([index])) == [index]
    assert len(video._resting) <= video._MAX_OPEN


def test_a_file_that_was_written_anew_is_read_anew(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", [0, 40, 80])
    assert numbers(VideoFrames(path).read([1])) == [1]
    path.unlink()
    write_video(path, [0, 40, 80, 120], frames=[picture(200 + i) for i in range(4)])
    assert numbers(VideoFrames(path).read([2, 3])) == [202, 203]


def cut(path: Path, to: Path, share: float) -> Path:
    data = path.read_bytes()
    to.write_bytes(data[: int(len(data) * share)])
    return to


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", {}),
        ("a.mp4", {"container_options": {"movflags": "faststart"}}),
        ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}}),
        ("a.mov", {}),
        ("a.mkv", {}),
        ("a.webm", {"codec": "libvpx", "codec_options": {"deadline": "realtime"}}),
        ("a.avi", {"codec": "mpeg4", "pts": range(60), "time_base": Fraction(1, 25)}),
    ],
)
def test_files_cut_short_are_refused_by_name(name: str, options: dict, share: float, tmp_path: Path) -> None:
    path = write_video(tmp_path / name, **{"pts": range(0, 2400, 40), **options})
    assert declared_size(path) == path.stat().st_size
    assert len(VideoFrames(path)) == 60
    with pytest.raises(ValueError, match=f"cut_{name}"):
        VideoFrames(cut(path, tmp_path / f"cut_{name}", share))


def test_damage_in_the_middle_names_file_and_frame_and_leaves_the_rest_readable(plain: Path, tmp_path: Path) -> None:
    with av.open(str(plain)) as container:
        packets = [(p.pos, p.size, p.pts) for p in container.demux(video=0) if p.size]
    broken = sorted(pts for _, _, pts in packets).index(packets[30][2])
    data = bytearray(plain.read_bytes())
    position, size, _ = packets[30]  # a keyframe: groups of 10
    data[position + 4 : position + size] = bytes(255 - byte for byte in data[position + 4 : position + size])
    path = tmp_path / "damaged.mp4"
    path.write_bytes(data)
    frames = VideoFrames(path)
    with pytest.raises(ValueError, match=naming("damaged.mp4", f"frame {broken}", 60)):
        frames.read([5, broken])
    assert numbers(frames.read([5, 25, 59])) == [5, 25, 59]


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"none\.mp4"):
        VideoFrames(tmp_path / "none.mp4")
    for name, content in {"empty.mp4": b"", "text.mkv": b"hello" * 100, "riff.avi": b"RIFF\xff\xff"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            VideoFrames(tmp_path / name)
    with av.open(str(tmp_path / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        sound.sample_rate, sound.pts = 16000, 0
        container.mux(stream.encode(sound))
        container.mux(stream.encode(None))
    with pytest.raises(ValueError, match=naming("sound.mp4")):
        VideoFrames(tmp_path / "sound.mp4")


@pytest.mark.parametrize("table", ["stts", "stsc", "stsz", "stco", "ctts", "stss", "elst"])
def test_a_table_that_claims_more_than_its_box_holds_is_refused_before_it_is_read(table: str, tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", range(0, 2400, 40), codec_options={"bf": "2", "g": "10"})
    data = path.read_bytes()
    at = data.index(table.encode()) + (12 if table == "stsz" else 8)
    count = int.from_bytes(data[at : at + 4], "big")
    huge = data[:at] + (count + 2**28).to_bytes(4, "big") + data[at + 4 :]
    (tmp_path / "huge.mp4").write_bytes(huge)
    with pytest.raises(ValueError, match=rf"huge\.mp4: .*{table} claims {count + 2**28:,} entries"):
        VideoFrames(tmp_path / "huge.mp4")


def test_a_last_box_without_a_size_goes_to_the_end_and_is_looked_at(tmp_path: Path) -> None:
    path = write_video(tmp_path / "film.mp4", range(0, 2400, 40))
    data = bytearray(path.read_bytes())
    at = data.index(b"moov") - 4
    assert at + int.from_bytes(data[at : at + 4], "big") == len(data)
    data[at : at + 4] = bytes(4)
    path.write_bytes(data)
    assert len(VideoFrames(path)) == 60
    at = data.index(b"stsz") + 8
    data[at : at + 8] = (1).to_bytes(4, "big") + (2**25).to_bytes(4, "big")  # all samples of one size: no table follows
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"film\.mp4: .*stsz claims {2**25:,} entries"):
        VideoFrames(path)


def test_a_fragment_that_claims_more_samples_than_it_holds_is_refused(tmp_path: Path) -> None:
    options = {"movflags": "frag_keyframe+empty_moov"}
    path = write_video(tmp_path / "film.mp4", range(0, 400, 40), container_options=options)
    assert len(VideoFrames(path)) == 10
    data = bytearray(path.read_bytes())
    at = data.index(b"trun") + 8
    data[at] = 0x10
    (tmp_path / "huge.mp4").write_bytes(data)
    with pytest.raises(ValueError, match=r"huge\.mp4: .*trun claims 268,435,466 entries"):
        VideoFrames(tmp_path / "huge.mp4")


def test_a_box_that_is_larger_than_the_box_that_it_is_in_is_refused(plain: Path, tmp_path: Path) -> None:
    at = plain.read_bytes().index(b"avc1", 32) - 4
    data = bytearray(plain.read_bytes())
    data[at + 3] += 69
    (tmp_path / "larger.mp4").write_bytes(data)
    with pytest.raises(ValueError, match=r"larger\.mp4: .*moov/trak/mdia/minf/stbl/stsd/avc1 claims"):
        VideoFrames(tmp_path / "larger.mp4")


def test_frames_that_a_file_of_its_size_cannot_hold_are_refused_before_they_are_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [picture(number, 256, 320) for number in range(2)]
    # As Matroska writes width and height; what a frame of H.264 says itself is believed more.
    for codec, width, height in (("ffv1", 16000, 16000), ("libx264", 16, 16)):
        shown = [np.full_like(frame, 90) for frame in frames] if codec == "ffv1" else frames  # few bytes
        path = write_video(tmp_path / f"{codec}.mkv", [0, 40], codec=codec, frames=shown)
        old, new = (bytes.fromhex(f"b082{w:04x}ba82{h:04x}") for w, h in ((320, 256), (width, height)))
        assert path.read_bytes().count(old) == 1
        path.write_bytes(path.read_bytes().replace(old, new))
    with pytest.raises(ValueError, match=naming("ffv1.mkv", f"{2**24:,}")):
        VideoFrames(tmp_path / "ffv1.mkv")
    assert numbers(VideoFrames(tmp_path / "libx264.mkv").read([0, 1])) == [0, 1]
    shutil.copy(tmp_path / "libx264.mkv", tmp_path / "larger.mkv")
    with monkeypatch.context() as patched:
        patched.setattr(video_index, "_LARGEST_FRAME", 2**10)  # of however large a file
        with pytest.raises(ValueError, match=naming("larger.mkv")):
            VideoFrames(tmp_path / "larger.mkv").read([0])
    monkeypatch.setattr(video_index, "_ANY_FRAME", 2**10)
    monkeypatch.setattr(video_index, "_PIXELS_PER_BYTE", 0)
    shutil.copy(tmp_path / "libx264.mkv", tmp_path / "unread.mkv")  # the other one is open already
    with pytest.raises(ValueError, match=naming("unread.mkv")):
        VideoFrames(tmp_path / "unread.mkv").read([0])


def test_reordered_frames_without_times_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path / "reordered.avi", range(50), time_base=Fraction(1, 25), codec_options={"bf": "2"})
    with pytest.raises(ValueError, match=naming("reordered.avi")):
        VideoFrames(path)


def test_wrong_indices_and_sizes_are_refused(plain: Path) -> None:
    frames = VideoFrames(plain)
    for indices in ([60], [-1], [3, 99]):
        with pytest.raises(IndexError, match=naming(60)):
            frames.read(indices)
    for size in ((0, 64), (64,), (64, 64, 3)):
        with pytest.raises(ValueError, match="size"):
            VideoFrames(plain, size=size)  # type: ignore[arg-type]


def test_a_title_need_not_be_text(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "a title of some letters"
        stream = container.add_stream("ffv1", rate=10)
        stream.height = stream.width = 16
        stream.pix_fmt = "bgr0"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")))
        container.mux(stream.encode(None))
    data = path.read_bytes()
    assert b"a title" in data
    path.write_bytes(data.replace(b"a title", b"\xff\xfe\xff\xfe\xff\xfe\xff"))
    assert len(VideoFrames(path)) == 1
