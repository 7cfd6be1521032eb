"""From a configuration to what the library takes: objects, settings, and the folder of a run.

What cannot be made of the keys is a :class:`~.errors.UsageError`, which names the key.
"""

import hashlib
import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from .errors import UsageError, did_you_mean
from .progress import Report, progress_bar

if TYPE_CHECKING:
    from ..evaluation import Protocol
    from ..trackers import Tracker

_T = TypeVar("_T")
OUTPUTS = Path("outputs")


def plain(node: Any) -> Any:
    """Return a part of a configuration as plain values."""
    from omegaconf import OmegaConf

    return OmegaConf.to_container(node, resolve=True)


def make(node: Any, key: str, **more: Any) -> Any:
    """Make the object that a group's ``_target_`` names, with more arguments; None where nothing is chosen.

    Raises:
        ImportError: a package that it needs is not installed. Bugs in it are left as they are.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    if not node or node.get("_target_") is None:
        return None
    try:
        return instantiate(node, _convert_="all", **more)
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, ImportError) and not str(error).startswith("Error locating target"):
            raise cause from error  # it is there, and a package that it needs is not
        if isinstance(cause, UsageError | ValueError | TypeError | OSError | ImportError | InstantiationException):
            inside = re.search(rf"full_key: ({re.escape(key)}\.\S+)", str(error))
            said = " ".join(line for line in str(cause).splitlines() if line and not line.startswith("full_key:"))
            raise UsageError(f"{inside[1] if inside else key}: {said}") from error
        raise


@contextmanager
def made(key: str = "") -> Iterator[None]:
    """Tell what is refused while things are made of the keys as a mistake of the user's, after the name of a key."""
    try:
        yield
    except (OSError, TypeError, ValueError) as error:
        told = str(error)
        raise UsageError(told if not key or told.startswith(f"{key}: ") else f"{key}: {told}") from error


def changed(made_before: _T, given: Any, key: str) -> _T:
    """Return settings with some fields changed, as a key says."""
    changes, names = plain(given), {field.name for field in fields(made_before)}  # type: ignore[arg-type]
    for name in changes.keys() - names:
        raise did_you_mean(f"key of {key}", name, names)
    with made(key):
        return replace(made_before, **changes)  # type: ignore[type-var]


def settings(kind: type[_T], config: Any) -> _T:
    """Make a settings class of the keys that have the names of its fields."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    with made():
        return kind(**{name: value for name, value in plain(config).items() if name in names})


def protocol_of(config: Any) -> "Protocol":
    """Return the protocol that the keys say; what was changed of a known one is in its name."""
    from ..evaluation import PROTOCOLS, Protocol
    from ..evaluation.protocols import protocol_named

    given = {name: config[name] for name in ("goal_offset", "budget", "replan_every", "num_tasks", "horizon")}
    with made():
        if config.protocol in PROTOCOLS:
            return protocol_named(config.protocol, **given)
        return Protocol(name=str(config.protocol), **given)


def show_comparison(comparison: Any, out: Path, tracker: Any = None, **where: Any) -> None:
    """Make a comparison where :func:`~wmcontrol.compare.compare` is told to, and print what came of it."""
    from ..compare import compare

    logging.basicConfig(format="%(message)s", level=logging.INFO)
    with tracking(tracker, out) as tracked:
        found = compare(comparison, out, tracker=tracked, **where)
    print((out / "report.md").read_text(encoding="utf-8"))
    for path in (*sorted(out.glob("*.mp4")), found.report):
        print(path)


def open_data(node: Any, path: Any = None, *, optional: bool = False) -> Any:
    """Open the trajectories that ``data`` names, or one of several paths; ``optional``: None where it names none."""
    from ..data.formats import local_path

    given = {**reader_of(node), "path": node.path if path is None else path, "_target_": node.get("_target_")}
    if given["path"] is None and optional:
        return None
    if given["path"] is None:
        raise UsageError("data.path=… is missing: the file or folder to read; for example data.path=data/wall")
    if not isinstance(given["path"], str | int | float):
        raise UsageError(f"data.path: expected one path, got {given['path']}")
    with made("data.path"):
        given["path"] = local_path(str(given["path"]), given.get("camera"))
    return make(given, "data")


def open_model_data(node: Any, model: Any) -> Any:
    """Open the trajectories that ``data`` names, with frames as large as a model's unless they are asked for."""
    from omegaconf import OmegaConf

    height, width = model.frame_size
    if node.image_size is None and height == width:
        node = OmegaConf.merge(node, {"image_size": height})
    return open_data(node)


