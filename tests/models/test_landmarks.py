"""Steps to go and landmarks on a line and a ring, where all distances are known; and what files may say of them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file, save_file
from test_world_model import D, world_model
from torch import Tensor

from wmcontrol import WorldModel
from wmcontrol.models import ActionPrior, Landmarks, RewardHead, StepsToGo, TemporalEmbedding
from wmcontrol.models.landmarks import farthest_points


def decided(dim: int, num_patches: int) -> StepsToGo:
    """A network whose probabilities differ, as those of one that learned nothing do not."""
    torch.manual_seed(0)
    network = StepsToGo(dim, num_patches, max_steps=4, width=8, depth=1)
    network.std.fill_(0.1)
    for layer in (network.start, network.change, network.output[1]):
        torch.nn.init.normal_(layer.weight, std=2)
    return network


class OfProbabilities(StepsToGo):
    """Says what it is told: a frame's number is the row of a table of probabilities."""

    table: Tensor

    def logits(self, tokens: Tensor, goal: Tensor) -> Tensor:
        return self.table[tokens[..., 0, 0].long()].log()


class Line(StepsToGo):
    """Frames are places on a line, three units a step; as many steps as there are told apart, then farther."""

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        return ((tokens - goal)[..., 0, 0].abs() / 3).clamp(max=self.max_steps + 1)


class Ring(Line):
    """The same on a ring of 60 units, on which only the way up is open."""

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        return ((goal - tokens)[..., 0, 0].remainder(60) / 3).clamp(max=self.max_steps + 1)


def places(count: int) -> Tensor:
    return torch.arange(float(count)).view(count, 1, 1)


def made(kind: type[StepsToGo], tokens: Tensor, reach: float) -> Landmarks:
    return Landmarks.connected(tokens, kind(1, 1, max_steps=5, width=4, depth=1), reach)


