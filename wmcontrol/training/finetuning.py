"""Fine-tuning a predictor with actions."""

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from ..actions import ActionLayout
from ..checks import check_choice, check_type
from ..data import LatentStore
from ..hardware import usable_device
from ..models import ActionConditioned, ActionNormalizer, PlanningSettings, Predictor, WorldModel
from ..untrusted import AnyJson, Integer, ListOf, Number, Record
from .batch import Batch, MixedSource, Source, WindowSource
from .distributed import DistributedContext
from .inputs import base_digest, begin, open_store, run, split
from .modes import Mode, with_actions
from .settings import FinetuneSettings
from .state import OnLog
from .trainer import Trainer
from .validation import PredictionError, held_out_clips, prediction_error

_VALIDATED = 512  # held-out windows whose error is in the log
_ERRORS = ListOf(Number(low=0), least=1)
_RESULT = Record(
    {
        "error": _ERRORS,
        "persistence_error": _ERRORS,
        "seconds_ahead": _ERRORS,
        "context_frames": Integer(low=1),
        "windows": Integer(low=1),
        "seconds": Number(low=0),
    },
    others=AnyJson(),
)


@dataclass(frozen=True)
class FinetuneResult:
    """What fine-tuning gave.

    Attributes:
        model: what a planning agent takes, on the CPU, in float32.
        error: of held-out trajectories, 25 environment steps ahead.
        num_windows: that the error was measured on.
        train: numbers of the trajectories that were trained on.
        held_out: numbers of those that were not: a tenth (DINO-world, appendix D).
        seconds: that the steps took, those before a kill included.
        folder: with the model in ``model``; None where none was asked for.
    """

    model: WorldModel
    error: PredictionError
    num_windows: int
    train: list[int]
    held_out: list[int]
    seconds: float
    folder: Path | None


@torch.inference_mode(False)
def finetune(
    store: LatentStore | str | Path,
    *,
    base: WorldModel | str | Path | None = None,
    mode: Mode = "full",
    practice: LatentStore | str | Path | None = None,
    settings: FinetuneSettings = FinetuneSettings(),
    planning: PlanningSettings | None = None,
    folder: str | Path | None = None,
    device: str | torch.device = "auto",
    progress: Callable[[int, int], None] | None = None,
    on_log: OnLog | None = None,
) -> FinetuneResult:
    """Fine-tune a predictor with actions on windows of stored tokens, in one of the paper's three ways.

    A tenth of the trajectories is held out by seed, for planning and for the errors. Started by ``torchrun``, all its
    processes must call this alike; each returns the result.

    Args:
        store: a latent store with actions, or its folder.
        base: a model whose encoder is the store's: one that was pretrained without actions, or one with actions, which
            goes on learning with its own action statistics, and keeps its planning settings, action prior and whatever
            else it has learned (:meth:`~wmcontrol.WorldModel.heads`); or its
            folder, or a packaged name. Without one only ``mode="scratch"`` is possible.
        mode: ``"scratch"`` (everything anew), ``"action_only"`` (the action blocks) or ``"full"`` (everything, from
            the base).
        practice: a store of what came of the base's own plans (:func:`~wmcontrol.evaluation.practice`), or its folder:
            ``settings.practice_share`` of each batch is drawn from it. None of it is held out.
        settings: of the training.
        planning: what suits the environment when an agent plans with the model, which is saved with it.
        folder: for the model, the log and the result. The same call goes on there after a kill, and ends with the same
            weights. By default nothing is kept on disk.
        device: where to train; ``"auto"`` is a GPU if there is one.
        progress: called with the steps done, and of how many; first when all was checked, before the first step.
        on_log: called with a step and what the log says of it.

    Raises:
        ValueError: a store without actions, a base or device that does not fit, too few trajectories; ``folder`` holds
            another run; or the loss is not finite.
        OSError: the store or base is not there, ``folder`` cannot be written to, or another process writes there.
    """
    check_type("settings", settings, FinetuneSettings)
    place = usable_device(device)
    check_choice("mode", mode, Mode)
    data = open_store(store)
    rate = data.control_rate
    if data.actions is None or rate is None:
        raise ValueError(f"store: {data.folder} has no actions, or no control rate; fine-tuning needs both")
    if base is None and mode != "scratch":
        raise ValueError(f'base: mode="{mode}" begins with a pretrained model; give one, or mode="scratch"')
    train, held_out = split(data, settings, settings.num_train_trajectories)
    world = WorldModel.load(base, dtype=torch.float32) if isinstance(base, str | Path) else base
    if world is None or world.normalizer is None:
        normalizer = _normalizer(data, train, settings)
        plain, _ = begin("base", world, data, settings)
        digest = None if world is None else base_digest(world)  # what it has learned beside comes along
        predictor = with_actions(plain, normalizer.action_dim, mode, seed=settings.seed)
    else:
        normalizer, predictor, digest = _going_on(world, data, settings, mode)
        planning = planning or world.planning
    practised = None if practice is None else open_store(practice)
    source = _source(data, train, practised, normalizer, settings)
    token_std = data.token_std(train)
    clips = partial(
        held_out_clips,
        data,
        held_out,
        num_frames=settings.num_frames,
        frameskip=settings.frameskip,
        normalizer=normalizer,
        seed=settings.seed,
    )
    validated, context = clips(num_clips=_VALIDATED)
    about = {"store": data.identity(), "base": digest, "mode": mode, "settings": asdict(settings)}
    if practised is not None:
        about["practice"] = practised.identity()
    about["planning"] = None if planning is None else asdict(planning)

    def train_predictor(out: Path, where: DistributedContext) -> tuple[WorldModel, dict[str, Any]]:
        trainer = Trainer(
            settings=settings,
            folder=out,
            validate=partial(_relative_error, batch=validated, grid=data.grid, context=context),
            on_log=on_log,
            # What is not pretrained, or does not learn, has no rate of its own.
            backbone_scale=settings.backbone_scale if mode == "full" else lambda _: 1.0,
            weights=_error_weights(token_std, settings.standardize),
        )
        seconds = trainer.train(predictor, source, data.grid, where, progress)
        model = WorldModel(
            data.encoder,
            predictor.cpu(),
            normalizer,
            control_rate=rate,
            frame_size=data.frame_size,
            token_std=token_std,
            planning=planning,
        )
        if world is not None:
            for name, head in world.heads().items():  # they read tokens, and these are the encoder's still
                setattr(model, name, copy.deepcopy(head))
        if not where.first:
            return model, {}
        measured, _ = clips()
        error = prediction_error(predictor, measured, data.grid, context=context)
        return model, {
            "settings": {"mode": mode, **asdict(settings)},
            "data": {"env_id": data.env_id, "trajectories": len(train), "held_out": len(held_out)},
            **error.as_dict(),
            "windows": len(measured.names),
            "seconds": seconds,
            "steps_per_second": settings.num_steps / seconds if seconds else None,
        }

    model, result = run(folder, "finetune", about, place, _RESULT, train_predictor)
    return FinetuneResult(
        model=model,
        error=PredictionError.of(result),
        num_windows=result["windows"],
        train=train,
        held_out=held_out,
        seconds=result["seconds"],
        folder=None if folder is None else Path(folder),
    )


