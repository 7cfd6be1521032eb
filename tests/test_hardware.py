"""Where to compute, and in what."""

import logging

import pytest
import torch
from naming import naming

from wmcontrol import WorldModel, hardware
from wmcontrol.hardware import fast_dtype, usable_device


@pytest.mark.parametrize(
    ("there", "refusing", "chosen"),
    [
        ({"cuda", "mps"}, set(), "cuda:0"),
        ({"mps"}, set(), "mps"),
        ({"mps"}, {"mps"}, "cpu"),  # as Apple's of today, which has no float64
        (set(), set(), "cpu"),
    ],
)
def test_auto_is_the_first_device_that_does_what_models_need(
    there: set[str],
    refusing: set[str],
    chosen: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: "cuda" in there)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: "mps" in there)
    monkeypatch.setattr(hardware, "_refusal", lambda place: "no float64" if place.type in refusing else None)
    with caplog.at_level(logging.INFO, logger="wmcontrol.hardware"):
        assert str(usable_device("auto")) == chosen
    assert caplog.messages == [f"device=auto: {chosen}"]


def test_a_process_of_torchrun_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "_refusal", lambda place: None)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert usable_device("cuda") == torch.device("cuda", 2)
    assert usable_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("wrong", ["nowhere", "mps", 2.5])
def test_a_device_that_cannot_be_used_is_named(wrong: object) -> None:
    with pytest.raises(ValueError, match=naming("device", repr(wrong))):
        usable_device(wrong)  # type: ignore[arg-type]


def test_a_model_goes_where_it_is_told() -> None:
    assert WorldModel.load("base", device="auto").device == usable_device("auto")
    with pytest.raises(ValueError, match=naming("device", "'nowhere'")):
        WorldModel.load("base", device="nowhere")


def test_fast_types_are_those_of_the_device() -> None:
    assert fast_dtype(torch.device("meta")) == torch.float32
    assert fast_dtype(torch.device("cpu")) in (torch.float32, torch.bfloat16)
