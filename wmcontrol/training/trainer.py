"""The loop that trains a predictor on stored tokens."""

import copy
import dataclasses
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..models import ActionConditioned, Predictor
from ..models.hardware import fast_dtype
from .batch import Batch, Source
from .losses import PredictionLoss
from .optimizer import Optimizers, make_optimizer
from .processes import Processes, without_exchange
from .settings import TrainingSettings
from .state import Log, OnLog, load_state, save_state

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
        dtype: to compute in; by default bfloat16 where the device is fast at it, else float32. Weights are float32.
        compile: let ``torch.compile`` make the loss faster: a minute at first.
        on_log: is told every line of the log, its step and its numbers, in the first process.
    """

    settings: TrainingSettings
    folder: Path
    validate: Validate | None = None
    every: int = 50
    validate_every: int = 1000
    save_seconds: float = 60.0
    dtype: torch.dtype | None = None
    compile: bool = False
    on_log: OnLog | None = None

    def train(
        self,
        predictor: Predictor | ActionConditioned,
        source: Source,
        grid: tuple[int, int],
        where: Processes,
        progress: Callable[[int, int], None] | None = None,
    ) -> float:
        """Train a predictor, in place; in the end it has the averaged weights, if settings ask for an average.

        Args:
            predictor: whose parameters that ask for a gradient learn.
            source: of batches.
            grid: rows and columns of patches.
            where: this process.
            progress: is told the steps done, of how many.

        Returns:
            the seconds that the steps took, those before a kill included; validating and saving are part of them.

        Raises:
            ValueError: a state of other settings is in the folder; or the loss is not finite: it names step and clips.
            OSError: the disk is full; the state before is kept.
        """
        settings = self.settings
        predictor.to(where.device).float().train()
        loss = PredictionLoss(predictor, grid, rollout_steps=settings.rollout_steps, through=settings.through)
        shared = where.share(loss)
        if self.compile:
            shared.compile()
        learning = [p for p in predictor.parameters() if p.requires_grad]
        optimizer = make_optimizer(predictor, settings.optimizer, settings.learning_rate, settings.weight_decay)
        average = copy.deepcopy(predictor) if settings.average else None
        step, before = self._resume(predictor, optimizer, average, where)
        log = Log(self.folder, step, self.on_log) if where.first else None
        saved = started = time.monotonic()
        begun = step
        while step < settings.num_steps:
            optimizer.set_rate(settings.rate(step))
            batch = source.batch(step, where.rank, where.world_size)
            value = self._gradients(step, shared, batch, where)
            norm = self._clip(learning)
            optimizer.step()
            optimizer.zero_grad()
            step += 1
            if average is not None:
                _follow(average, predictor, min(settings.average, step / (step + 10)))
            if step % self.every == 0 or step == settings.num_steps:
                value = where.mean(value)
                if log:
                    speed = (step - begun) / (time.monotonic() - started)
                    log(step, loss=value, rate=settings.rate(step - 1), gradient=norm, steps_per_second=round(speed, 2))
            if progress is not None and where.first:
                progress(step, settings.num_steps)
            if where.first:
                last = step == settings.num_steps
                if self.validate is not None and log and (step % self.validate_every == 0 or last):
                    log(step, **self.validate(average or predictor))
                if last or time.monotonic() - saved > self.save_seconds:
                    self._save(step, before + time.monotonic() - started, predictor, optimizer, average)
                    saved = time.monotonic()
        seconds = before + (time.monotonic() - started if step > begun else 0.0)
        where.wait()
        if average is not None:
            predictor.load_state_dict(average.state_dict())
        predictor.eval()
        return seconds

    def _gradients(self, step: int, shared: nn.Module, batch: Batch, where: Processes) -> float:
        """Compute the gradients of a batch, part by part, and return its loss."""
        dtype = self.dtype or fast_dtype(where.device)
        parts, size = self.settings.accumulate, len(batch.tokens)
        if size % parts:
            raise ValueError(f"a process's batch of {size} does not split into accumulate={parts} parts")
        total = 0.0
        for number in range(parts):
            part = batch.part(slice(number * size // parts, (number + 1) * size // parts))
            tokens, times, actions = (_to(x, where.device) for x in (part.tokens, part.times, part.actions))
            with torch.autocast(where.device.type, dtype=dtype, enabled=dtype != torch.float32):
                loss = shared(tokens, times, actions) / parts
            value = float(loss.detach())
            if not math.isfinite(value):
                raise ValueError(f"step {step}: {self._blame(value * parts, part, where)}")
            total += value
            if number + 1 < parts:
                with without_exchange(shared):
                    loss.backward()
            else:
                loss.backward()
        return total

    def _blame(self, value: float, part: Batch, where: Processes) -> str:
        """Say which clips made the loss something that is not a number."""
        kinds = [part.tokens, part.times] + ([] if part.actions is None else [part.actions])
        finite = torch.stack([kind.isfinite().flatten(1).all(1) for kind in kinds]).all(0)
        bad = [name for name, good in zip(part.names, finite.tolist(), strict=True) if not good]
        clips = f"not finite are {bad[:5]}" if bad else f"all its clips are finite; the first are {part.names[:3]}"
        return f"the loss is {value} on process {where.rank}; {clips}. A lower learning_rate or clip_norm may help"

    def _clip(self, learning: list[nn.Parameter]) -> float:
        limit = self.settings.clip_norm
        norm = nn.utils.clip_grad_norm_(learning, float("inf") if limit is None else limit)
        return float(norm)

    def _save(
        self, step: int, seconds: float, predictor: nn.Module, optimizer: Optimizers, average: nn.Module | None
    ) -> None:
        state = {
            "step": step,
            "seconds": seconds,
            "settings": dataclasses.asdict(self.settings),
            "predictor": predictor.state_dict(),
            "optimizer": optimizer.state_dict(),
            "average": None if average is None else average.state_dict(),
        }
        save_state(self.folder, state)

    def _resume(
        self, predictor: nn.Module, optimizer: Optimizers, average: nn.Module | None, where: Processes
    ) -> tuple[int, float]:
        """Take up the state in the folder, if there is one, and return its step and the seconds so far."""
        state = load_state(self.folder, where.device)
        if state is None:
            return 0, 0.0
        now, before = dataclasses.asdict(self.settings), state["settings"]
        differ = "; ".join(
            f"{name} {before.get(name)} there, {now[name]} here" for name in now if before.get(name) != now[name]
        )
        if differ:
            raise ValueError(f"{self.folder} holds a run with other settings ({differ}); take another folder")
        predictor.load_state_dict(state["predictor"])
        optimizer.load_state_dict(state["optimizer"])
        if average is not None:
            average.load_state_dict(state["average"])
        return state["step"], state.get("seconds", 0.0)  # states of before there were seconds in them


def _to(x: Tensor | None, device: torch.device) -> Tensor | None:
    return None if x is None else x.to(device, non_blocking=True)


@torch.no_grad()
def _follow(average: nn.Module, predictor: nn.Module, decay: float) -> None:
    """Move the running average towards the weights: slower and slower at first, so that the start is forgotten."""
    for kept, new in zip(average.parameters(), predictor.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
