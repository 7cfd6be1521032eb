"""Trackers: what they are told is read back from where they keep it."""

import json
import sqlite3
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from tracked import curves

from wmcontrol.trackers import TensorBoard, Tracker, Trackio, WandB

ROWS = [{"agent": "CEM", "success": "75 %"}, {"agent": "no-op", "success": "0 %"}]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    frames = np.full((4, 32, 48, 3), 200, np.uint8)
    iio.imwrite(path, frames, plugin="pyav", codec="libx264", fps=5)
    return path


def tell(tracker: Tracker, film: Path) -> None:
    tracker(50, {"loss": 1.5, "relative_error": [0.5, 0.25]})
    tracker(100, {"loss": 1.0})
    tracker.table("success", ROWS)
    tracker.film("episodes", film)
    tracker.close()


def test_tensorboard_has_curves_a_table_and_a_film(tmp_path: Path, film: Path) -> None:
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    tell(TensorBoard(tmp_path / "run"), film)
    folder = tmp_path / "run" / "tensorboard"
    assert curves(folder) == {
        "loss": [(50, 1.5), (100, 1.0)],
        "relative_error/1": [(50, 0.5)],
        "relative_error/2": [(50, 0.25)],
    }
    found = accumulators.EventAccumulator(str(folder))
    found.Reload()
    (text,) = found.Tensors("success/text_summary")
    assert "| CEM | 75 % |\n| no-op | 0 % |" in text.tensor_proto.string_val[0].decode()
    (image,) = found.Images("episodes")
    assert (image.width, image.height) == (48, 32)
    frames = iio.imread(image.encoded_image_string, extension=".gif", index=None)
    assert frames.shape[1:3] == (32, 48)
    assert abs(int(frames[0, 0, 0, 0]) - 200) < 4


def test_a_tensorboard_run_that_goes_on_tells_nothing_twice(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    killed = TensorBoard(tmp_path)
    for step in (50, 100, 150):
        killed(step, {"loss": float(step)})
    # No close: it was killed. The state was of step 100; what is told now is a little different.
    again = TensorBoard(tmp_path)
    for step in (150, 200):
        again(step, {"loss": step + 0.5})
    again.close()
    assert curves(tmp_path / "tensorboard") == {"loss": [(50, 50.0), (100, 100.0), (150, 150.5), (200, 200.5)]}
    killed.close()


def wandb_records(file: Path) -> list:
    """Read an offline run: after 7 bytes, blocks of 32 KiB with records of checksum, length, kind and content."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, found, parts = file.read_bytes(), 7, [], b""
    while at + 7 <= len(content):
        rest = 32768 - at % 32768
        if rest < 7:  # no room for a head: the next block
            at += rest
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def test_an_offline_run_of_weights_and_biases_has_all_of_it(
    tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    tell(WandB(tmp_path / "run", project="walls"), film)
    (file,) = (tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb")
    records = wandb_records(file)
    (run,) = [record.run for record in records if record.HasField("run")]
    assert (run.project, run.display_name) == ("walls", "run")
    assert run.run_id == (tmp_path / "run" / "tracker.txt").read_text()  # the same again for a run that goes on
    lines = [
        {item.key or "/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
        for record in records
        if record.HasField("history")
    ]
    told = [{key: value for key, value in line.items() if not key.startswith("_")} for line in lines]
    assert told[:2] == [
        {"step": 50, "loss": 1.5, "relative_error/1": 0.5, "relative_error/2": 0.25},
        {"step": 100, "loss": 1.0},
    ]
    media = file.parent / "files"
    table = json.loads((media / told[2]["success/path"]).read_text())
    assert (table["columns"], table["data"]) == (["agent", "success"], [["CEM", "75 %"], ["no-op", "0 %"]])
    assert (media / told[3]["episodes/path"]).read_bytes() == film.read_bytes()


def test_trackio_keeps_all_of_it_on_this_machine(tmp_path: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    for module in [name for name in sys.modules if name.split(".")[0] == "trackio"]:
        monkeypatch.delitem(sys.modules, module)  # it looks for its folder when it is imported
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "kept"))
    tell(Trackio(tmp_path / "run", project="walls"), film)
    with sqlite3.connect(tmp_path / "kept" / "walls.db") as opened:
        rows = opened.execute("SELECT run_name, step, metrics FROM metrics ORDER BY id").fetchall()
    opened.close()
    identity = (tmp_path / "run" / "tracker.txt").read_text()
    assert {name for name, *_ in rows} == {f"run-{identity}"}
    told = [(step, json.loads(metrics)) for _, step, metrics in rows]
    assert told[:2] == [(50, {"loss": 1.5, "relative_error/1": 0.5, "relative_error/2": 0.25}), (100, {"loss": 1.0})]
    assert "75 %" in json.dumps(told[2][1]["success"])
    (kept,) = (tmp_path / "kept" / "media").rglob("*.mp4")
    assert kept.read_bytes() == film.read_bytes()


@pytest.mark.parametrize(
    ("tracker", "module", "extra"),
    [(TensorBoard, "torch.utils.tensorboard", "track"), (WandB, "wandb", "wandb"), (Trackio, "trackio", "trackio")],
)
def test_a_package_that_is_missing_is_named_with_the_command(
    tracker: type, module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not there
    with pytest.raises(ImportError, match=rf"wmcontrol\[{extra}\]"):
        tracker(tmp_path / "run")
    assert not (tmp_path / "run").exists()
