"""Where pictures go is looked at before they are drawn."""

import argparse
from pathlib import Path

import pytest
from naming import naming

from experiments.gallery import picture_file, planning, ways


def test_the_folder_of_a_picture_is_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.png"
    assert picture_file(str(path)) == path
    assert path.parent.is_dir()


def test_a_name_of_no_picture_is_told_before_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("picture", "a.xyz"):
        with pytest.raises(argparse.ArgumentTypeError, match=naming(wrong)):
            picture_file(wrong)
    monkeypatch.setattr(planning, "solved", lambda *_: pytest.fail("work began"))
    with pytest.raises(SystemExit):
        planning.main(["--out", str(tmp_path / "new" / "film")])
    with pytest.raises(SystemExit):
        ways.main(["model", "store", "--out", str(tmp_path / "film")])
    assert capsys.readouterr().err.count("picture.png") == 2
    assert not (tmp_path / "new").exists()
