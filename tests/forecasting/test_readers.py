"""Readers, on small sets of the layouts that the data are published in."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naming import naming

from wmcontrol import PyramidEncoder
from wmcontrol.forecasting import train_head
from wmcontrol.forecasting.readers import (
    GRASP,
    KITTI,
    VSPW,
    Cityscapes,
    InfLevel,
    IntPhys,
    MaskedVideos,
    PlainVideos,
    SceneClips,
    ScenePairs,
)
from wmcontrol.forecasting.readers.pictures import read_labels
from wmcontrol.scenes import CATEGORIES, PairDataset, PairDataset3D, SceneDataset

pytest.importorskip("PIL", reason="pictures need the data extra")
av = pytest.importorskip("av")


def save(path: Path, values: Any) -> Path:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values)).save(path)
    return path


def grey(value: int, height: int = 8, width: int = 16) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def film(path: Path, values: list[int], side: int = 16) -> Path:
    """A film of grey frames, 10 a second."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=10)
        stream.height = stream.width = side
        stream.pix_fmt = "yuv420p"
        for value in values:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey(value, side, side), format="rgb24")))
        container.mux(stream.encode(None))
    return path


def values(frames: Any) -> list[int]:
    """Grey values, to the nearest 10, which codecs keep."""
    return [int(10 * round(float(frame.mean()) / 10)) for frame in np.asarray(frames)]


@pytest.fixture
def cityscapes(tmp_path: Path) -> Path:
    for frame in range(100, 130):
        save(tmp_path / f"leftImg8bit_sequence/val/bonn/bonn_000003_{frame:06}_leftImg8bit.png", grey(frame))
    label = np.full((8, 16), 26, np.uint8)  # car
    label[:, 8:] = 4  # static, which counts nowhere
    label[0, 0] = 7  # road
    save(tmp_path / "gtFine/val/bonn/bonn_000003_000119_gtFine_labelIds.png", label)
    return tmp_path


def test_cityscapes(cityscapes: Path) -> None:
    videos = Cityscapes(cityscapes, short_side=None)
    assert (len(videos), len(videos.class_names), videos.class_names[13]) == (1, 19, "car")
    video = videos[0]
    assert video.labelled.tolist() == [19]
    assert np.asarray(video.frames[[19, 0, 29]])[:, 0, 0, 0].tolist() == [119, 100, 129]
    assert video.times[19] - video.times[16] == pytest.approx(0.1875)
    label = video.labels[19]
    assert (label[0, 0], label[1, 0], label[0, 8]) == (0, 13, 255)
    with pytest.raises(IndexError):
        video.labels[18]
    small = Cityscapes(cityscapes, short_side=4)[0]
    assert small.frames[[0]].shape == (1, 4, 8, 3)
    assert (small.labels[19].shape, sorted(set(small.labels[19].flat))) == ((4, 8), [0, 13, 255])


def test_what_is_wrong_in_cityscapes_is_named(cityscapes: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=naming("gtFine/train")):
        Cityscapes(cityscapes, split="train")
    missing = cityscapes / "leftImg8bit_sequence/val/bonn/bonn_000003_000104_leftImg8bit.png"
    missing.write_bytes(b"no picture")
    with pytest.raises(OSError, match=naming(missing.name)):
        Cityscapes(cityscapes)[0].frames[[4]]
    missing.unlink()
    with pytest.raises(FileNotFoundError, match=naming(missing.name)):
        Cityscapes(cityscapes)[0].frames[[4]]
    label = next((cityscapes / "gtFine").rglob("*.png"))
    save(label, grey(3))
    with pytest.raises(ValueError, match=naming(label.name, "RGB")):
        Cityscapes(cityscapes)[0].labels[19]
    label.rename(label.with_name("bonn_3_5_gtFine_labelIds.png"))
    with pytest.raises(ValueError, match=naming("bonn_3_5_gtFine_labelIds.png", 19)):
        Cityscapes(cityscapes)[0]


@pytest.fixture
def vspw(tmp_path: Path) -> Path:
    for frame in range(3):
        save(tmp_path / f"data/1_a/origin/{frame:08}.jpg", grey(50 * frame))
        if frame:
            mask = np.full((8, 16), frame, np.uint8)
            mask[0, :3] = 0, 124, 255
            save(tmp_path / f"data/1_a/mask/{frame:08}.png", mask)
    (tmp_path / "val.txt").write_text("1_a\n")
    names = {"others": 0, **{f"class {i}": str(i) for i in range(1, 125)}}
    (tmp_path / "label_num_dic_final.json").write_text(json.dumps(names))
    return tmp_path


