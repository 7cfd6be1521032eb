"""The pictures of the environments are drawn, small and not blank."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest

from experiments.gallery.environments import save_pictures


@pytest.mark.long
def test_pictures_are_small_and_not_blank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_pictures(tmp_path)
    files = sorted(tmp_path.iterdir())
    stems = ["environments", "variations_PointMaze_UMaze", "variations_PushT", "variations_Wall"]
    assert [f.name for f in files] == [f"{stem}.png" for stem in stems]
    assert sorted(capsys.readouterr().out.splitlines()) == [str(f) for f in files]
    for file in files:
        assert file.stat().st_size < 400_000
        assert len(np.unique(iio.imread(file)[..., :3].reshape(-1, 3), axis=0)) > 100
