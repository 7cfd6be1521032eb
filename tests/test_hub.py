"""Models on the Hugging Face Hub: real huggingface_hub, against a stand-in server."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hub_server import Hub
from naming import naming

from wmcontrol import WorldModel

INTERVAL = {"value": 0.75, "low": 0.5, "high": 0.875}


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """Write the part of an evaluation's report that a card is made of."""
    rows = [
        {"env": "Wall", "agent": agent, "tasks": 16, "success_end": INTERVAL, "success_any": {**INTERVAL, "value": 0.8}}
        for agent in ("world model", "no-op")
    ]
    header = {"tasks": {"env_id": "wmcontrol/Wall-v0"}, "protocol": {"name": "mpc"}, "seed": 3}
    folder = tmp_path / "evaluated"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps({"rows": rows, "settings": [header, header]}))
    return folder


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """Write the records that a fine-tuning leaves."""
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "run.json").write_text(json.dumps({"kind": "finetune", "settings": {"mode": "full", "seed": 7}}))
    errors = {"error": [0.1, 0.3], "persistence_error": [0.4, 0.4], "seconds_ahead": [0.5, 1.0]}
    data = {"env_id": "wmcontrol/Wall-v0", "trajectories": 180}
    (folder / "result.json").write_text(json.dumps({**errors, "data": data}))
    return folder


def weights_of(model: WorldModel) -> dict[str, torch.Tensor]:
    return model.state_dict()


def test_a_model_that_is_pushed_comes_back_with_a_card_of_what_is_known(
    hub: Hub, evaluation: Path, trained: Path
) -> None:
    model = WorldModel.load("wall")
    address = model.push_to_hub(
        "someone/wall",
        training=trained,
        evaluations=[evaluation],
        datasets=["someone/walks"],
        license="apache-2.0",
    )
    assert address.startswith(f"{hub.address}/someone/wall/commit/")
    again = WorldModel.from_pretrained("someone/wall")
    assert again.planning == model.planning
    for name, value in weights_of(model).items():
        assert torch.equal(weights_of(again)[name], value), name
    assert sorted(hub.fetched) == ["config.json", "model.safetensors"]  # neither the card nor anything else

    text = hub.checked_cards[-1]
    from huggingface_hub import ModelCard

    card: Any = ModelCard(text)
    assert card.data.library_name == "wmcontrol"
    assert card.data.license == "apache-2.0"
    assert card.data.datasets == ["someone/walks"]
    assert {"world-model", "Wall"} <= set(card.data.tags)
    end, at_any_time = card.data.eval_results
    assert (end.metric_type, end.metric_value, end.dataset_type) == ("success_end", 0.75, "wmcontrol/Wall-v0")
    assert end.metric_args == {"interval_95": [0.5, 0.875], "tasks": 16, "seed": 3}
    assert (at_any_time.metric_type, at_any_time.metric_value) == ("success_any", 0.8)
    assert 'WorldModel.from_pretrained("someone/wall")' in card.text
    assert "| Wall | mpc | no-op | 16 | 75.0 % [50.0, 87.5] |" in card.text
    assert "| 25.0% | 75.0% |" in card.text  # of the error of repeating the last frame
    assert '"trajectories": 180' in card.text


def test_a_packaged_models_card_says_how_it_was_made(hub: Hub) -> None:
    WorldModel.load("wall").push_to_hub("someone/wall", training="wall")
    text = hub.checked_cards[-1]
    assert "## How well it imagines" in text
    assert "model-index" not in text  # it was not evaluated
    assert "license" not in text.split("---")[1]


def test_a_revision_is_a_version_and_a_second_load_needs_no_network(hub: Hub, tmp_path: Path) -> None:
    model = WorldModel.load("wall")
    model.push_to_hub("someone/wall")
    model.control_rate = 5.0
    model.push_to_hub("someone/wall", revision="slow")
    assert WorldModel.from_pretrained("someone/wall").control_rate == 10
    assert WorldModel.from_pretrained("someone/wall", revision="slow").control_rate == 5
    assert WorldModel.load("hf://someone/wall@slow").control_rate == 5
    hub.shutdown()
    hub.server_close()
    assert WorldModel.load(Path("hf://someone/wall@slow")).control_rate == 5


def test_what_is_not_there_is_named(hub: Hub, tmp_path: Path) -> None:
    hub.commit("someone/other", {"pytorch_model.bin": b"code"})
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        WorldModel.from_pretrained("someone/other")
    assert hub.fetched == []
    with pytest.raises(OSError, match="someone/nothing"):
        WorldModel.from_pretrained("someone/nothing")
    with pytest.raises(OSError, match="v9"):
        WorldModel.from_pretrained("someone/other", revision="v9")
    with pytest.raises(ValueError, match=naming("revision", "wall", "v1")):
        WorldModel.from_pretrained("wall", revision="v1")
    with pytest.raises(ValueError, match=naming("hf://owner/name", "hf://someone")):
        WorldModel.load("hf://someone")
    with pytest.raises(FileNotFoundError, match=r"report\.json"):
        WorldModel.load("wall").push_to_hub("someone/wall", evaluations=[tmp_path])
    assert "someone/wall" not in hub.commits


def test_the_hub_needs_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (lambda: WorldModel.load("hf://a/b"), lambda: WorldModel.load("wall").push_to_hub("a/b")):
        with pytest.raises(ImportError, match=r'pip install "wmcontrol\[hub\]"'):
            call()