def test_vspw(vspw: Path) -> None:
    videos = VSPW(vspw, short_side=4)
    assert (len(videos), len(videos.class_names), videos.class_names[:2]) == (1, 124, ("class 1", "class 2"))
    video = VSPW(vspw, short_side=None)[0]
    assert video.labelled.tolist() == [1, 2]
    assert values(video.frames[[2, 0]]) == [100, 0]
    assert video.labels[2][0, :4].tolist() == [255, 123, 255, 1]
    assert np.allclose(video.times, [0, 1 / 15, 2 / 15])
    assert videos[0].labels[1].shape == (4, 8)


def test_what_is_wrong_in_vspw_is_named(vspw: Path) -> None:
    (vspw / "train.txt").write_text("../elsewhere\n")
    with pytest.raises(ValueError, match=naming("train.txt", "../elsewhere")):
        VSPW(vspw, split="train")
    names = json.loads((vspw / "label_num_dic_final.json").read_text())
    del names["class 7"]
    (vspw / "label_num_dic_final.json").write_text(json.dumps(names))
    with pytest.raises(ValueError, match=naming("label_num_dic_final.json", 7)):
        VSPW(vspw)


@pytest.fixture
def kitti(tmp_path: Path) -> Path:
    drive = "2011_09_26_drive_0002_sync"
    for frame in (0, 1, 3):  # 2 is missing
        picture = np.zeros((375, 1242, 3), np.uint8)
        picture[23:, 13:-13] = 100 + frame  # what the crop leaves
        save(tmp_path / f"raw/2011_09_26/{drive}/image_02/data/{frame:010}.png", picture)
    for frame in (1, 3):
        depth = np.zeros((375, 1242), np.uint16)
        depth[23, 13], depth[-1, -14] = 256 * 7 + 128, 256 * frame
        save(tmp_path / f"depth/{drive}/proj_depth/groundtruth/image_02/{frame:010}.png", depth)
    line = f"2011_09_26/{drive}/image_02/data/%s.png %s 721.5\n"
    depth = f"{drive}/proj_depth/groundtruth/image_02/0000000003.png"
    (tmp_path / "test.txt").write_text(line % ("0000000000", "None") + line % ("0000000003", depth))
    return tmp_path


def test_kitti(kitti: Path) -> None:
    videos = KITTI(kitti / "raw", kitti / "depth")
    assert (len(videos), videos.kind, videos.class_names) == (1, "depth", ())
    video = videos[0]
    frames = np.asarray(video.frames[[2]])
    assert (frames.shape, frames.min(), frames.max()) == ((1, 352, 1216, 3), 103, 103)
    assert np.allclose(video.times, [0, 0.1, 0.3])
    assert video.labelled.tolist() == [1, 2]
    depth = video.labels[2]
    assert (depth[0, 0], depth[-1, -1], depth.sum(), depth.dtype) == (7.5, 3, 10.5, np.float32)
    assert KITTI(kitti / "raw", kitti / "depth", files=kitti / "test.txt")[0].labelled.tolist() == [2]


def test_what_is_wrong_in_kitti_is_named(kitti: Path) -> None:
    (kitti / "test.txt").write_text("a/b.png /etc/passwd 1\n")
    with pytest.raises(ValueError, match=naming("test.txt, line 1", "/etc/passwd")):
        KITTI(kitti / "raw", kitti / "depth", files=kitti / "test.txt")
    small = next((kitti / "raw").rglob("0000000001.png"))
    save(small, grey(1))
    with pytest.raises(ValueError, match=naming(small.name, 352, 8)):
        KITTI(kitti / "raw", kitti / "depth")[0].frames[[1]]
    small.unlink()
    with pytest.raises(FileNotFoundError, match=naming(small.name)):
        KITTI(kitti / "raw", kitti / "depth")[0]


