"""Pretraining a predictor without actions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ..checks import check_type
from ..data import LatentStore
from ..hardware import usable_device
from ..models import Predictor, WorldModel
from ..models.checkpoint import describe_predictor
from ..untrusted import AnyJson, Number, Record
from .batch import ClipSource
from .distributed import DistributedContext
from .inputs import begin, open_store, run
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
    predictor: Callable[..., Predictor] | None = None,
    start: WorldModel | str | Path | None = None,
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> PretrainResult:
    """Train a predictor without actions on clips of stored tokens, at variable frame rate, as DINO-world does.

    Started by ``torchrun``, all its processes must call this alike; each returns the result.

    Args:
        stores: latent stores of one encoder, or their folders.
        weights: how often each store is drawn from, relative to the others; by default all alike.
        settings: of the training.
        predictor: makes a predictor for tokens of ``dim`` numbers, as a class of your own that is derived from
            :class:`~wmcontrol.Predictor` and registered (:func:`~wmcontrol.models.register_predictor`); by default
            DINO-world's, of the settings' size.
        start: a model without actions to go on from, with its size, as for a second stage at another resolution; or
            its folder, or a packaged name.
        folder: for the model, the log and the result. The same call goes on there after a kill, and ends with the same
            weights. By default nothing is kept on disk.
        device: where to train; ``"auto"`` is a GPU if there is one.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: stores that do not fit together or to ``start``, wrong weights or device; ``folder`` holds another
            run; or the loss is not finite.
        OSError: a store or model is not there, ``folder`` cannot be written to, or another process writes there.
    """
    check_type("settings", settings, PretrainSettings)
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
    learning, digest = begin("start", start, store, settings, predictor)
    learning.requires_grad_(True)
    described = describe_predictor(learning)  # before all the work: it will be saved
    about = {
        "stores": [each.identity() for each in opened],
        "weights": mixed,
        "start": digest,
        "settings": asdict(settings),
        **({} if predictor is None else {"predictor": described}),
    }

    def train(out: Path, where: DistributedContext) -> tuple[WorldModel, dict[str, Any]]:
        trainer = Trainer(settings=settings, folder=out, on_log=on_log)
        seconds = trainer.train(learning, source, store.grid, where, progress)
        rates = [s.control_rate for s in opened if s.control_rate]
        model = WorldModel(
            store.encoder,
            learning.cpu(),
            control_rate=rates[0] if rates else 1 / settings.step_seconds[0],
            frame_size=store.frame_size,
        )
        return model, {"settings": asdict(settings), "seconds": seconds}

    model, result = run(folder, "pretrain", about, place, _RESULT, train)
    return PretrainResult(model, float(result["seconds"]), None if folder is None else Path(folder))
