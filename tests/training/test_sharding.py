"""Training whose weights are shared out over two processes: the weights of one, whatever became of it on the way."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.multiprocessing as mp
from test_training import GRID, Interrupted, Toy, lines, model, settings, train
from torch import Tensor, nn

from wmcontrol.models import ActionConditioned, Predictor
from wmcontrol.training import Batch, DistributedContext, PredictionLoss, Trainer, distributed
from wmcontrol.training.distributed import without_exchange
from wmcontrol.training.learner import shard, too_large_to_copy

EVERYTHING: dict[str, Any] = {
    "grad_accum_steps": 2,
    "ema_decay": 0.9,
    "rollout_steps": 2,
    "backprop_through_rollout": True,
}


def sharded(
    folder: Path,
    where: DistributedContext,
    mode: str = "full",
    source: Any = None,
    save_seconds: float = 1000.0,
    **change: Any,
) -> ActionConditioned:
    """Train in the calling process, with a validation that says how large a weight is."""

    def validate(judged: Predictor | ActionConditioned) -> dict[str, Any]:
        return {"size": float(judged.get_parameter("predictor.head.weight").detach().abs().sum())}

    folder.mkdir(exist_ok=True)
    trained = model(mode)
    trainer = Trainer(
        settings=settings(**{"num_steps": 9, "shard": True, "dtype": "float32"} | change),
        folder=folder,
        validate=validate,
        every=2,
        validate_every=4,
        save_seconds=save_seconds,
    )
    trainer.train(trained, source or Toy(), GRID, where)
    return trained


def in_two_processes(work: Callable[[Path, DistributedContext], None], folder: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(_one, (port, work, folder), nprocs=2)


def _one(rank: int, port: int, work: Callable[[Path, DistributedContext], None], folder: Path) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    with distributed("cpu") as where:
        work(folder, where)


def train_all(folder: Path, where: DistributedContext) -> None:
    found = {
        "everything": sharded(folder / "everything", where, **EVERYTHING).state_dict(),
        "actions alone": sharded(folder / "actions alone", where, mode="action_only").state_dict(),
    }
    with pytest.raises(KeyboardInterrupt):
        sharded(folder / "broken", where, source=Interrupted(), save_seconds=0.0, **EVERYTHING)
    if where.first:
        shutil.copytree(folder / "broken", folder / "gone on with by one")
    found["broken"] = sharded(folder / "broken", where, **EVERYTHING).state_dict()
    if where.first:
        torch.save(found, folder / "weights.pt")


def close(found: dict[str, Tensor], expected: nn.Module) -> None:
    assert list(found) == list(expected.state_dict())
    for name, value in expected.state_dict().items():
        assert type(found[name]) is Tensor
        torch.testing.assert_close(found[name], value, rtol=0, atol=1e-5)


def test_two_processes_that_share_out_the_weights_end_with_those_of_one(tmp_path: Path) -> None:
    in_two_processes(train_all, tmp_path)
    found = torch.load(tmp_path / "weights.pt", weights_only=True)
    alone = DistributedContext(0, 1, torch.device("cpu"))
    whole = sharded(tmp_path / "whole", alone, **EVERYTHING)
    close(found["everything"], whole)
    close(found["broken"], whole)
    for line, other in zip(lines(tmp_path / "everything"), lines(tmp_path / "whole"), strict=True):
        assert line.keys() == other.keys()
        for key in line.keys() - {"steps_per_second"}:
            assert line[key] == pytest.approx(other[key], rel=1e-4)

    gone_on = tmp_path / "gone on with by one"
    assert torch.load(gone_on / "training.pt", weights_only=True)["step"] == 7
    close(sharded(gone_on, alone, **EVERYTHING).state_dict(), whole)

    close(found["actions alone"], sharded(tmp_path / "one", alone, mode="action_only"))
    base = model("action_only").predictor.state_dict()
    assert all(torch.equal(found["actions alone"][f"predictor.{name}"], value) for name, value in base.items())


def train_apart(folder: Path, where: DistributedContext) -> None:
    with pytest.raises(ValueError, match="folder"):
        sharded(folder / str(where.rank), where)


def test_processes_that_see_different_states_are_refused(tmp_path: Path) -> None:
    train(tmp_path / "0")
    in_two_processes(train_apart, tmp_path)


def look_at_gradients(folder: Path, where: DistributedContext) -> None:
    """Gradients of half a batch each: their own without exchange, and together those of the whole batch."""
    whole, half = Toy().batch(0), Toy().batch(0, where.rank, 2)
    copied, divided = model(), model()
    ddp, fsdp = where.share(PredictionLoss(copied, GRID)), PredictionLoss(divided, GRID)
    shard(fsdp, where)
    mine = sum(part(p).numel() for p in divided.parameters())
    assert 0.4 < mine / sum(p.numel() for p in divided.parameters()) < 0.6

    for loss in (ddp, fsdp):
        with without_exchange(loss):
            loss(half.tokens, half.times, half.actions).backward()
    torch.testing.assert_close(copied.predictor.head.weight.grad, gradient(half), rtol=0, atol=1e-6)
    assert all(p.grad is None for p in divided.parameters())  # not yet added up and shared out

    copied.zero_grad()
    for loss, times in ((ddp, 1), (fsdp, 2)):
        loss(half.tokens, half.times, half.actions).backward()
        found = part(loss.get_parameter(f"{'module.' if loss is ddp else ''}predictor.predictor.head.bias"), "grad")
        expected = times * gradient(whole, "bias")
        rows = slice(None) if loss is ddp else slice(3 * where.rank, 3 * where.rank + 3)
        torch.testing.assert_close(found, expected[rows], rtol=0, atol=1e-6)


def part(parameter: Tensor, of: str | None = None) -> Tensor:
    """Return this process's part of a parameter, or of its gradient."""
    value: Any = parameter if of is None else getattr(parameter, of)
    found: Tensor = value.to_local() if hasattr(value, "to_local") else value
    return found


def gradient(batch: Batch, of: str = "weight") -> Tensor:
    alone = model()
    PredictionLoss(alone, GRID)(*batch[:3]).backward()
    found = alone.predictor.head.get_parameter(of).grad
    assert found is not None
    return found


def test_gradients_are_exchanged_only_at_the_end_of_a_batch(tmp_path: Path) -> None:
    in_two_processes(look_at_gradients, tmp_path)


@pytest.mark.parametrize(("size", "expected"), [("tiny", False), ("base", False), ("large", True), ("giant", True)])
def test_large_and_giant_are_shared_out_unless_told_otherwise(size: str, expected: bool) -> None:
    with torch.device("meta"):
        predictor = Predictor.from_size(size, dim=768)
        assert too_large_to_copy(predictor) == expected
        assert too_large_to_copy(ActionConditioned(predictor, 2)) == expected