def test_a_picture_of_labels_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "huge.png", np.zeros((4000, 4000), np.uint8))
    assert path.stat().st_size < 100_000
    with pytest.raises(ValueError, match=naming("huge.png", "4000 by 4000")):
        read_labels(path)
    (tmp_path / "cut.png").write_bytes(path.read_bytes()[:200])
    (tmp_path / "text.png").write_bytes(b"text")
    for name in ("cut.png", "text.png"):
        with pytest.raises((OSError, ValueError), match=naming(name)):
            read_labels(tmp_path / name)


def test_videos_of_ones_own_with_masks(tmp_path: Path) -> None:
    film(tmp_path / "a" / "street.mp4", [0, 50, 100, 150])
    film(tmp_path / "no masks.mp4", [0, 50])
    mask = np.zeros((16, 16), np.uint8)
    mask[:8], mask[0] = 1, 255
    save(tmp_path / "a/street/0002.png", mask)
    (tmp_path / "classes.json").write_text('["road", "car"]')
    videos = MaskedVideos(tmp_path, short_side=8)
    video = videos[0]
    assert (len(videos), video.name, video.labelled.tolist()) == (1, "a/street.mp4", [2])
    assert (values(video.frames[[3, 1]]), video.frames[[0]].shape) == ([150, 50], (1, 8, 8, 3))
    assert video.labels[2][[1, 7], 0].tolist() == [1, 0]
    assert MaskedVideos(tmp_path)[0].labels[2][[0, 1, 8], 0].tolist() == [255, 1, 0]
    save(tmp_path / "a/street/3.png", np.full((16, 16), 2, np.uint8))
    with pytest.raises(ValueError, match=naming("3.png", 2)):
        MaskedVideos(tmp_path)[0].labels[3]
    save(tmp_path / "a/street/9.png", mask)
    with pytest.raises(ValueError, match=naming("9.png", 4)):
        MaskedVideos(tmp_path)[0]
    save(tmp_path / "a/street/last.png", mask)
    with pytest.raises(ValueError, match=r"last\.png"):
        MaskedVideos(tmp_path)


def test_plain_videos_are_cut_into_clips(tmp_path: Path) -> None:
    film(tmp_path / "a.mp4", [0, 20, 40, 60, 80])
    film(tmp_path / "b" / "c.mp4", [100, 120])
    clips = PlainVideos(tmp_path, image_size=8, clip_frames=2)
    assert [(clip.name, values(clip.frames[[0, 1]])) for clip in clips] == [
        ("a.mp4, from frame 0", [0, 20]),
        ("a.mp4, from frame 2", [40, 60]),
        ("b/c.mp4, from frame 0", [100, 120]),
    ]
    assert np.allclose(clips[1].times, [0.2, 0.3])
    assert (clips.kind, clips[0].frames[[0]].shape) == (None, (1, 8, 8, 3))
    with pytest.raises(ValueError, match=naming("clip_frames=6", 5)):
        PlainVideos(tmp_path, clip_frames=6)
    with pytest.raises(ValueError, match=naming("videos", "labels")):
        train_head(clips, PyramidEncoder(4))


@pytest.fixture
def intphys(tmp_path: Path) -> Path:
    # Films 1 and 4 begin alike for two frames, as do 2 and 3; all four for one.
    films = {1: [9, 20, 30, 40], 2: [9, 50, 60, 60], 3: [9, 50, 70, 70], 4: [9, 20, 80, 80]}
    for block in ("O1", "O2", "O3"):
        for number, shown in films.items():
            folder = tmp_path / block / "01" / str(number)
            for frame, value in enumerate(shown, 1):
                save(folder / f"scene/scene_{frame:03}.png", grey(value, 16, 16))
            (folder / "status.json").write_text(json.dumps({"header": {"is_possible": number < 3}, "frames": {}}))
    return tmp_path


def test_intphys_pairs_the_films_that_begin_alike(intphys: Path) -> None:
    pairs = IntPhys(intphys, image_size=8)
    assert len(pairs) == 6
    assert [pair.category for pair in pairs][::2] == [
        "object permanence",
        "unchangeableness",
        "spatiotemporal continuity",
    ]
    assert [(pair.possible.name, pair.impossible.name) for pair in pairs][:2] == [
        ("O1/01/1", "O1/01/4"),
        ("O1/01/2", "O1/01/3"),
    ]
    pair = pairs[0]
    assert values(pair.impossible.frames[[0, 1, 2]]) == [10, 20, 80]
    assert (pair.possible.frames[[0]].shape, pair.possible.times[3]) == ((1, 8, 8, 3), 0.2)
    with pytest.raises(IndexError):
        pairs[6]


