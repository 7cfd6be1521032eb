"""What the jobs ``pretrain`` and ``finetune`` do."""

import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..data import LatentStore
from ..data.dataset import split_order, split_size
from ..encoders.files import encoder_digest
from ..files import exclusive_lock
from ..models import ActionConditioned, ActionNormalizer, Predictor, WorldModel
from ..training import (
    Batch,
    ClipSource,
    DistributedContext,
    Mode,
    PredictionError,
    Source,
    Trainer,
    TrainingSettings,
    WindowSource,
    distributed,
    held_out_clips,
    prediction_error,
    with_actions,
)
from .errors import UsageError
from .files import check_device, whole_file
from .progress import progress_bar
from .record import results_folder
from .track import FOLDER, TensorBoard, check_tensorboard

RESULT = "result.json"
_OF_FULL = (
    "backbone_lr_scale",
    "backbone_freeze_fraction",
)  # keys that say how what was pretrained learns beside action blocks
HELD_OUT = 0.1  # of the trajectories (DINO-world, appendix D)
_VALIDATED = 512  # windows of them whose error is in the log


def pretrain(config: Any) -> None:
    """Train a predictor without actions; ``config`` is that of :mod:`.jobs.pretrain`."""
    if config.tensorboard:
        check_tensorboard()
    if config.device:
        check_device(config.device)
    stores = [LatentStore.open(path) for path in config.stores]
    _check_one_encoder(stores)
    store = stores[0]
    start = WorldModel.load(config.start, dtype=torch.float32) if config.start else None
    predictor = _predictor(config, start, store)
    low, high = config.step_seconds
    source = ClipSource(
        stores,
        config.weights or [1.0] * len(stores),
        config.batch_size,
        num_frames=config.num_frames,
        step_seconds=(low, high),
        seed=config.seed,
    )
    with distributed(config.device) as where, _folder("pretrain", config, where) as out:
        _train(config, predictor, source, store, out, where, None)
        if where.first:
            rates = [s.control_rate for s in stores if s.control_rate]
            model = WorldModel(
                store.encoder, predictor.cpu(), control_rate=rates[0] if rates else 1 / low, frame_size=store.frame_size
            )
            model.save(out / "model")
            print(out / "model")


def finetune(config: Any) -> None:
    """Fine-tune a predictor with actions; ``config`` is that of :mod:`.jobs.finetune`."""
    if config.tensorboard:
        check_tensorboard()
    if config.device:
        check_device(config.device)
    store = LatentStore.open(config.store)
    if store.actions is None or store.control_rate is None:
        raise UsageError(f"store: {config.store} has no actions, or no control rate; fine-tuning needs both")
    base = WorldModel.load(config.base, dtype=torch.float32) if config.base else None
    mode: Mode = config.mode
    if base is None and mode != "scratch":
        raise UsageError(f"base: mode={mode} begins with a pretrained model; give base=MODEL, or mode=scratch")
    train, held_out = split(len(store), config.seed if config.split_seed is None else config.split_seed, config.seed)
    if config.num_train_trajectories is not None and config.num_train_trajectories > len(train):
        raise UsageError(
            f"num_train_trajectories: there are {len(train)} trajectories to train on, "
            f"got {config.num_train_trajectories}"
        )
    train = train[: config.num_train_trajectories]
    found = store.action_statistics(train.tolist())
    if found.held.any():
        held = ", ".join(f"{number} at {found.low[number]:g}" for number in found.held.nonzero()[0])
        print(f"numbers of an action that never change in the data, and are held: {held}")
    normalizer = ActionNormalizer(
        found.mean.tolist(), found.std.tolist(), found.low.tolist(), found.high.tolist(), frameskip=config.frameskip
    )

    plain = _predictor(config, base, store)
    predictor = with_actions(plain, normalizer.action_dim, mode, seed=config.seed)
    windows = store.windows(config.num_frames, config.frameskip, train.tolist())
    source = WindowSource(windows, config.batch_size, normalizer, config.seed)
    clips = partial(
        held_out_clips,
        store,
        held_out.tolist(),
        num_frames=config.num_frames,
        frameskip=config.frameskip,
        normalizer=normalizer,
        seed=config.seed,
    )
    validated, context = clips(num_clips=_VALIDATED)
    with distributed(config.device) as where, _folder("finetune", config, where) as out:
        seconds = _train(config, predictor, source, store, out, where, validated, context)
        if where.first:
            model = WorldModel(
                store.encoder,
                predictor.cpu(),
                normalizer,
                control_rate=store.control_rate,
                frame_size=store.frame_size,
                token_std=store.token_std(train.tolist()),
            )
            model.save(out / "model")
            measured, _ = clips()
            error = prediction_error(predictor, measured, store.grid, context=context)
            write_result(out, config, error, len(measured.names), seconds)
            print(
                f"relative error on held-out trajectories after {context} context frames, persistence being 100 %: "
                f"{error}"
            )
            if error.warning:
                print(f"warning: {error.warning}", file=sys.stderr)
            print(out / "model")


