"""The loop of small networks: what a step does is worked by hand, and a kill changes nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from naming import naming
from torch import Tensor, nn

from wmcontrol.training import descent
from wmcontrol.training.descent import cosine, descend


class Killed(BaseException):
    pass


class Point(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.ones(1, dtype=torch.float32))


def descended(
    point: Point,
    folder: Path | None,
    kill_at: int | None = None,
    held_out_loss: Callable[[Point], Tensor] | None = None,
) -> tuple[float, float]:
    num_steps = 4

    def progress(step: int, _: int) -> None:
        told.append(step)
        if step == kill_at:
            raise Killed

    def loss_of(step: int) -> Tensor:
        return (step + 1) * point.place.square().sum() / 2

    told: list[int] = []
    optimizer = torch.optim.SGD(point.parameters(), 0.1, momentum=0.5)
    found = descend(
        point,
        optimizer,
        loss_of,
        num_steps=num_steps,
        rate=lambda done: 1 - done,
        folder=folder,
        device=torch.device("cpu"),
        progress=progress,
        on_log=None,
        held_out_loss=held_out_loss,
    )
    assert told == list(range(told[0], num_steps + 1))
    return found


def test_more_processes_than_one_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each would write the same files."""
    monkeypatch.setattr(descent.dist, "is_initialized", lambda: True)
    monkeypatch.setattr(descent.dist, "get_world_size", lambda: 3)
    with pytest.raises(ValueError, match=naming("torchrun", 3)):
        descended(Point(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_state_that_is_none_says_what_to_do(tmp_path: Path) -> None:
    for broken in ({"step": 3}, ["network"], b"garbage"):
        if isinstance(broken, bytes):
            (tmp_path / "training.pt").write_bytes(broken)
        else:
            torch.save(broken, tmp_path / "training.pt")
        with pytest.raises(ValueError, match=r"training\.pt .*remove it") as told:
            descended(Point(), tmp_path)
        assert "weights_only" not in str(told.value)
    (tmp_path / "training.pt").unlink()
    (tmp_path / "training.pt").mkdir()
    with pytest.raises(IsADirectoryError):  # which says nothing of what is in a file
        descended(Point(), tmp_path)


def by_hand(num_steps: int) -> tuple[float, float]:
    place, velocity, loss = 1.0, 0.0, 0.0
    for step in range(4)[:num_steps]:
        loss = (step + 1) * place**2 / 2
        velocity = 0.5 * velocity + (step + 1) * place
        place -= 0.1 * (1 - step / 4) * velocity
    return place, loss


def test_steps_are_those_worked_by_hand(tmp_path: Path) -> None:
    place, last = by_hand(4)
    for folder in (None, tmp_path):
        point = Point()
        loss, seconds = descended(point, folder)
        assert point.place.item() == pytest.approx(place, rel=1e-6)
        assert loss == pytest.approx(last, rel=1e-6)
        assert seconds >= 0
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines == [{"step": 4, "loss": pytest.approx(last, rel=1e-6)}]


def test_a_kill_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(descent, "_SAVE_SECONDS", -1.0)
    for name in ("whole", "killed"):
        (tmp_path / name).mkdir()
    whole = Point()
    expected, _ = descended(whole, tmp_path / "whole")
    with pytest.raises(Killed):
        descended(Point(), tmp_path / "killed", kill_at=3)  # the state is that of step 2
    assert torch.load(tmp_path / "killed" / "training.pt", weights_only=True)["step"] == 2
    point = Point()
    loss, _ = descended(point, tmp_path / "killed")
    assert (point.place.item(), loss) == (whole.place.item(), expected)
    again = Point()
    assert descended(again, tmp_path / "killed")[0] == expected  # finished, nothing is done again
    assert again.place.item() == whole.place.item()


def test_a_loss_that_is_not_finite_is_named(tmp_path: Path) -> None:
    point = Point()
    point.place.data.fill_(math.nan)
    with pytest.raises(ValueError, match=r"step 1.*nan.*learning_rate"):
        descended(point, tmp_path)
    assert not (tmp_path / "training.pt").exists()


def test_half_a_cosine_goes_from_1_to_0() -> None:
    assert [cosine(share) for share in (0.0, 0.5, 1.0)] == pytest.approx([1.0, 0.5, 0.0])


def test_the_average_that_is_best_on_held_out_data_is_kept_killed_or_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descent, "_EVERY", 1)
    monkeypatch.setattr(descent, "_SAVE_SECONDS", -1.0)
    averages = [1.0]
    for step in range(1, 5):
        decay = step / (step + 10)
        averages.append(decay * averages[-1] + (1 - decay) * by_hand(step)[0])
    target = averages[2] + 0.01  # on the way, not where it ends
    losses = [(average - target) ** 2 for average in averages[1:]]
    assert min(losses) == losses[1]

    def held_out_loss(point: Point) -> Tensor:
        return (point.place[0] - target).square()

    for folder in (None, tmp_path / "whole"):
        if folder is not None:
            folder.mkdir()
        point = Point()
        descended(point, folder, held_out_loss=held_out_loss)
        assert point.place.item() == pytest.approx(averages[2], rel=1e-6)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert [line["held_out_loss"] for line in lines] == pytest.approx(losses, rel=1e-4)
    (tmp_path / "killed").mkdir()
    with pytest.raises(Killed):
        descended(Point(), tmp_path / "killed", kill_at=4, held_out_loss=held_out_loss)
    again = Point()
    descended(again, tmp_path / "killed", held_out_loss=held_out_loss)
    assert again.place.item() == point.place.item()
    assert (tmp_path / "killed" / "log.jsonl").read_text() == (tmp_path / "whole" / "log.jsonl").read_text()