def test_what_is_wrong_in_intphys_is_named(intphys: Path) -> None:
    status = intphys / "O2/01/1/status.json"
    status.write_text(json.dumps({"header": {"is_possible": False}}))
    with pytest.raises(ValueError, match=naming("O2/01", 1, 4)):
        IntPhys(intphys)[2]
    status.write_text("{}")
    with pytest.raises(ValueError, match=naming("status.json", "header")):
        IntPhys(intphys)[2]


def test_grasp(tmp_path: Path) -> None:
    for name in ("0.mp4", "1.mp4"):
        film(tmp_path / "P_Gravity" / name, [0, 50, 100])
        film(tmp_path / "IP_Gravity" / name, [0, 50, 200])
    pairs = GRASP(tmp_path, image_size=8)
    assert (len(pairs), pairs[1].category) == (2, "Gravity")
    assert values(pairs[1].impossible.frames[[2]]) == [200]
    assert values(pairs[1].possible.frames[[2]]) == [100]
    assert np.allclose(pairs[0].possible.times, [0, 0.1, 0.2])
    (tmp_path / "IP_Gravity/1.mp4").unlink()
    with pytest.raises(FileNotFoundError, match=naming("IP_Gravity/1.mp4")):
        GRASP(tmp_path)


def inflevel(folder: Path, **changes: Any) -> Path:
    film(folder / "gravity/a.mp4", [0, 10, 20, 30, 40, 50, 60, 70])
    film(folder / "gravity/b.mp4", [200, 190, 180, 170, 160, 150])
    row = {}
    for which, name, end, label in ((1, "b", 1, "impossible"), (2, "a", 2, "possible")):
        row |= {f"vid{which}_path": f"gravity/{name}.mp4", f"vid{which}_label": label}
        row |= {f"vid{which}_{where}_priming_{i}": 0 for where in ("start", "end") for i in (1, 2)}
        row[f"vid{which}_end_priming_2"] = end
    for category in ("continuity", "gravity", "solidity"):
        with (folder / f"{category}.csv").open("w", newline="", encoding="utf-8") as file:
            rows = csv.DictWriter(file, list(row))
            rows.writeheader()
            if category == "gravity":
                rows.writerow(row | changes)
    return folder


def test_inflevel_skips_the_priming_and_films_end_together(tmp_path: Path) -> None:
    pairs = InfLevel(inflevel(tmp_path), image_size=8)
    assert (len(pairs), pairs[0].category) == (1, "gravity")
    possible, impossible = pairs[0].possible, pairs[0].impossible
    # a has frames 3 to 7 after its priming, b 2 to 5: of a the first is lost.
    assert values(possible.frames[[0, 1, 2, 3]]) == [40, 50, 60, 70]
    assert values(impossible.frames[[0, 3]]) == [180, 150]
    assert len(possible.times) == len(impossible.times) == 4


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"vid1_path": "../../x.mp4"}, ("gravity.csv, line 2", "../../x.mp4")),
        ({"vid1_end_priming_2": "1.5"}, ("gravity.csv, line 2", "1.5")),
        ({"vid1_label": "possible"}, ("gravity.csv, line 2", "vid1_label")),
    ],
)
def test_rows_of_inflevel_that_cannot_be_are_named(tmp_path: Path, changes: Any, facts: Any) -> None:
    with pytest.raises(ValueError, match=naming(*facts)):
        InfLevel(inflevel(tmp_path, **changes))


def test_films_shorter_than_their_priming_and_files_without_columns_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=naming("gravity/b.mp4", 6, 9)):
        InfLevel(inflevel(tmp_path, vid1_end_priming_2=9))[0]
    (tmp_path / "solidity.csv").write_text("vid1_path,vid2_path\n")
    with pytest.raises(ValueError, match=naming("solidity.csv", "vid1_label")):
        InfLevel(tmp_path)


@pytest.mark.parametrize(
    ("fixture", "reader"),
    [
        ("cityscapes", lambda path: Cityscapes(path, short_side=4)),
        ("vspw", lambda path: VSPW(path)),
        ("kitti", lambda path: KITTI(path / "raw", path / "depth")),
        ("intphys", lambda path: IntPhys(path)),
    ],
)
def test_settings_say_what_is_read(fixture: str, reader: Callable[[Path], Any], request: Any) -> None:
    path = request.getfixturevalue(fixture)
    found = reader(path).settings()
    assert str(path) in json.dumps(found)
    assert found == reader(path).settings()


