"""What pretraining and fine-tuning share: what they begin with, and a run in a folder."""

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import torch
from torch import Tensor

from ..data import LatentStore, held_out_split
from ..files import atomic_write
from ..models import Predictor, WorldModel
from ..runs import open_run
from ..untrusted import Record, read_json
from .distributed import DistributedContext, distributed
from .settings import FinetuneSettings, PretrainSettings
from .state import STATE

MODEL, RESULT = "model", "result.json"
_FRAMES = 500  # whose tokens a predictor is fitted to


def open_store(store: LatentStore | str | Path) -> LatentStore:
    """Return a store, which may be given by its folder.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(store, LatentStore | str | Path):
        raise TypeError(f"store: expected a LatentStore or its folder, got {store!r}")
    return store if isinstance(store, LatentStore) else LatentStore.open(store)


def begin(
    name: str,
    model: WorldModel | str | Path | None,
    store: LatentStore,
    settings: PretrainSettings | FinetuneSettings,
    make: Callable[..., Predictor] | None = None,
) -> tuple[Predictor, str | None]:
    """Return the predictor without actions that training begins with, and a digest of it, wherever its model lies.

    Args:
        name: what the model is called in errors.
        model: a copy of whose predictor is returned; it may be given by its folder or a packaged name. None: a
            predictor with weights drawn by the seed, and no digest.
        store: that is trained on.
        settings: with the size and the seed.
        make: what makes a predictor of ``dim``, the tokens' dimensions, without a model; by default one of the size.

    Raises:
        TypeError: what ``make`` makes is no predictor.
        ValueError: the model has actions, or another encoder than the store's; or there is ``make`` beside it.
    """
    if model is None:
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.manual_seed(settings.seed)
            made: Any = (make or partial(Predictor.from_size, settings.size))(dim=store.tokens.shape[2])
        if not isinstance(made, Predictor):
            raise TypeError(f"predictor: expected a wmcontrol.Predictor, or a class derived from it; got {made!r}")
        made.fit(store.tokens[:: max(1, len(store.tokens) // _FRAMES)].flatten(0, 1))
        return made, None
    if make is not None:
        raise ValueError(f"predictor: with {name} the predictor is that model's; leave one of them out")
    model = WorldModel.load(model, dtype=torch.float32) if isinstance(model, str | Path) else model
    if not isinstance(model.predictor, Predictor):
        raise ValueError(f"{name}: expected a model that was pretrained without actions, got one that has them")
    if not store.made_by(model.encoder):
        raise ValueError(
            f"{name}: its encoder is another than that of {store.folder}; encode the data with the model's encoder"
        )
    return copy.deepcopy(model.predictor), model.predictor.digest()


def model_beside(base: WorldModel | str | Path, store: LatentStore) -> WorldModel:
    """Return a copy of a model, in float32, for something to be learned beside its predictor from a store's tokens.

    Raises:
        TypeError: ``base`` is no model.
        ValueError: the store was made by another encoder, or a model with actions learned at another control rate.
    """
    if not isinstance(base, WorldModel | str | Path):
        raise TypeError(f"base: expected a WorldModel, its folder or a packaged name, got {base!r}")
    world = WorldModel.load(base, dtype=torch.float32) if isinstance(base, str | Path) else copy.deepcopy(base)
    if not store.made_by(world.encoder):
        raise ValueError(f"base: its encoder is another than that of {store.folder}; encode the data with its own")
    rate = store.control_rate
    if world.normalizer is not None and rate is not None and rate != world.control_rate:
        raise ValueError(
            f"base: it learned at {world.control_rate:g} actions per second, and {store.folder} has {rate:g}; a model "
            "step would be another time"
        )
    return world


class Seeds(Protocol):
    """Settings that decide a split."""

    @property
    def seed(self) -> int:
        """Of the order of those to train on, and of the split where that has none of its own."""

    @property
    def split_seed(self) -> int | None:
        """Decides which are held out."""


def split(store: LatentStore, seeds: Seeds, wanted: int | None = None) -> tuple[list[int], list[int]]:
    """Return the numbers of the trajectories to train on, as many as are wanted or all, and of those held out.

    Raises:
        ValueError: more are wanted than there are.
    """
    split_seed = seeds.seed if seeds.split_seed is None else seeds.split_seed
    train, held_out = held_out_split(len(store), split_seed, seeds.seed)
    if wanted is not None and wanted > len(train):
        raise ValueError(f"num_train_trajectories: there are {len(train)} to train on, got {wanted}")
    return train[:wanted].tolist(), held_out.tolist()


def token_statistics(tokens: Tensor, folder: Path) -> tuple[Tensor, Tensor]:
    """Return means and deviations (D,) of the numbers of tokens (N, P, D) of the store in a folder.

    The deviation of a number that hardly varies is a thousandth of the largest.

    Raises:
        ValueError: tokens are not finite, or all the same.
    """
    some = tokens.flatten(0, 1)
    spread = some.std(0)
    if not spread.isfinite().all() or not spread.any():
        raise ValueError(f"{folder}: its tokens are not finite, or all the same; encode the data again")
    return some.mean(0), spread.clamp_min(1e-3 * float(spread.max()))


def base_digest(model: WorldModel) -> str:
    """Return what tells a model from others, wherever it lies: all but the encoder, which is the store's."""
    told = [model.normalizer.settings() if model.normalizer else None, asdict(model.planning)]
    found = hashlib.sha256(json.dumps(told).encode())
    for name, tensor in sorted(model.state_dict().items()):
        if not name.startswith("encoder."):
            found.update(name.encode() + tensor.detach().cpu().double().numpy().tobytes())
    return found.hexdigest()[:16]