def _source(
    store: LatentStore,
    train: list[int],
    practice: LatentStore | None,
    normalizer: ActionNormalizer,
    settings: FinetuneSettings,
) -> Source:
    """Return where batches come from.

    Raises:
        ValueError: the store of practice has other tokens or actions, or so small a share that no window is left of
            one of the two.
    """
    count = 0 if practice is None else round(settings.practice_share * settings.batch_size)
    windows = partial(LatentStore.windows, num_frames=settings.num_frames, frameskip=settings.frameskip)
    if practice is None:
        return WindowSource(windows(store, members=train), settings.batch_size, normalizer, settings.seed)
    if not practice.made_by(store.encoder):
        raise ValueError(f"practice: {practice.folder} was made by another encoder than {store.folder}")
    its, own = (None if each.actions is None else each.actions.shape[1] for each in (practice, store))
    if its != own or practice.control_rate != store.control_rate:
        raise ValueError(
            f"practice: expected actions of {own} numbers at {store.control_rate} Hz, as in {store.folder}; got "
            f"{its} at {practice.control_rate} in {practice.folder}"
        )
    if not 0 < count < settings.batch_size:
        raise ValueError(
            f"practice_share: {settings.practice_share:g} of a batch of {settings.batch_size} leaves one of the stores "
            "without a window"
        )
    return MixedSource(
        WindowSource(windows(store, members=train), settings.batch_size - count, normalizer, settings.seed),
        WindowSource(windows(practice), count, normalizer, settings.seed),
    )


def _error_weights(token_std: list[float], power: float) -> list[float] | None:
    """Return what errors of each number of a token are multiplied by; one that hardly varies counts as if it had a
    thousandth of the largest deviation."""
    least = max(token_std) / 1000
    return [max(std, least) ** -power for std in token_std] if power and least else None


def _normalizer(store: LatentStore, train: list[int], settings: FinetuneSettings) -> ActionNormalizer:
    found = store.action_statistics(train)
    return ActionNormalizer(
        found.mean.tolist(),
        found.std.tolist(),
        found.low.tolist(),
        found.high.tolist(),
        frameskip=settings.frameskip,
        layout=store.action_layout,
        repeat_action=settings.repeat_action,
    )


def _going_on(
    world: WorldModel, store: LatentStore, settings: FinetuneSettings, mode: Mode
) -> tuple[ActionNormalizer, ActionConditioned, str]:
    """Return the actions of a model that has some, a copy of its predictor that learns, and a digest of both.

    Raises:
        ValueError: the store has other actions or another encoder, or the settings other model steps.
    """
    normalizer, predictor = world.normalizer, copy.deepcopy(world.predictor).float()
    if not isinstance(predictor, ActionConditioned) or normalizer is None or mode == "scratch":
        raise ValueError('base: expected one of this package\'s predictors, and no mode="scratch", to go on learning')
    if not store.made_by(world.encoder):
        raise ValueError(f"base: its encoder is another than that of {store.folder}; encode the data with its own")
    numbers = 0 if store.actions is None else store.actions.shape[1]
    given = {
        "actions": (normalizer.layout, store.action_layout or ActionLayout((numbers,))),
        "frameskip": (normalizer.frameskip, settings.frameskip),
        "repeat_action": (normalizer.repeat_action, settings.repeat_action),
    }
    for name, (its, asked) in given.items():
        if its != asked:
            raise ValueError(f"base: it was trained with {name} {its}, and shall go on with {asked}")
    predictor.trainable("action_only" if mode == "action_only" else "full")
    return normalizer, predictor, base_digest(world)


def _relative_error(
    predictor: Predictor | ActionConditioned, *, batch: Batch, grid: tuple[int, int], context: int
) -> dict[str, Any]:
    error = prediction_error(predictor, batch.to(next(predictor.parameters()).device), grid, context=context)
    return {"relative_error": [round(value, 4) for value in error.relative_error]}