def test_protocols_are_the_papers(cityscapes: Path, tmp_path: Path) -> None:
    of_cityscapes = Cityscapes(cityscapes)
    found = {
        kind: [kind.context_of(kind.target, case.distance) for case in kind.cases()]
        for kind in (of_cityscapes.protocol, KITTI.protocol)
    }
    assert list(found.values()) == [[[7, 10, 13, 16], [1, 4, 7, 10]], [[5, 7, 9, 11], [1, 3, 5, 7]]]
    assert [case.calls for case in KITTI.protocol.cases()] == [1, 3]
    assert (of_cityscapes.protocol.tile, of_cityscapes.protocol.tile_stride) == ((448, 448), 300)
    assert (of_cityscapes.crop, KITTI.protocol.tile, KITTI.crop) == ((448, 448), None, (352, 704))
    assert Cityscapes(cityscapes, short_side=224).protocol.tile_stride == 150
    windows = [(p.window, p.frame_step, p.contexts, p.stride) for p in (r.protocol for r in (IntPhys, GRASP, InfLevel))]
    assert windows == [
        (16, 2, (2, 4, 6, 8, 10), 2),
        (16, 10, (2, 4, 6, 8, 10), 2),
        (32, 5, (4, 8, 12, 16, 20), 2),
    ]


def test_scenes_are_drawn_when_a_frame_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = SceneClips(3, 2, image_size=16, num_frames=5)
    expected = clips.dataset[1]
    depths = SceneClips(3, 2, kind="depth", image_size=16, num_frames=5)
    with monkeypatch.context() as patch:
        patch.setattr(SceneDataset, "__getitem__", None)  # nothing is drawn yet
        video = clips[1]
    assert np.array_equal(video.times, expected.times)
    assert video.labelled.tolist() == [0, 1, 2, 3, 4]
    assert np.array_equal(video.frames[[4, 0]], expected.frames[[4, 0]])
    assert np.array_equal(video.labels[2], expected.classes[2])
    assert np.array_equal(depths[1].labels[2], expected.depth[2])
    assert (clips.class_names, depths.class_names) == (clips.dataset.class_names, ())
    assert clips.settings() != SceneClips(4, 2, image_size=16, num_frames=5).settings()


def test_pairs_of_scenes_are_those_of_their_data_set() -> None:
    pairs = ScenePairs(3, 5, image_size=32)
    expected, found = PairDataset(3, 5, image_size=32)[4], pairs[4]
    assert (found.category, len(pairs), {pair.category for pair in pairs}) == (expected.category, 5, set(CATEGORIES))
    assert np.array_equal(found.impossible.frames, expected.impossible.frames)
    assert np.array_equal(found.possible.times, expected.possible.times)
    solid = ScenePairs(3, 5, kind="solid", image_size=32)
    assert isinstance(solid.dataset, PairDataset3D)
    assert solid.settings() != pairs.settings()
    with pytest.raises(ValueError, match=r"kind.*flat.*solid.*round"):
        ScenePairs(kind="round")  # type: ignore[arg-type]


@pytest.mark.parametrize("num_frames", [45, 48, 60])
def test_windows_of_pairs_show_what_tells_how_an_event_must_end_and_the_end(num_frames: int) -> None:
    pairs = ScenePairs(3, 20, image_size=32, num_frames=num_frames)
    protocol, numbers = pairs.protocol, np.arange(0, num_frames, pairs.protocol.frame_step)
    windows = [numbers[i : i + protocol.window] for i in range(0, len(numbers) - protocol.window + 1, protocol.stride)]
    for number in (i for i in range(20) if i % 10 < 5):
        one, other = (pairs[number + i].possible.frames for i in (0, 5))  # of one event
        differ = np.flatnonzero((np.asarray(one) != np.asarray(other)).any((1, 2, 3)))
        end = pairs.dataset[number].first_difference
        assert all(
            any(np.isin(window[:seen], differ).any() and window[seen - 1] < end <= window[-1] for window in windows)
            for seen in protocol.contexts
        )
