"""A model and its encoder, of squares that move."""

import numpy as np
import pytest
import torch
from squares import SIDE, Squares

from wmcontrol import Predictor, PyramidEncoder, WorldModel


@pytest.fixture(scope="session")
def encoder() -> PyramidEncoder:
    fitted = PyramidEncoder(8, tokens=(4, 4))
    fitted.fit(torch.from_numpy(np.concatenate([video.frames for video in Squares("depth")])))
    return fitted


@pytest.fixture(scope="session")
def model(encoder: PyramidEncoder) -> WorldModel:
    """One that was not trained."""
    torch.manual_seed(0)
    return WorldModel(encoder, Predictor(8, 24, 2, 2), control_rate=10, frame_size=(SIDE, SIDE))
