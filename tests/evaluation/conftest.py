"""What tests of evaluations share."""

import sys
from pathlib import Path

import pytest
from walks_data import Walks

sys.path.insert(0, str(Path(__file__).parents[1] / "agents"))  # for the world model in closed form, dot_world


@pytest.fixture
def walks() -> Walks:
    return Walks()