def to(landmarks: Landmarks, kind: type[StepsToGo], goal: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    steps = kind(1, 1, max_steps=5, width=4, depth=1).between(landmarks.tokens, torch.full((1, 1, 1), goal))
    return steps[:, 0].double().numpy()


def test_the_fewest_steps_are_those_after_which_a_goal_is_not_unlikely() -> None:
    network = OfProbabilities(1, 1, max_steps=3)
    network.shares = torch.tensor([0.1, 0.2, 0.2, 0.1, 0.4])
    network.table = torch.tensor(
        [
            # Ratios to chance, "farther" 1: 0 at first, then 15 % of what is credible, all of it, less again.
            [1e-12, 0.009, 0.06, 0.001, 0.4],
            [0.1, 0.2, 0.2, 0.1, 0.4],  # as by chance: it may be there at once
            [1e-9, 1e-9, 1e-9, 1e-9, 1.0],  # never
        ]
    )
    rows = places(3)
    found = network(rows, torch.zeros(1, 1))
    assert found.tolist() == pytest.approx([1 + 0.85, 0, 4], abs=1e-5)
    expected = network.expected(rows, torch.zeros(1, 1))
    probabilities = network.table / network.table.sum(1, keepdim=True)
    assert expected.tolist() == pytest.approx((probabilities * torch.arange(5)).sum(1).tolist())


def test_numbers_of_steps_that_no_pair_had_are_never_the_fewest() -> None:
    network = OfProbabilities(1, 1, max_steps=3)
    network.shares = torch.tensor([0.3, 0.3, 0.0, 0.0, 0.4])  # of trajectories of two model steps
    network.table = torch.tensor([[1e-6, 1e-6, 1e-6, 1e-6, 1.0], [1e-6, 0.3, 1e-6, 1e-6, 0.4]])
    assert network(places(2), torch.zeros(1, 1)).tolist() == pytest.approx([4, 1], abs=1e-3)


def test_pairs_of_all_are_those_of_each() -> None:
    network = decided(3, 2)
    one, other = torch.randn(5, 2, 3), torch.randn(7, 2, 3)
    table = network.between(one, other)
    assert table.shape == (5, 7)
    torch.testing.assert_close(table[3, 6], network(one[3], other[6]))
    assert (table - network.between(other, one).T).abs().max() > 1e-4  # there and back are two things
    for wrong in ((one[:, :1], other), (one, other[..., :2])):
        with pytest.raises(ValueError, match=naming(2, 3)):
            network.logits(*wrong)


def test_paths_on_a_line_are_as_long_as_it_is() -> None:
    landmarks = made(Line, places(31), reach=1.0)  # 30 units are 10 steps
    assert landmarks.settings() == {
        "dim": 1,
        "num_patches": 1,
        "num_landmarks": 31,
        "num_edges": 2 * (30 + 29 + 28),
        "reach": 1.0,
    }
    steps, following = landmarks.paths_to(to(landmarks, Line, 30))
    assert steps[0] == pytest.approx(10)
    assert steps[:28].tolist() == pytest.approx([(30 - i) / 3 for i in range(28)], abs=0.4)  # in whole long edges
    assert following[30] == following[27] == 31  # the goal itself
    assert following[0] == 3
    # Edges that fail are gone round, and a cut through all of them leaves no path.
    around, _ = landmarks.paths_to(to(landmarks, Line, 30), [(0, 3), (27, 31)])
    assert 10 < around[0] <= 11
    cut = [(i, j) for i in range(16) for j in range(16, 31)]
    steps, following = landmarks.paths_to(to(landmarks, Line, 30), cut)
    assert np.isinf(steps[:16]).all()
    assert (following[:16] == -1).all()
    assert np.isfinite(steps[16:]).all()
    # A goal that no landmark is near to.
    steps, following = landmarks.paths_to(np.full(31, 1.5))
    assert np.isinf(steps).all()
    assert (following == -1).all()
    assert landmarks.around(5, 0.5) == {4, 5, 6}


def test_paths_on_a_ring_go_the_way_that_is_open() -> None:
    landmarks = made(Ring, places(60), reach=1.0)
    steps, following = landmarks.paths_to(to(landmarks, Ring, 0))
    assert steps[3] == pytest.approx(19)  # though it is one step away on the way that is closed
    assert steps[57] == pytest.approx(1)
    assert following[3] == 6


class Mistaken(Line):
    """Takes two places that are far from one another for one."""

    def forward(self, tokens: Tensor, goal: Tensor) -> Tensor:
        mistaken = (tokens[..., 0, 0] == 3) & (goal[..., 0, 0] == 27)
        return super().forward(tokens, goal) * ~mistaken


def test_a_mistake_that_landmarks_around_do_not_share_makes_no_tunnel() -> None:
    landmarks = made(Mistaken, places(31), reach=1.0)
    assert not ((landmarks.edges[:, 0] == 3) & (landmarks.edges[:, 1] == 27)).any()
    steps, _ = landmarks.paths_to(landmarks.agreed(to(landmarks, Mistaken, 27)))
    assert steps[3] == pytest.approx(8)
    # A frame of now that is taken for near a landmark far away.
    now = to(landmarks, Line, 0)
    now[20] = 0.1
    agreed = landmarks.agreed(np.stack([now, to(landmarks, Line, 9)]))
    assert agreed[0, 20] > 3
    assert agreed[0, :5].tolist() == pytest.approx([0, 1 / 3, 2 / 3, 1, 4 / 3])
    assert agreed[1].tolist() == to(landmarks, Line, 9).tolist()


def test_of_many_edges_some_of_all_lengths_are_kept() -> None:
    landmarks = made(Line, places(200), reach=40.0)
    steps = landmarks.steps[landmarks.edges[:, 0] == 0]
    assert len(steps) == 32
    assert steps[0] == pytest.approx(1 / 3)
    assert steps[-1] == 6.0  # what is farther than can be told counts as that
    assert (landmarks.edges[:, 0] != landmarks.edges[:, 1]).all()


def test_farthest_points_cover_a_line_evenly() -> None:
    assert farthest_points(places(65), 5).tolist() == [0, 64, 32, 16, 48]
    assert sorted(farthest_points(places(3), 10).tolist()) == [0, 1, 2]
    assert farthest_points(places(3).repeat(4, 1, 1), 10).tolist() == [0, 2, 1]  # frames that are the same count once


def with_map() -> WorldModel:
    model = world_model()
    model.steps_to_go = decided(D, 4)
    model.landmarks = Landmarks.connected(torch.randn(6, 4, D), model.steps_to_go, 3.5)
    assert len(model.landmarks.edges)
    model.temporal_embedding = TemporalEmbedding(D, 4, size=3, width=8, depth=2).keep(torch.randn(5, 4, D))
    return model


def test_a_model_keeps_its_map(tmp_path: Path) -> None:
    model = with_map()
    model.save(tmp_path / "model")
    again = WorldModel.load(tmp_path / "model")
    for name in ("steps_to_go", "landmarks", "temporal_embedding"):
        one, other = getattr(model, name), getattr(again, name)
        assert one.settings() == other.settings()
        for key, value in one.state_dict().items():
            assert torch.equal(other.state_dict()[key], value), key
    model.steps_to_go = model.landmarks = None
    model.save(tmp_path / "plain")
    assert WorldModel.load(tmp_path / "plain").landmarks is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("landmarks.edges", 6),
        ("landmarks.edges", -1),
        ("landmarks.steps", -1.0),
        ("landmarks.steps", float("inf")),
        ("landmarks.tokens", float("inf")),
        ("landmarks.tokens", float("nan")),
        ("temporal_embedding.frames", float("nan")),
        ("temporal_embedding.points", float("inf")),
        ("temporal_embedding.neighbors", 5),
        ("temporal_embedding.neighbors", -1),
        ("temporal_embedding.layers.0.weight", float("nan")),
        ("temporal_embedding.std", 0.0),
        ("temporal_embedding.log_scale", 1e3),
        ("steps_to_go.std", -1.0),
        ("steps_to_go.shares", -0.1),
        ("steps_to_go.shares", 9.0),
        ("steps_to_go.start.bias", float("inf")),
        ("prior.mean", float("inf")),
        ("prior.std", 0.0),
        ("reward.std", -1.0),
        ("reward.token_mean", float("-inf")),
    ],
)
def test_a_head_that_computes_nothing_is_refused(name: str, value: float, tmp_path: Path) -> None:
    model = with_map()
    actions = model.normalizer
    assert actions is not None
    model.prior = ActionPrior(D, 4, actions.action_dim, width=8, depth=1)
    model.reward = RewardHead(4, D, width=8)
    model.save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    tensors[name].view(-1)[-1] = value
    save_file(tensors, file)
    with pytest.raises(ValueError, match=naming("model.safetensors", name)):
        WorldModel.load(tmp_path / "model")


