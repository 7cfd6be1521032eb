"""What several tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, serving

ROOT = Path(__file__).resolve().parents[1]
DEMONSTRATIONS = ROOT.parent / "shared" / "data" / "pusht_cchi_v7_replay.zarr.zip"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--demonstrations",
        type=Path,
        default=DEMONSTRATIONS,
        help="the human Push-T demonstrations of Diffusion Policy, a zarr zip store",
    )


@pytest.fixture(scope="session")
def demonstrations(request: pytest.FixtureRequest) -> dict:
    """The recorded states, actions, frames, and where each episode ends; skips where the file is not at hand."""
    path = request.config.getoption("--demonstrations")
    if not path.exists():
        pytest.skip(f"the human Push-T demonstrations are not at {path}: give --demonstrations=PATH")
    zarr = pytest.importorskip("zarr")
    with zarr.storage.ZipStore(path, mode="r") as store:
        group = zarr.open_group(store, mode="r")
        data = {name: group[f"data/{name}"][:] for name in ("state", "action")}
        ends = group["meta/episode_ends"][:]
        frames = group["data/img"]
        picked = range(0, len(data["state"]), 171)
        images = {index: frames[index] for index in picked}
    return {**data, "episode_ends": ends, "images": images}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Stand in for the Hub, with an empty cache."""
    library = pytest.importorskip("huggingface_hub")
    constants = pytest.importorskip("huggingface_hub.constants")
    with serving() as server:
        monkeypatch.setattr(constants, "ENDPOINT", server.address)
        template = f"{server.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield server
        library.close_session()
