"""Training: losses, modes, resuming after a kill, many processes, and what stops a run."""

import errno
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
import torch.nn.functional as F
from naming import naming
from torch import Tensor

from wmcontrol.hardware import fast_dtype
from wmcontrol.models import ActionConditioned, Predictor
from wmcontrol.training import (
    Batch,
    PredictionError,
    PredictionLoss,
    Trainer,
    TrainingSettings,
    distributed,
    prediction_error,
    with_actions,
)
from wmcontrol.training.batch import read_batches
from wmcontrol.training.validation import context_frames, steps_ahead

GRID, D, A = (1, 2), 5, 3
PLACES = [str(Path(__file__).parents[i]) for i in range(2)]  # of the modules that the tests import


@dataclass(frozen=True)
class Toy:
    """A linear world: the next token is a turn of the last, shifted by the action. Batches follow from the step."""

    batch_size: int = 16
    frames: int = 4
    spoil_from: int | None = None

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        rng = np.random.default_rng([7, step])
        B, T = self.batch_size, self.frames
        turn, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(D, D)))
        push = np.random.default_rng(1).normal(size=(A, D))
        actions = rng.normal(size=(B, T - 1, A))
        tokens = [rng.normal(size=(B, 2, D))]
        for t in range(T - 1):
            tokens.append(tokens[-1] @ turn + 0.5 * (actions[:, t] @ push)[:, None])
        stacked = np.stack(tokens, 1)
        if self.spoil_from is not None and step >= self.spoil_from:
            stacked[5, 1, 0, 2] = np.nan
        times = np.tile(0.5 * np.arange(T), (B, 1))
        share = B // world_size
        rows = slice(rank * share, (rank + 1) * share)
        tensors = (torch.from_numpy(x[rows]) for x in (stacked, times, actions))
        stacked_t, times_t, actions_t = tensors
        return Batch(stacked_t.float(), times_t, actions_t.float(), [f"clip {i}" for i in range(B)][rows])


def base() -> Predictor:
    torch.manual_seed(0)
    return Predictor(D, 24, 2, 2)


def model(mode: Any = "full") -> ActionConditioned:
    return with_actions(base(), A, mode, seed=1)


def settings(**change: Any) -> TrainingSettings:
    constant = {"optimizer": "adamw", "learning_rate": 3e-3, "warmup_steps": 3, "min_lr_ratio": 1.0}
    return TrainingSettings(**{"num_steps": 12, "weight_decay": 0.01, "dtype": "float32", **constant} | change)


def train(folder: Path, trained: Any = None, source: Any = None, **change: Any) -> ActionConditioned:
    folder.mkdir(exist_ok=True)
    trained = model() if trained is None else trained
    trainer = Trainer(settings=settings(**change), folder=folder, every=2, save_seconds=0.0)
    with distributed("cpu") as where:
        trainer.train(trained, source or Toy(), GRID, where)
    return trained


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_the_loss_is_smooth_l1_of_all_next_frames() -> None:
    trained, batch = model(), Toy().batch(0)
    found = PredictionLoss(trained, GRID)(*batch[:3])
    predicted = trained(batch.tokens[:, :-1], batch.times, batch.actions, grid=GRID)
    away = (predicted - batch.tokens[:, 1:]).abs()
    expected = torch.where(away < 0.1, 0.5 * away**2 / 0.1, away - 0.05).mean()
    torch.testing.assert_close(found, expected)


def test_weights_multiply_the_errors_of_each_number_of_a_token() -> None:
    trained, batch = model(), Toy().batch(0)
    weights = [0.5 + i for i in range(batch.tokens.shape[-1])]
    found = PredictionLoss(trained, GRID, weights=weights)(*batch[:3])
    predicted = trained(batch.tokens[:, :-1], batch.times, batch.actions, grid=GRID)
    away = (predicted - batch.tokens[:, 1:]).abs() * torch.tensor(weights)
    torch.testing.assert_close(found, torch.where(away < 0.1, 0.5 * away**2 / 0.1, away - 0.05).mean())