def reader_of(node: Any) -> dict[str, Any]:
    """Return the settings of a reader that ``data`` has beside the path; without one there can be none."""
    given = {name: value for name, value in plain(node).items() if value is not None}
    reader = {name: value for name, value in given.items() if name not in ("path", "_target_")}
    if reader and "path" not in given:
        raise UsageError(
            f"without data.path=PATH, as with env=NAME, no data are read; leave data.{', data.'.join(reader)} out"
        )
    return reader


def paths_of(node: Any) -> list[Any]:
    """Return the paths that ``data`` names: one, or several in a list."""
    return list(node.path) if not isinstance(node.path, str | None) else [node.path]


def planning_changes(node: Any) -> dict[str, Any]:
    """Return what ``objective=saved`` changes of the ``PlanningSettings`` that a model was saved with.

    A metric that is given is taken as it is: it is standardized only where that is given too.
    """
    changes = {str(name): value for name, value in node.items() if value is not None}
    return {"standardize": 0.0, **changes} if "metric" in changes else changes


def saved_model(
    path: str | None = None, dtype: Literal["auto", "float32", "bfloat16"] | None = None, **place: Any
) -> Any:
    """Load a saved world model.

    Args:
        path: its folder, a packaged name, or hf://owner/name. For example models/wall/model.
        dtype: what it computes in; null is what it was saved in, float32 for packaged ones; auto is bfloat16 where the
            device has arithmetic for it, which is faster, and plans then differ from machine to machine. For example
            auto.
        place: the device.
    """
    import torch

    from ..models import WorldModel

    if path is None:
        raise UsageError("the world model to plan with is missing: model=wall, or model.path=FOLDER")
    kinds: Any = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    return WorldModel.load(path, dtype=kinds.get(dtype, dtype), **place)


def saved_encoder(path: str) -> Any:
    """Return the encoder of a store, of a saved model or of a packaged one, or a published one.

    Args:
        path: the folder of a store, of a model, or of a published encoder in Hugging Face's format; or the packaged
            model's name. For example base.
    """
    from ..encoders.files import load_encoder, published_encoder
    from ..models import WorldModel

    folder = Path(path)
    if (folder / "encoder.json").exists():
        return load_encoder(folder)
    return published_encoder(folder) or WorldModel.load(path).encoder


def masked_predictor(
    width: int = 192,
    depth: int = 4,
    num_heads: int = 3,
    num_frames: int = 4,
    num_components: int | None = None,
    **dim: Any,
) -> Any:
    """Make a masked predictor.

    Args:
        width: of its tokens. For example 1152.
        depth: number of blocks. For example 12.
        num_heads: of attention. For example 8.
        num_frames: that it sees, one fewer than those of a clip. For example 4.
        num_components: principal components of tokens; by default three eighths of their dimensions. For example 1152.
        dim: the tokens' dimensions.
    """
    from ..models import MaskedPredictor

    return MaskedPredictor(
        width=width, depth=depth, num_heads=num_heads, num_frames=num_frames, num_components=num_components, **dim
    )


def vjepa(weights: str, image_size: int | None = None, dtype: str = "float32", **place: Any) -> Any:
    """Load V-JEPA 2's own encoder and predictor.

    Args:
        weights: a folder that save_pretrained wrote, or a name in the local Hugging Face cache. For example
            models/vjepa2.
        image_size: frames are resized to squares of this side; by default they must be of the model's. For example 256.
        dtype: to compute in, float32, bfloat16 or float16. For example bfloat16.
        place: the device.
    """
    from ..forecasting.baselines import VJEPA

    return VJEPA(weights, image_size, dtype, **place)


def frame_baseline(predict: str, encoder: str, **place: Any) -> Any:
    """Judge a function that predicts frames.

    Args:
        predict: the function, which takes the frames that are seen, an array (T, height, width, 3) of uint8, and how
            many are to follow, and returns those. For example my_package.predict.
        encoder: of what it predicts, and of the head; the folder of a store, of a model or of a published encoder, or
            a packaged model's name. For example models/scenes/model.
        place: the device.
    """
    from hydra.utils import get_method

    from ..forecasting.baselines import FrameForecaster

    try:
        function = get_method(predict)
    except (ImportError, ValueError) as error:
        raise UsageError(f"predict: expected a function, as my_package.predict; {error}") from error
    return FrameForecaster(function, saved_encoder(encoder), **place)


