"""What pretraining and fine-tuning begin with: stores, a predictor, and a folder for what comes out."""

import copy
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from ..data import LatentStore
from ..files import atomic_write
from ..models import Predictor, WorldModel
from ..runs import open_run
from .distributed import DistributedContext
from .state import STATE

MODEL, RESULT = "model", "result.json"


def open_store(store: LatentStore | str | Path) -> LatentStore:
    """Return a store, which may be given by its folder."""
    return store if isinstance(store, LatentStore) else LatentStore.open(store)


def open_model(model: WorldModel | str | Path | None) -> WorldModel | None:
    """Return a model, which may be given by its folder or a packaged name; loaded in float32, for training."""
    return WorldModel.load(model, dtype=torch.float32) if isinstance(model, str | Path) else model


def plain_predictor(name: str, model: WorldModel, store: LatentStore) -> Predictor:
    """Return the predictor without actions that training begins with.

    Args:
        name: what the model is called in errors.
        model: the model; it is left as it is.
        store: that is trained on.

    Raises:
        ValueError: the model has actions, or another encoder than the store's.
    """
    predictor = model.predictor
    if not isinstance(predictor, Predictor):
        raise ValueError(f"{name}: expected a model that was pretrained without actions, got one that has them")
    if not store.made_by(model.encoder):
        raise ValueError(
            f"{name}: its encoder is another than that of {store.folder}; encode the data with the model's encoder"
        )
    return copy.deepcopy(predictor)


def fresh_predictor(size: str, store: LatentStore, seed: int) -> Predictor:
    """Return a predictor with weights drawn by a seed, for the tokens of a store."""
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.manual_seed(seed)
        return Predictor.from_size(size, dim=store.tokens.shape[2])


def identity(model: WorldModel | None) -> str | None:
    """Return a digest that says whether it is the same model without actions again, wherever it lies."""
    if model is None:
        return None
    predictor = model.predictor
    assert isinstance(predictor, Predictor)
    return predictor.digest()


@contextmanager
def run_folder(
    folder: str | Path | None, kind: str, settings: Mapping[str, Any], where: DistributedContext
) -> Iterator[Path]:
    """Give the folder of results, which the first process holds; a temporary one of each process where there is none.

    Raises:
        OSError, ValueError: as of :func:`wmcontrol.runs.open_run`.
    """
    if folder is None:
        with TemporaryDirectory(prefix="wmcontrol-") as temporary:
            yield Path(temporary)
        return
    with open_run(folder, kind, settings) if where.first else nullcontext():
        where.wait()
        yield Path(folder)


def save_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Write ``result.json``, which says that a run is finished, and what it gave."""
    with atomic_write(folder / RESULT) as file:
        file.write((json.dumps(result, indent=2) + "\n").encode())
    (folder / STATE).unlink()  # nothing goes on from it, and it is three times the model