def test_a_rollout_loss_is_that_of_imagining_step_by_step() -> None:
    trained, batch = model().double(), Toy(frames=4).batch(0)
    tokens, times, actions = batch.tokens.double(), batch.times, batch.actions.double()
    found = PredictionLoss(trained, GRID, rollout_steps=3)(tokens, times, actions)

    def imagined(upto: int, depth: int) -> Tensor:
        """Frame ``upto``, predicted from the frames before it, of which the last ``depth - 1`` are imagined."""
        seen = [tokens[:, 0]] + [imagined(t, depth - 1) if depth > 1 else tokens[:, t] for t in range(1, upto)]
        context = torch.stack(seen, 1)
        predicted = trained(context, times[:, : upto + 1], actions[:, :upto], grid=GRID)
        return predicted[:, -1]

    losses = []
    for depth in (1, 2, 3):
        frames = [F.smooth_l1_loss(imagined(t, depth), tokens[:, t], beta=0.1) for t in range(depth, tokens.shape[1])]
        losses.append(torch.stack(frames).mean())
    torch.testing.assert_close(found, torch.stack(losses).mean())


def test_gradients_go_through_the_last_pass_alone_or_through_all() -> None:
    batch = Toy().batch(0)
    gradients = []
    for through in (False, True):
        trained = model()
        PredictionLoss(trained, GRID, rollout_steps=2, backprop_through_rollout=through)(*batch[:3]).backward()
        gradients.append(trained.predictor.embed.weight.grad)
    assert not torch.allclose(gradients[0], gradients[1])
    with pytest.raises(ValueError, match=naming(4)):
        PredictionLoss(model(), GRID, rollout_steps=4)(*batch[:3])


def test_full_and_action_only_begin_as_the_base_and_scratch_shares_nothing_with_it() -> None:
    pretrained, batch = base(), Toy().batch(0)
    expected = pretrained(batch.tokens[:, :-1], batch.times, grid=GRID)
    for mode in ("full", "action_only"):
        wrapped = with_actions(pretrained, A, mode, seed=3)
        assert torch.equal(wrapped(batch.tokens[:, :-1], batch.times, batch.actions, grid=GRID), expected)
    scratch = with_actions(pretrained, A, "scratch", seed=3)
    for name, parameter in pretrained.named_parameters():
        if parameter.ndim >= 2 or name == "query":  # the others begin as zeros and ones in both
            assert not torch.equal(scratch.predictor.get_parameter(name), parameter), name
    of_base = {parameter.untyped_storage().data_ptr() for parameter in pretrained.parameters()}
    for mode in ("scratch", "full", "action_only"):
        wrapped = with_actions(pretrained, A, mode, seed=3)
        assert not of_base & {tensor.untyped_storage().data_ptr() for tensor in wrapped.state_dict().values()}
    assert same(scratch, with_actions(pretrained, A, "scratch", seed=3))
    assert not same(scratch, with_actions(pretrained, A, "scratch", seed=4))
    with pytest.raises(ValueError, match="mode"):
        with_actions(pretrained, A, "half", seed=0)  # type: ignore[arg-type]


def test_action_only_leaves_everything_else_bit_for_bit(tmp_path: Path) -> None:
    pretrained = base()
    trained = train(tmp_path, with_actions(pretrained, A, "action_only", seed=0), weight_decay=0.4)
    assert same(trained.predictor, pretrained)
    assert all(float(block.scale.detach().abs().max()) > 0 for block in trained.action_blocks)
    full = train(tmp_path / "full", with_actions(pretrained, A, "full", seed=0))
    assert not same(full.predictor, pretrained)


def test_training_learns_the_toy_and_says_so(tmp_path: Path) -> None:
    batch = Toy(frames=6, batch_size=64).batch(10_000)
    trained = model()
    before = prediction_error(trained, batch, GRID)
    train(tmp_path, trained, Toy(batch_size=64), num_steps=400, learning_rate=1e-2, min_lr_ratio=0.0)
    after = prediction_error(trained, batch, GRID)
    assert after.relative_error[0] < 0.5 < before.relative_error[0]
    assert (after.model < before.model).all()
    logged = lines(tmp_path)
    assert logged[-1]["loss"] < 0.7 * logged[0]["loss"]
    assert [line["step"] for line in logged] == list(range(2, 401, 2))


