"""Pretraining a predictor without actions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ..data import LatentStore
from ..models import WorldModel
from ..untrusted import AnyJson, Number, Record, read_json
from .batch import ClipSource
from .distributed import distributed, usable_device
from .inputs import (
    MODEL,
    RESULT,
    fresh_predictor,
    identity,
    open_model,
    open_store,
    plain_predictor,
    run_folder,
    save_result,
)
from .settings import PretrainSettings
from .state import OnLog
from .trainer import Trainer

_RESULT = Record({"seconds": Number(low=0)}, others=AnyJson())


@dataclass(frozen=True)
class PretrainResult:
    """What pretraining gave.

    Attributes:
        model: without actions, on the CPU, in float32.
        seconds: that the steps took, those before a kill included.
        folder: with the model in ``model``; None where none was asked for.
    """

    model: WorldModel
    seconds: float
    folder: Path | None


@torch.inference_mode(False)
def pretrain(
    stores: LatentStore | str | Path | Sequence[LatentStore | str | Path],
    *,
    weights: Sequence[float] | None = None,
    settings: PretrainSettings = PretrainSettings(),
    start: WorldModel | str | Path | None = None,
    folder: str | Path | None = None,
    device: str | torch.device | None = None,
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> PretrainResult:
    """Train a predictor without actions on clips of stored tokens, at variable frame rate, as DINO-world does.

    Started by ``torchrun``, all its processes must call this alike; each returns the result.

    Args:
        stores: latent stores of one encoder, or their folders.
        weights: how often each store is drawn from, relative to the others; by default all alike.
        settings: of the training.
        start: a model without actions to go on from, with its size, as for a second stage at another resolution; or
            its folder, or a packaged name.
        folder: for the model, the log and the result. The same call goes on there after a kill, and ends with the same
            weights. By default nothing is kept on disk.
        device: where to train; by default a GPU if there is one.
        progress: called with the steps done, and of how many.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: stores that do not fit together or to ``start``, wrong weights or device; ``folder`` holds another
            run; or the loss is not finite.
        OSError: a store or model is not there, ``folder`` cannot be written to, or another process writes there.
    """
    place = usable_device(device)
    opened = [open_store(s) for s in ([stores] if isinstance(stores, LatentStore | str | Path) else stores)]
    mixed = [1.0] * len(opened) if weights is None else list(weights)
    source = ClipSource(
        opened,
        mixed,
        settings.batch_size,
        num_frames=settings.num_frames,
        step_seconds=settings.step_seconds,
        seed=settings.seed,
    )
    store = opened[0]
    for other in opened[1:]:
        if not other.made_by(store.encoder):
            raise ValueError(
                f"stores: {other.folder} was made by another encoder than {store.folder}; encode all alike"
            )
    begun = open_model(start)
    if begun is None:
        predictor = fresh_predictor(settings.size, store, settings.seed)
    else:
        predictor = plain_predictor("start", begun, store).requires_grad_(True)
    about = {
        "stores": [each.identity() for each in opened],
        "weights": mixed,
        "start": identity(begun),
        "settings": asdict(settings),
    }
    with distributed(place) as where, run_folder(folder, "pretrain", about, where) as out:
        if where.agree((out / RESULT).exists()):
            model = WorldModel.load(out / MODEL, dtype=torch.float32)
            seconds = float(read_json(out / RESULT, _RESULT, fix="remove it, and training goes on")["seconds"])
        else:
            trainer = Trainer(settings=settings, folder=out, on_log=on_log)
            seconds = trainer.train(predictor, source, store.grid, where, progress)
            rates = [s.control_rate for s in opened if s.control_rate]
            model = WorldModel(
                store.encoder,
                predictor.cpu(),
                control_rate=rates[0] if rates else 1 / settings.step_seconds[0],
                frame_size=store.frame_size,
            )
            if where.first and folder is not None:
                model.save(out / MODEL)
                save_result(out, {"kind": "pretrain", "settings": asdict(settings), "seconds": seconds})
    return PretrainResult(model, seconds, None if folder is None else Path(folder))
