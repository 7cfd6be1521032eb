"""Small stores of two scenes, by one encoder."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from wmcontrol import ActionConditioned, Predictor, PyramidEncoder, WorldModel
from wmcontrol.data import ArrayDataset, LatentStore, encode
from wmcontrol.models import ActionNormalizer

SIDE, FRAMES = 32, 40


def scene(size: int, seed: int, trajectories: int = 20) -> ArrayDataset:
    """A bright square that two numbers push about, 10 frames a second."""
    rng = np.random.default_rng(seed)
    actions = rng.uniform(-2, 2, (trajectories, FRAMES // 8, 2)).repeat(8, axis=1)[:, : FRAMES - 1]
    far = SIDE - size
    places = np.clip(far / 2 + np.cumsum(np.insert(actions, 0, 0, axis=1), axis=1), 0, far).astype(int)
    frames = np.full((trajectories, FRAMES, SIDE, SIDE, 3), 40, np.uint8)
    for clip, path in zip(frames, places, strict=True):
        for frame, (x, y) in zip(clip, path, strict=True):
            frame[y : y + size, x : x + size] = 230, 200, 60
    return ArrayDataset(frames, actions, control_rate=10, action_bounds=([-2, -2], [2, 2]))


@pytest.fixture(scope="session")
def encoder() -> PyramidEncoder:
    fitted = PyramidEncoder(num_components=16)
    frames = [
        np.concatenate([scene(size, 0, 2).trajectory(i).frames.read(np.arange(FRAMES)) for i in range(2)])
        for size in (6, 12)
    ]
    fitted.fit(*(torch.from_numpy(each) for each in frames))
    return fitted


@pytest.fixture(scope="session")
def stores(encoder: PyramidEncoder, tmp_path_factory: pytest.TempPathFactory) -> list[LatentStore]:
    folder = tmp_path_factory.mktemp("stores")
    return [encode(scene(size, seed), encoder, folder) for seed, size in enumerate((6, 12))]


@pytest.fixture(scope="session")
def other_store(tmp_path_factory: pytest.TempPathFactory) -> LatentStore:
    """A store of another encoder."""
    fitted = PyramidEncoder(num_components=16)
    fitted.fit(torch.from_numpy(scene(6, 3, 2).trajectory(0).frames.read(np.arange(FRAMES))))
    return encode(scene(6, 0), fitted, tmp_path_factory.mktemp("other"))


@pytest.fixture
def base(encoder: PyramidEncoder) -> WorldModel:
    torch.manual_seed(0)
    return WorldModel(encoder, Predictor(16, 24, 2, 2), control_rate=10, frame_size=(SIDE, SIDE))


@pytest.fixture
def acting(base: WorldModel, stores: list[LatentStore]) -> Callable[[int], WorldModel]:
    """Make a model with actions of two numbers, by how many steps of the environment its own are."""

    def make(frameskip: int) -> WorldModel:
        found = stores[0].action_statistics()
        normalizer = ActionNormalizer(
            found.mean.tolist(), found.std.tolist(), found.low.tolist(), found.high.tolist(), frameskip=frameskip
        )
        assert isinstance(base.predictor, Predictor)
        return WorldModel(
            base.encoder,
            ActionConditioned(base.predictor, 2 * frameskip),
            normalizer,
            control_rate=10,
            frame_size=base.frame_size,
        )

    return make


@pytest.fixture
def model(acting: Callable[[int], WorldModel]) -> WorldModel:
    return acting(3)