@pytest.mark.parametrize("seen", [1, 3])
def test_errors_are_of_frames_after_the_context_and_persistence_copies_its_last(seen: int) -> None:
    batch, predictor = Toy(frames=6).batch(3), model()
    with torch.no_grad():
        for block in predictor.action_blocks:
            block.scale.fill_(1.0)
        predictor.embed_arrival.weight.normal_(generator=torch.Generator().manual_seed(0))
    error = prediction_error(predictor, batch, GRID, context=seen, chunk=5)
    assert error.context == seen
    assert len(error.model) == len(error.persistence) == 6 - seen
    assert error.seconds == pytest.approx((batch.times[0, seen:] - batch.times[0, seen - 1]).tolist())
    for h in range(6 - seen):
        expected = F.smooth_l1_loss(batch.tokens[:, seen - 1], batch.tokens[:, seen + h], beta=0.1)
        assert error.persistence[h] == pytest.approx(float(expected), rel=1e-5)
    with torch.no_grad():
        between = batch.actions[:, : seen - 1]
        context = predictor.context(batch.tokens[:, :seen], batch.times[:, :seen], grid=GRID, actions=between)
        first, context = predictor.step(context, batch.times[:, seen], batch.actions[:, seen - 1])
        second, _ = predictor.step(context, batch.times[:, seen + 1], batch.actions[:, seen])
    for h, guess in enumerate((first, second)):
        expected = F.smooth_l1_loss(guess, batch.tokens[:, seen + h], beta=0.1)
        assert error.model[h] == pytest.approx(float(expected), rel=1e-5)
    assert error.relative_error == pytest.approx(error.model / error.persistence)


@pytest.mark.parametrize("seen", [0, 6])
def test_a_context_that_leaves_nothing_to_imagine_is_refused(seen: int) -> None:
    with pytest.raises(ValueError, match=naming(5, seen)):
        prediction_error(model(), Toy(frames=6).batch(3), GRID, context=seen)


def test_models_of_any_frameskip_are_measured_as_far_ahead_in_time() -> None:
    assert {skip: skip * steps_ahead(skip) for skip in (1, 5, 25)} == {1: 25, 5: 25, 25: 25}
    assert steps_ahead(100) == 1
    assert (
        context_frames(8, steps_ahead(5)) == 3
    )  # an agent that plans 5 steps may look at 3 of the 8 frames trained on
    assert context_frames(4, 5) == 1


def test_a_model_that_is_worse_than_persistence_is_warned_of() -> None:
    good, bad = np.array([0.5, 0.9]), np.array([0.5, 5.58])
    ahead, one = np.array([0.5, 1.0]), np.ones(2)
    assert PredictionError(ahead, good, one, 1).warning is None
    told = PredictionError(ahead, bad, one, 1)
    assert "1 of 2" in str(told.warning)
    assert "1 s (558%)" in str(told.warning)
    assert "0.5 s" not in str(told.warning)
    assert str(told) == "0.5 s 50.0%, 1 s 558.0%"
    many = PredictionError(np.arange(1.0, 26.0), np.arange(1.0, 26.0), np.full(25, 100.0), 1)
    assert str(many) == "1 s 1.0%, 7 s 7.0%, 13 s 13.0%, 19 s 19.0%, 25 s 25.0%"
    assert PredictionError(ahead, np.array([0.5, np.nan]), one, 1).warning is not None


@pytest.mark.parametrize("change", [{}, {"ema_decay": 0.9}, {"grad_accum_steps": 4}, {"rollout_steps": 2}])
def test_a_run_that_stops_and_goes_on_ends_with_the_same_weights(change: dict[str, Any], tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", **change)

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "broken", source=Interrupted(), **change)
    again = train(tmp_path / "broken", **change)
    assert same(whole, again)
    strip = [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines(tmp_path / "broken")]
    assert strip == [{k: v for k, v in line.items() if k != "steps_per_second"} for line in lines(tmp_path / "whole")]


@pytest.mark.parametrize("ahead", [False, True])
def test_batches_come_in_order_once_and_no_further(ahead: bool) -> None:
    read: list[int] = []

    class Counted(Toy):
        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
            read.append(step)
            return super().batch(step, rank, world_size)

    found = list(read_batches(Counted(), range(3, 7), 1, 2, ahead=ahead))
    assert read == [3, 4, 5, 6]
    for batch, step in zip(found, read, strict=True):
        assert torch.equal(batch.tokens, Toy().batch(step, 1, 2).tokens)
    assert list(read_batches(Counted(), range(7, 7), 0, 1, ahead=ahead)) == []


def test_a_batch_is_read_while_the_one_before_is_used() -> None:
    begun = [threading.Event() for _ in range(3)]

    class Told(Toy):
        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
            begun[step].set()
            return super().batch(step, rank, world_size)

    batches = read_batches(Told(), range(3), 0, 1, ahead=True)
    for step, _ in enumerate(batches):
        assert all(event.wait(10) for event in begun[: step + 2])
        assert not any(event.is_set() for event in begun[step + 2 :])