def test_an_edge_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with_map().save(tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    tensors = load_file(file)
    tensors["landmarks.edges"][1] = tensors["landmarks.edges"][0]
    save_file(tensors, file)
    with pytest.raises(ValueError, match=naming("model.safetensors", "landmarks.edges")):
        WorldModel.load(tmp_path / "model")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("landmarks.reach", 0),
        ("landmarks.num_landmarks", 2**24),
        ("landmarks.num_edges", 2**25),
        ("landmarks.dim", 1),
        ("steps_to_go.max_steps", 10**6),
        ("steps_to_go.width", 2**14),
        ("steps_to_go.depth", 99),
        ("steps_to_go.num_patches", 3),
        ("temporal_embedding.dim", 1),
        ("temporal_embedding.size", 10**6),
        ("temporal_embedding.width", 2**14),
        ("temporal_embedding.depth", 99),
        ("temporal_embedding.depth", 101),
        ("temporal_embedding.num_frames", 2**20),
        ("temporal_embedding.num_frames", 2**21),
    ],
)
def test_settings_of_a_map_are_checked_before_memory_is_taken(field: str, value: int, tmp_path: Path) -> None:
    with_map().save(tmp_path / "model")
    file = tmp_path / "model" / "config.json"
    config = json.loads(file.read_text())
    part, name = field.split(".")
    config[part][name] = value
    file.write_text(json.dumps(config))
    with pytest.raises(ValueError, match=naming(part)):
        WorldModel.load(tmp_path / "model")


def test_landmarks_alone_are_refused(tmp_path: Path) -> None:
    model = with_map()
    model.steps_to_go = None
    with pytest.raises(ValueError, match=naming("landmarks", "steps_to_go")):
        model.save(tmp_path / "model")
