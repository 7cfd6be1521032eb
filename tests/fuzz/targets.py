"""What is done with each kind of file, and what must hold of what comes out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .child import WrongError


def expect(holds: Any, said: str) -> None:
    """Raise unless something holds."""
    if not holds:
        raise WrongError(said)


def _read(reader: Callable[[Path], Any]) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        use_dataset(reader(folder))

    return run


def _opened(name: str = "", **settings: Any) -> Callable[[Path], Any]:
    """Open as people do, by its path alone."""

    def reader(folder: Path) -> Any:
        from wmcontrol.data import open_dataset

        return open_dataset(folder / name, **settings)

    return reader


def _direct(module: str, reader: str, name: str = "", **settings: Any) -> Callable[[Path], Any]:
    """Open with the class, which sees files that no layout is recognised by."""

    def make(folder: Path) -> Any:
        from importlib import import_module

        return getattr(import_module(f"wmcontrol.data.formats.{module}"), reader)(folder / name, **settings)

    return make


def use_dataset(dataset: Any) -> None:
    """Read all that a data set offers, and look at it."""
    lengths = dataset.lengths
    expect(isinstance(lengths, np.ndarray) and lengths.dtype == np.int64 and lengths.ndim == 1, f"lengths {lengths!r}")
    expect(len(lengths) and lengths.min() >= 1, f"lengths {lengths}")
    rate = dataset.control_rate
    expect(rate is None or (isinstance(rate, (int, float)) and 0 < rate < np.inf), f"control_rate {rate!r}")
    expect(not isinstance(rate, bool), f"control_rate {rate!r}")
    expect(dataset.env_id is None or isinstance(dataset.env_id, str), f"env_id {dataset.env_id!r}")
    settings = dataset.env_settings
    expect(isinstance(settings, Mapping) and all(isinstance(key, str) for key in settings), f"settings {settings!r}")
    if dataset.action_bounds is not None:
        low, high = (np.asarray(bound) for bound in dataset.action_bounds)
        expect(low.dtype.kind == high.dtype.kind == "f", f"action_bounds of {low.dtype}")
        expect(low.ndim == 1 and low.shape == high.shape and len(low), f"action_bounds {low} {high}")
        expect((low <= high).all(), f"action_bounds {low} {high}")
    for index in sorted({0, len(lengths) // 2, len(lengths) - 1}):
        _look(dataset.trajectory(index), int(lengths[index]), dataset)
    expect(isinstance(dataset.fingerprint(), str), "fingerprint")
    if lengths.max() >= 2:
        window = dataset.windows(2)[0]
        expect(len(window.times) == 2, "a window of two")


def _look(trajectory: Any, length: int, dataset: Any) -> None:
    expect(len(trajectory) == length, f"{len(trajectory)} of {length} frames")
    times, states, actions = trajectory.times, trajectory.states, trajectory.actions
    expect(np.isfinite(times).all() and (np.diff(times) > 0).all(), f"times {times}")
    for values, count in ((states, length), (actions, length - 1)):
        if values is not None:
            expect(values.dtype == np.float64 and values.ndim == 2 and len(values) == count, f"numbers {values.shape}")
            expect(np.isfinite(values).all(), "numbers that are not finite")
    if actions is not None and dataset.action_bounds is not None:
        expect(len(dataset.action_bounds[0]) == actions.shape[1], "bounds of as many numbers as actions have")
    for value in trajectory.variation.values():
        expect(np.isfinite(value).all(), f"variation {trajectory.variation}")
    if trajectory.frames is not None:
        frames = trajectory.frames.read([0, length - 1])
        expect(frames.dtype == np.uint8 and frames.ndim == 4 and frames.shape[0] == 2, f"frames {frames.shape}")
        expect(frames.shape[3] == 3 and min(frames.shape[1:3]) >= 1, f"frames {frames.shape}")


def _store(folder: Path) -> None:
    from wmcontrol.data import LatentStore

    store = LatentStore.open(folder)
    F = len(store.tokens)
    expect(store.lengths.dtype.kind == "i" and store.lengths.ndim == 1, f"lengths {store.lengths.dtype}")
    expect(store.lengths.min() >= 1 and store.lengths.sum() == F, f"lengths {store.lengths}")
    rate, bounds = store.control_rate, store.action_bounds
    expect(rate is None or (type(rate) in (int, float) and 0 < rate < np.inf), f"control_rate {rate!r}")
    expect(store.env_id is None or isinstance(store.env_id, str), f"env_id {store.env_id!r}")
    expect(isinstance(store.env_settings, Mapping), f"env_settings {store.env_settings!r}")
    expect(isinstance(store.fingerprint, str), f"fingerprint {store.fingerprint!r}")
    expect(all(type(size) is int and size > 0 for size in store.frame_size), f"frame_size {store.frame_size}")
    for index, start in enumerate(store.offsets):
        times = store.times[start : start + store.lengths[index]]
        expect(np.isfinite(times).all() and (np.diff(times) > 0).all(), f"times {times}")
    for values in (store.states, store.actions):
        expect(values is None or (values.dtype.kind == "f" and values.ndim == 2), "numbers of another shape")
        expect(values is None or np.isfinite(values).all(), "numbers that are not finite")
    if bounds is not None:
        low, high = bounds
        expect(low.ndim == 1 and low.shape == high.shape and (low <= high).all(), f"action_bounds {bounds}")
        expect(store.actions is None or low.shape == store.actions.shape[1:], f"action_bounds {bounds}")
    rows, columns = store.grid
    expect(rows * columns == store.tokens.shape[1] and store.encoder.dim == store.tokens.shape[2], "a grid that fits")
    windows = store.windows(2)
    batch = windows.batch(np.arange(len(windows)))
    expect(batch.tokens.isfinite().all(), "tokens that are not finite")
    if store.actions is not None:
        statistics = store.action_statistics()
        expect(np.isfinite([statistics.mean, statistics.std, statistics.low, statistics.high]).all(), "statistics")
    expect(np.isfinite(store.token_std()).all(), "deviations of tokens that are not finite")


def _model(folder: Path) -> None:
    import torch

    from wmcontrol import WorldModel

    model = WorldModel.load(folder, dtype=torch.float32)
    size = model.frame_size
    expect(all(type(side) is int and side > 0 for side in size), f"frame_size {size}")
    expect(type(model.control_rate) in (int, float) and 0 < model.control_rate < np.inf, f"{model.control_rate!r} Hz")
    expect(all(parameter.isfinite().all() for parameter in model.parameters()), "weights that are not finite")
    expect(model.token_std is None or all(0 <= std < np.inf for std in model.token_std), f"{model.token_std}")
    sane = all(
        parameter.abs().max() < 1e3 for parameter in model.state_dict().values()
    )  # a flip may have made one large
    if model.normalizer is not None and sane:
        low, high = model.normalizer.bounds()
        expect(low.isfinite().all() and high.isfinite().all() and (low <= high).all(), f"bounds {low} {high}")
        with torch.no_grad():
            tokens = model.encode(torch.zeros(1, 1, *size, 3, dtype=torch.uint8))
            imagined = model.rollout(model.context(tokens), torch.zeros(1, 2, 2, len(low)))
        expect(imagined.isfinite().all(), "imagined tokens that are not finite")


def _dino_wm_checkpoint(folder: Path) -> None:
    from wmcontrol.models.zoo.dino_wm import load_dino_wm

    model = load_dino_wm(folder / "model_latest.pth")
    expect(all(value.isfinite().all() for value in model.state_dict().values()), "weights that are not finite")


def _evaluation(folder: Path) -> None:
    from wmcontrol.evaluation import Evaluation, difference

    found = Evaluation.read(folder / "tasks.jsonl")
    for record in found.records:
        for name in ("success_end", "success_any"):
            expect(isinstance(record[name], bool), f"{name} {record[name]!r}")
        first = record["first_success"]
        expect(first is None or (type(first) is int and first >= 0), f"first_success {first!r}")
        expect(type(record["decisions"]) is int and record["decisions"] >= 0, f"decisions {record['decisions']!r}")
        expect(record["seconds"] >= 0 and record["memory"] >= 0, "seconds and memory")
    expect(np.isfinite(found.distances).all() and found.distances.ndim == 1, f"distances {found.distances}")
    expect(np.isfinite(found.seconds_per_decision) and found.peak_memory >= 0, "seconds and memory")
    expect(0 <= found.success_end.low <= found.success_end.value <= 1, "success")
    found.report()
    difference(found, found)


def _minari_unfinished(folder: Path) -> None:
    from wmcontrol.data.formats.minari_writer import MinariWriter

    settings = {"policy": "random", "seed": 0}
    bounds = ([-1, -1], [1, 1])
    env_id = "wmcontrol/Wall-v0"
    writer = MinariWriter(folder, env_id=env_id, control_rate=10.0, action_bounds=bounds, settings=settings)
    if writer.written:
        writer.finish()
        use_dataset(_opened()(folder))


# By name: what is done, and how often beside the others.
RUNS: dict[str, tuple[Callable[[Path], None], int]] = {
    "dino_wm_pusht": (_read(_direct("dino_wm", "DinoWM")), 6),
    "dino_wm_maze": (_read(_opened()), 4),
    "dino_wm_wall": (_read(_direct("dino_wm", "DinoWM")), 4),
    "d4rl": (_read(_direct("d4rl", "D4RLTrajectories", "maze2d-umaze-v1.hdf5")), 6),
    "minari": (_read(_direct("minari", "MinariTrajectories")), 8),
    "minari_unfinished": (_minari_unfinished, 4),
    "minari_foreign": (_read(_opened(control_rate=10.0)), 6),
    "minari_maze": (_read(_opened()), 4),
    "minari_arrow": (_read(_opened(control_rate=10.0)), 4),
    "zarr2": (_read(_direct("diffusion_policy", "DiffusionPolicy", "set.zarr")), 5),
    "zarr3": (_read(_direct("diffusion_policy", "DiffusionPolicy", "set.zarr")), 5),
    "zarr_zip": (_read(_direct("diffusion_policy", "DiffusionPolicy", "set.zarr.zip")), 5),
    "lerobot": (_read(_opened()), 8),
    "lerobot_2": (_read(_opened()), 4),
    "lewm": (_read(_direct("lewm", "LeWM", "set.h5", control_rate=10.0)), 6),
    "robomimic": (_read(_direct("robomimic", "Robomimic", "image.hdf5", camera="agentview")), 4),
    "plain_hdf5": (_read(_direct("plain", "PlainArrays", "set.h5")), 4),
    "plain_npz": (_read(_direct("plain", "PlainArrays", "set.npz")), 4),
    "videos": (_read(_opened()), 3),
    "video_actions": (_read(_opened()), 4),
    "store": (_store, 8),
    "model": (_model, 8),
    "dino_wm_checkpoint": (_dino_wm_checkpoint, 5),
    "evaluation": (_evaluation, 6),
}