class Interrupted(Toy):
    """Stops a run in its eighth step."""

    def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
        if step == 7:
            raise KeyboardInterrupt
        return super().batch(step, rank, world_size)


def slow_run(folder: Path) -> None:
    """What the process that is killed runs."""

    class Slow(Toy):
        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
            time.sleep(0.01)
            return super().batch(step, rank, world_size)

    train(folder, source=Slow(), num_steps=300, warmup_steps=10)


def test_killed_anywhere_it_ends_with_the_same_weights(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    code = f"import sys; sys.path[:0] = {PLACES!r}; import test_training as t, pathlib; "
    code += f"t.slow_run(pathlib.Path({str(folder)!r}))"
    for _ in range(2):
        process = subprocess.Popen([sys.executable, "-c", code])
        before = (folder / "training.pt").stat().st_mtime_ns if (folder / "training.pt").exists() else 0
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and process.poll() is None:
            if (folder / "training.pt").exists() and (folder / "training.pt").stat().st_mtime_ns != before:
                time.sleep(0.5 * random.random())  # anywhere: in a step, or while a state is written
                break
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    again = train(folder, num_steps=300, warmup_steps=10)
    assert same(again, train(tmp_path / "whole", num_steps=300, warmup_steps=10))


def test_accumulating_changes_nothing_but_memory(tmp_path: Path) -> None:
    at_once, in_parts = train(tmp_path / "a"), train(tmp_path / "b", grad_accum_steps=4)
    for a, b in zip(at_once.parameters(), in_parts.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match=naming(16, "grad_accum_steps", 3)):
        train(tmp_path / "c", grad_accum_steps=3)


def one_of_two(rank: int, port: int, folder: str) -> None:
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.set_num_threads(1)
    trained = train(Path(folder))
    if rank == 0:
        torch.save(trained.state_dict(), Path(folder) / "weights.pt")


def test_two_processes_give_the_weights_of_one(tmp_path: Path) -> None:
    alone = train(tmp_path / "alone")
    folder = tmp_path / "together"
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    mp.spawn(one_of_two, (port, str(folder)), nprocs=2)
    together = torch.load(folder / "weights.pt", weights_only=True)
    for name, value in alone.state_dict().items():
        torch.testing.assert_close(together[name], value, rtol=0, atol=1e-5)
    losses = [[line["loss"] for line in lines(tmp_path / name)] for name in ("alone", "together")]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_a_loss_that_is_not_finite_stops_with_the_clips_it_came_from(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=naming("step 5", "nan", "process 0", "'clip 5'")):
        train(tmp_path, source=Toy(spoil_from=5))
    assert torch.load(tmp_path / "training.pt", weights_only=True)["step"] == 5  # and what was learnt is kept
    with pytest.raises(ValueError, match=r"step 5: "):
        train(tmp_path, source=Toy(spoil_from=5))


def test_a_gradient_that_is_not_finite_stops_before_the_weights_are_touched(tmp_path: Path) -> None:
    reached = 0

    class Steep(Toy):
        """From step 5 on one clip has larger numbers, and the gradient overflows."""

        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
            nonlocal reached
            reached, batch = step, super().batch(step, rank, world_size)
            if step >= 5:
                batch.tokens[5] *= 100
            return batch

    trained = model()
    trained.predictor.query.register_hook(lambda gradient: gradient * (torch.inf if reached >= 5 else 1.0))
    for _ in range(2):  # again in the rerun, which begins with the state before
        told = r"step 5: .*(nan|inf) .*process 0.*'clip 5'"
        with pytest.raises(ValueError, match=told):
            train(tmp_path, trained, source=Steep())
        state = torch.load(tmp_path / "training.pt", weights_only=True)
        assert state["step"] == 5
        assert all(torch.equal(value, state["predictor"][name]) for name, value in trained.state_dict().items())
    assert same(train(tmp_path), train(tmp_path / "whole"))


def disk_that_fills(folder: Path, what: str) -> None:
    """What the process runs whose files cannot grow from some moment on: a real error of a real write."""
    import resource

    from wmcontrol import PyramidEncoder, WorldModel

    def fill(room: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))

    class Filling(Toy):
        def batch(self, step: int, rank: int = 0, world_size: int = 1) -> Batch:
            if step == 7 and what != "model":
                log = (folder / "log.jsonl").stat().st_size
                fill(log + 20 if what == "log.jsonl" else log + 4000)
            return super().batch(step, rank, world_size)

    try:
        trained = train(folder, source=Filling())
        frames = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), dtype=np.uint8)
        encoder = PyramidEncoder(num_components=D)
        encoder.fit(torch.from_numpy(frames))
        world = WorldModel(encoder, trained.predictor, control_rate=10.0, frame_size=(64, 64))
        world.save(folder / "model")
        fill(4000)
        world.save(folder / "model")
    except OSError as error:
        print("OSError", error)


