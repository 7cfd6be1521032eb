"""The loop that trains a predictor on stored tokens."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..hardware import fast_dtype
from ..models import ActionConditioned, Predictor
from .batch import Batch, Source, read_batches
from .distributed import DistributedContext, without_exchange
from .learner import Learner, too_large_to_copy
from .settings import TrainingSettings
from .state import Log, OnLog, load_state, save_state

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_NOT_LEARNED = ("compile", "shard")  # settings that a run may go on with others of
Validate = Callable[[Predictor | ActionConditioned], dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Trainer:
    """Trains a predictor in a folder, and goes on there after a kill, to the same weights as if there had been none.

    Args:
        settings: of the run.
        folder: for the state, ``training.pt``, and the log, ``log.jsonl``.
        validate: is asked now and then about the predictor, for the log.
        every: steps from one line of the log to the next.
        validate_every: steps from one validation to the next.
        save_seconds: from one saved state to the next.
        on_log: is told every line of the log, its step and its numbers, in the first process.
        backbone_scale: gives the factor of a step's learning rate for the backbone, the pretrained predictor that an
            :class:`~wmcontrol.models.ActionConditioned` wraps; by default it learns as the rest.
        weights: (D,) of errors of each number of a token, see :class:`~wmcontrol.training.PredictionLoss`.
    """

    settings: TrainingSettings
    folder: Path
    validate: Validate | None = None
    every: int = 50
    validate_every: int = 1000
    save_seconds: float = 60.0
    on_log: OnLog | None = None
    backbone_scale: Callable[[int], float] = lambda _: 1.0
    weights: Sequence[float] | None = None

    @torch.inference_mode(False)
    @torch.enable_grad()
    def train(
        self,
        predictor: Predictor | ActionConditioned,
        source: Source,
        grid: tuple[int, int],
        where: DistributedContext,
        progress: Callable[[int, int], None] | None = None,
    ) -> float:
        """Train a predictor, in place; in the end it has the averaged weights, where ``ema_decay`` asks for them.

        Args:
            predictor: whose parameters that ask for a gradient learn.
            source: of batches.
            grid: rows and columns of patches.
            where: this process.
            progress: is told the steps done, of how many.

        Returns:
            the seconds that the steps took, those before a kill included; validating and saving are part of them.

        Raises:
            ValueError: a state of other settings is in the folder; or the loss or its gradient is not finite: it
                names step and clips.
            OSError: the disk is full; the state before is kept.
        """
        settings = self.settings
        predictor.float().train()
        sharded = where.world_size > 1 and (too_large_to_copy(predictor) if settings.shard is None else settings.shard)
        if sharded and settings.optimizer == "muon":
            raise ValueError("muon needs whole matrices, and these are sharded; say optimizer=adamw, or shard=false")
        learner = Learner(predictor, where, settings, grid, sharded=sharded, weights=self.weights)
        optimizer = learner.optimizer
        if settings.compile:
            learner.loss.compile()
        step, before = self._resume(learner)
        log = Log(self.folder, step, self.on_log) if where.first else None
        saved = started = time.monotonic()
        begun = step
        if progress is not None and where.first:
            progress(step, settings.num_steps)
        ahead = where.device.type == "cuda"
        for batch in read_batches(source, range(step, settings.num_steps), where.rank, where.world_size, ahead=ahead):
            optimizer.set_rate(settings.rate(step), self.backbone_scale(step))
            value = self._gradients(step, learner.loss, batch, where)
            norm = learner.clip(settings.max_grad_norm)
            if not math.isfinite(norm):
                raise ValueError(f"step {step}: {self._blame('norm of the gradient', norm, batch, where)}")
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            # Slower and slower at first, so that the start is forgotten.
            learner.follow(min(settings.ema_decay, step / (step + 10)))
            if step % self.every == 0 or step == settings.num_steps:
                value = where.mean(value)
                if log:
                    speed = (step - begun) / (time.monotonic() - started)
                    log(step, loss=value, rate=settings.rate(step - 1), gradient=norm, steps_per_second=round(speed, 2))
            if progress is not None and where.first:
                progress(step, settings.num_steps)
            last = step == settings.num_steps
            if self.validate is not None and (step % self.validate_every == 0 or last):
                if sharded:
                    learner.give_to(predictor, everywhere=False)
                if log:
                    judged = predictor.to(where.device) if sharded else learner.ema or predictor
                    log(step, **self.validate(judged))
            overdue = time.monotonic() - saved > self.save_seconds
            if where.from_first(last or overdue):
                told = {"step": step, "seconds": before + time.monotonic() - started, "settings": asdict(settings)}
                state = told | learner.state()  # of all processes, where it is sharded
                if where.first:
                    save_state(self.folder, state)
                saved = time.monotonic()
        seconds = before + (time.monotonic() - started if step > begun else 0.0)
        where.wait()
        learner.give_to(predictor, everywhere=True)
        predictor.eval()
        return seconds

    def _gradients(self, step: int, shared: nn.Module, batch: Batch, where: DistributedContext) -> float:
        """Compute the gradients of a batch, part by part, and return its loss."""
        dtype = _DTYPES.get(self.settings.dtype) or fast_dtype(where.device)
        parts, size = self.settings.grad_accum_steps, len(batch.tokens)
        if size % parts:
            raise ValueError(f"a process's batch of {size} does not split into grad_accum_steps={parts} parts")
        total = 0.0
        for number in range(parts):
            part = batch.part(slice(number * size // parts, (number + 1) * size // parts)).to(where.device)
            exchange = nullcontext() if number + 1 == parts else without_exchange(shared)
            with exchange:
                with torch.autocast(where.device.type, dtype=dtype, enabled=dtype != torch.float32):
                    loss = shared(part.tokens, part.times, part.actions) / parts
                value = float(loss.detach())
                if not math.isfinite(value):
                    raise ValueError(f"step {step}: {self._blame('loss', value * parts, part, where)}")
                loss.backward()
            total += value
        return total

    def _blame(self, what: str, value: float, part: Batch, where: DistributedContext) -> str:
        """Say which clips made the loss, or its gradient, something that is not a number."""
        kinds = [part.tokens, part.times] + ([] if part.actions is None else [part.actions])
        finite = torch.stack([kind.isfinite().flatten(1).all(1) for kind in kinds]).all(0)
        bad = [name for name, good in zip(part.names, finite.tolist(), strict=True) if not good]
        if bad:
            return f"the {what} is {value} on process {where.rank}; not finite are {bad[:5]}"
        largest = torch.stack([kind.abs().double().flatten(1).amax(1) for kind in kinds]).amax(0)
        order = largest.argsort(descending=True).tolist()
        clips = f"all its clips are finite; the largest numbers are in {[part.names[i] for i in order[:3]]}"
        return f"the {what} is {value} on process {where.rank}; {clips}. A lower learning_rate may help"

    def _resume(self, learner: Learner) -> tuple[int, float]:
        """Take up the state in the folder, if there is one, and return its step and the seconds so far."""
        where = learner.where
        state = load_state(self.folder, torch.device("cpu") if learner.sharded else where.device)
        step = 0 if state is None else state["step"]
        if where.mean(step) != step:
            raise ValueError(
                f"process {where.rank} finds the state of step {step} in {self.folder}, others find another; "
                "all machines must see the same folder"
            )
        if state is None:
            return 0, 0.0
        now, before = asdict(self.settings), state["settings"]
        differ = "; ".join(
            f"{name} {before.get(name)} there, {now[name]} here"
            for name in now
            if name not in _NOT_LEARNED and before.get(name) != now[name]
        )
        if differ:
            raise ValueError(f"{self.folder} holds a run with other settings ({differ}); take another folder")
        learner.load(state)
        return step, state["seconds"]