def run(
    folder: str | Path | None,
    kind: str,
    settings: Mapping[str, Any],
    device: torch.device,
    schema: Record,
    train: Callable[[Path, DistributedContext], tuple[WorldModel, dict[str, Any]]],
) -> tuple[WorldModel, dict[str, Any]]:
    """Train in a folder, or read what a run that is finished gave there, and return the model and the result.

    Args:
        folder: for the model and ``result.json``, which says that the run is finished; by default nothing is kept.
        kind: of the run.
        settings: all that decides what comes out.
        device: where to train.
        schema: of the result.
        train: does it in a folder, as one of the processes; the result is that of the first.

    Raises:
        OSError, ValueError: as of :func:`wmcontrol.runs.open_run`.
    """
    with distributed(device) as where, _held(folder, kind, settings, where) as out:
        if where.from_first((out / RESULT).exists()):
            if not (out / MODEL).exists():
                raise ValueError(f"{out / MODEL} is gone, and {RESULT} beside it says that it is finished; remove both")
            if where.first:
                (out / STATE).unlink(missing_ok=True)
            model = WorldModel.load(out / MODEL, dtype=torch.float32)
            return model, read_json(out / RESULT, schema, fix="remove it, and training goes on")
        model, result = train(out, where)
        if where.first and folder is not None:
            model.save(out / MODEL)
            with atomic_write(out / RESULT) as file:
                file.write((json.dumps({"kind": kind, **result}, indent=2) + "\n").encode())
            (out / STATE).unlink(missing_ok=True)  # nothing goes on from it, and it is three times the model
        return model, where.from_first(result)


@contextmanager
def _held(
    folder: str | Path | None, kind: str, settings: Mapping[str, Any], where: DistributedContext
) -> Iterator[Path]:
    """Give the folder of results, which the first process holds; without one, a temporary one of each process."""
    if folder is None:
        with TemporaryDirectory(prefix="wmcontrol-") as temporary:
            yield Path(temporary)
        return
    with open_run(folder, kind, settings) if where.first else nullcontext():
        where.wait()
        yield Path(folder)