@pytest.mark.skipif(sys.platform == "win32", reason="limits of the size of files")
@pytest.mark.parametrize("what", ["log.jsonl", "training.pt", "model"])
def test_a_disk_that_fills_keeps_what_was_there_and_a_rerun_goes_on(what: str, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    code = f"import sys; sys.path[:0] = {PLACES!r}; import test_training as t, pathlib; "
    code += f"t.disk_that_fills(pathlib.Path({str(folder)!r}), {what!r})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith("OSError"), (done.stdout, done.stderr)
    assert str(folder / what) in done.stdout
    left = {"log.jsonl", "training.pt"} | ({"model"} if what == "model" else set())
    assert {path.name for path in folder.iterdir()} == left
    if what == "model":
        assert {path.name for path in (folder / "model").iterdir()} == {"model.safetensors", "config.json"}
    assert torch.load(folder / "training.pt", weights_only=True)["step"] == (12 if what == "model" else 7)
    assert same(train(folder), train(tmp_path / "whole"))
    assert [line["step"] for line in lines(folder)] == list(range(2, 13, 2))


def test_a_full_disk_keeps_the_state_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, source=Interrupted())
    before = (tmp_path / "training.pt").read_bytes()

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            train(tmp_path)
    assert (tmp_path / "training.pt").read_bytes() == before
    assert not (tmp_path / "training.pt.tmp").exists()
    assert same(train(tmp_path), train(tmp_path.parent / f"{tmp_path.name}-whole"))


def test_other_settings_and_broken_states_are_refused(tmp_path: Path) -> None:
    train(tmp_path)
    with pytest.raises(ValueError, match=naming("learning_rate", 0.003, 0.1)):
        train(tmp_path, learning_rate=0.1)
    (tmp_path / "training.pt").write_bytes(b"not a state")
    with pytest.raises(ValueError, match=naming("training.pt")):
        train(tmp_path)


def test_the_rate_warms_up_and_stays_or_falls() -> None:
    paper = TrainingSettings(num_steps=300_000, learning_rate=1e-4, min_lr_ratio=1.0, warmup_steps=5000)
    assert paper.rate(0) == pytest.approx(1e-4 / 5000)
    assert paper.rate(4999) == paper.rate(299_999) == pytest.approx(1e-4)
    falling = TrainingSettings(num_steps=1100, warmup_steps=100, learning_rate=1.0, min_lr_ratio=0.1)
    assert falling.rate(100) == pytest.approx(1.0)
    assert falling.rate(600) == pytest.approx(0.55)
    assert falling.rate(1099) == pytest.approx(0.1, abs=1e-4)


@pytest.mark.parametrize(
    "change",
    [
        {"num_steps": 0},
        {"num_steps": 2.0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"min_lr_ratio": 1.1},
        {"weight_decay": -1.0},
        {"max_grad_norm": 0.0},
        {"ema_decay": 1.0},
        {"grad_accum_steps": 0},
        {"rollout_steps": True},
    ],
)
def test_settings_out_of_range_are_refused(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(ValueError, match=name):
        replace(settings(), **change)


def test_names_follow_their_clips() -> None:
    batch = Toy().batch(0)
    part = batch.part(slice(4, 6))
    assert part.names == ["clip 4", "clip 5"]
    assert torch.equal(part.tokens, batch.tokens[4:6])
    names: Sequence[str] = batch.names
    assert len(names) == 16


@pytest.mark.parametrize(
    ("asked", "got"),
    [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("auto", fast_dtype(torch.device("cpu")))],
)
def test_the_precision_is_that_asked_for_and_weights_stay_in_float32(
    asked: str, got: torch.dtype, tmp_path: Path
) -> None:
    trained, seen = model(), set()
    for layer in trained.modules():
        if isinstance(layer, torch.nn.Linear):
            layer.register_forward_hook(lambda _, __, output: seen.add(output.dtype))
    train(tmp_path, trained, num_steps=1, dtype=asked)
    assert seen == {got}
    assert {value.dtype for value in trained.state_dict().values()} == {torch.float32}