def write_result(out: Path, config: Any, error: PredictionError, windows: int, seconds: float) -> None:
    """Write ``result.json``, which tables are made from: held-out errors some seconds ahead, and what they cost."""
    result = {
        "job": "finetune",
        "settings": asdict(config),
        "windows": windows,
        **error.as_dict(),
        "seconds": seconds,
        "steps_per_second": config.num_steps / seconds if seconds else None,  # none: of a state that did not count them
    }
    with whole_file(out / RESULT) as path:
        path.write_text(json.dumps(result, indent=2, default=str) + "\n", encoding="utf-8")


def split(
    count: int, seed: int, order_seed: int | None = None
) -> "tuple[np.typing.NDArray[np.int64], np.typing.NDArray[np.int64]]":
    """Split trajectories into those to train on, in a random order, and those held out: by a hash, as data sets do.

    The first of the former are the same for any number of them that is used.

    Args:
        count: of trajectories.
        seed: decides which are held out.
        order_seed: decides the order of the others; by default the same.
    """
    if count < 2:
        raise ValueError(f"a store of {count} trajectory leaves none to hold out; collect more")
    held_out = sorted(split_order(count, seed)[split_size(count, 1 - HELD_OUT) :])
    unseen = set(held_out)
    order = split_order(count, seed if order_seed is None else order_seed)
    return np.array([member for member in order if member not in unseen]), np.array(held_out)


def _predictor(config: Any, start: WorldModel | None, store: LatentStore) -> Predictor:
    if start is None:
        torch.manual_seed(config.seed)
        return Predictor.from_size(config.size, dim=store.tokens.shape[2])
    predictor = start.predictor
    if not isinstance(predictor, Predictor):
        raise UsageError("a pretrained model without actions is needed here; this one has them")
    if encoder_digest(start.encoder) != encoder_digest(store.encoder):
        raise UsageError(
            f"the store {store.folder} was made by another encoder than the model's; encode the data with encoder=MODEL"
        )
    return predictor.requires_grad_(True)


def _check_one_encoder(stores: list[LatentStore]) -> None:
    first = encoder_digest(stores[0].encoder)
    for store in stores[1:]:
        if encoder_digest(store.encoder) != first:
            raise UsageError(
                f"stores: {store.folder} was made by another encoder than {stores[0].folder}; encode all in one line"
            )


@contextmanager
def _folder(job: str, config: Any, where: DistributedContext) -> Iterator[Path]:
    """Give the folder of results, made by the first process, which keeps other runs out of it."""
    name = hashlib.sha256(repr(config).encode()).hexdigest()[:12]
    out: Path = config.out or Path("outputs") / job / name
    if where.first:
        results_folder(job, config, out)
    with exclusive_lock(out) if where.first else nullcontext():
        where.wait()
        yield out


def _train(
    config: Any,
    predictor: Predictor | ActionConditioned,
    source: Source,
    store: LatentStore,
    out: Path,
    where: DistributedContext,
    validated: Batch | None,
    context: int = 1,
) -> float:
    names = {field.name for field in fields(TrainingSettings)} & {field.name for field in fields(config)}
    if getattr(config, "mode", None) != "full":
        names -= set(_OF_FULL)
    settings = TrainingSettings(max_grad_norm=1.0, **{name: getattr(config, name) for name in names})

    def validate(trained: Predictor | ActionConditioned) -> dict[str, Any]:
        assert validated is not None
        place = next(trained.parameters()).device
        actions = None if validated.actions is None else validated.actions.to(place)
        batch = Batch(validated.tokens.to(place), validated.times.to(place), actions, validated.names)
        error = prediction_error(trained, batch, store.grid, context=context)
        return {"relative_error": [round(value, 4) for value in error.relative_error]}

    board = TensorBoard(out / FOLDER)
    trainer = Trainer(
        settings=settings,
        folder=out,
        validate=None if validated is None else validate,
        compile=config.compile,
        on_log=board if config.tensorboard else None,
        shard=config.shard,
    )
    try:
        with progress_bar("training", "steps") as progress:
            return trainer.train(predictor, source, store.grid, where, progress)
    finally:
        board.close()