def cosmos(
    path: str,
    encoder: str,
    size: tuple[int, int] = (704, 1280),
    context_frames: int = 9,
    num_frames: int = 33,
    num_steps: int = 36,
    prompt: str = "",
    seed: int = 0,
    dtype: str = "bfloat16",
    **place: Any,
) -> Any:
    """Judge frames that COSMOS predicts.

    Args:
        path: the pipeline's folder in diffusers' format, or its name in the local Hugging Face cache. For example
            models/cosmos.
        encoder: of what it predicts, and of the head; as for baseline=frames. For example models/scenes/model.
        size: height and width that it works at, pixels. For example [640,1024].
        context_frames: that it is given, the newest of those that are seen. For example 9.
        num_frames: that it makes, those that it is given included. For example 33.
        num_steps: of denoising. For example 20.
        prompt: what the video is said to show. For example A_street.
        seed: of the noise. For example 1.
        dtype: to compute in, float32, bfloat16 or float16. For example float32.
        place: the device.
    """
    from ..forecasting.baselines import CosmosFrames, FrameForecaster

    judged = saved_encoder(encoder)
    frames = CosmosFrames.load(
        path,
        dtype=dtype,
        size=size,
        context_frames=context_frames,
        num_frames=num_frames,
        num_steps=num_steps,
        prompt=prompt,
        seed=seed,
        **place,
    )
    return FrameForecaster(frames, judged, **place)


def forecaster_to_judge(config: Any) -> Any:
    """Return what ``baseline`` names, or else the model without actions, as a forecaster."""
    from ..forecasting.forecasters import forecaster_of

    key = "model" if config.baseline.get("_target_") is None else "baseline"
    if key == "baseline" and config.model.get("path") is not None:
        raise UsageError(f"model.path: expected none beside baseline=…, which is judged alone; got {config.model.path}")
    with made(key):
        return forecaster_of(make(config[key], key, device=device_of(config)))


def device_of(config: Any) -> str:
    """Return where to compute: what ``device=auto`` is here."""
    from ..hardware import usable_device

    with made():
        return str(usable_device(config.device))


def is_first() -> bool:
    """Whether this is the first of the processes that ``torchrun`` started, or the only one."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def tracking(node: Any, folder: Path) -> "Iterator[Tracker | None]":
    """Give the tracker that was chosen for a run in a folder, if any, and close it in the end."""
    from ..trackers import Tracker

    tracker = make(node, "tracker", folder=folder)
    if tracker is not None and not isinstance(tracker, Tracker):
        raise UsageError(f"tracker: expected a wmcontrol.trackers.Tracker, got a {type(tracker).__name__}")
    try:
        yield tracker
    finally:
        if tracker is not None:
            tracker.close()


def train(function: Callable[..., _T], config: Any, *given: Any, **more: Any) -> _T:
    """Call a function of the library that trains, in the folder of its run, with a bar and the tracker chosen.

    Raises:
        UsageError: what is refused before the first step is a mistake in the line.
    """
    out = run_folder(config, function.__name__, apart=("device", "tracker"))
    device = device_of(config)
    with (
        tracking(config.tracker, out) as tracker,
        progress_bar(f"training on {device}", "steps") as show,
        refused_before(show) as progress,
    ):
        return function(*given, folder=out, device=device, progress=progress, on_log=tracker, **more)


@contextmanager
def refused_before(show: Report) -> Iterator[Report]:
    """Give ``show`` as a function to call; what is refused before its first call is told as a mistake in the line."""
    begun = False

    def progress(done: int, total: int) -> None:
        nonlocal begun
        begun = True
        show(done, total)

    try:
        yield progress
    except (FileNotFoundError, TypeError, ValueError) as error:
        if begun:
            raise
        raise UsageError(str(error)) from error


def out_folder(text: str | Path) -> Path:
    """Return the path of a folder to save in, which is not made yet."""
    path = Path(text)
    there = next(place for place in (path, *path.parents) if os.path.exists(place))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"cannot save files in {path}: {there} is no folder to write to; choose another: out=FOLDER")
    return path


def run_folder(config: Any, command: str, *, apart: Sequence[str] = (), about: Any = None) -> Path:
    """Return the folder of a run: ``out``, or one whose name follows from the configuration.

    So the same line finds the same folder, and goes on there where it was stopped. Keys that are ``apart`` change
    nothing of what comes out; ``about`` is what else decides it, as the digest of a model's weights.
    """
    if config.out is not None:
        return out_folder(config.out)
    kept = {name: value for name, value in plain(config).items() if name not in ("out", *apart)}
    return out_folder(OUTPUTS / command / digest_of(kept, about))


def digest_of(*parts: Any) -> str:
    """Return what tells plain values from others."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
