"""Ways over the frames that a temporal embedding keeps, where distances are known."""

import numpy as np
import pytest
import torch
from known_ways import DOOR, Line, embedding, grid
from scipy.sparse.csgraph import floyd_warshall
from torch import Tensor

from wmcontrol.models import TemporalEmbedding


def test_subgoals_are_those_within_reach_with_the_shortest_ways() -> None:
    time = embedding()
    starts, goals = torch.tensor([[[20.0, 50.0]], [[44.0, 10.0]]]), torch.tensor([[[44.0, 50.0]], [[20.0, 10.0]]])
    ways = torch.stack([time.ways_to(goal, 2.5) for goal in goals])
    chosen = time.subgoals(starts, ways, 6, 2.5)
    assert chosen.shape == (2, 6, 1, 2)
    for start, way, found in zip(starts, ways, chosen, strict=True):
        within = time(start[None], time.frames) <= 2.5
        assert torch.equal(way[within].sort().values[:6], torch.stack([way[_number(time, one)] for one in found]))
        assert set(map(tuple, found[:, 0].tolist())) <= set(map(tuple, time.frames[within][:, 0].tolist()))
    # Where too few are within reach, the nearest to where one is come next, and no more than there are.
    few = embedding(torch.tensor([[[20.0, 49.0]], [[50.0, 50.0]], [[20.0, 40.0]], [[44.0, 50.0]]]))
    (found,) = few.subgoals(starts[:1], few.ways_to(goals[0], 9.0)[None], 9, 0.3)
    by_distance = few(starts[:1], few.frames)[1:].argsort() + 1
    assert torch.equal(found, few.frames[torch.cat([torch.tensor([0]), by_distance])])


def _number(time: TemporalEmbedding, frame: Tensor) -> int:
    return int((time.frames == frame).all((1, 2)).nonzero()[0, 0])


def test_a_way_leads_through_the_door_and_ever_nearer_to_the_goal() -> None:
    time, reach = embedding(), 1.2
    start, goal = torch.tensor([[20.0, 50.0]]), torch.tensor([[44.0, 50.0]])
    way = time.way(start, goal, reach)
    ways = time.ways_to(goal, reach)[way]
    assert (ways.diff() < 0).all()
    stops = torch.cat([start[None], time.frames[way], goal[None]])
    hops = time(stops[:-1], stops[1:])
    assert hops[0] <= reach
    assert hops[-1] <= reach
    crossing = stops[(stops[:, 0, 0] > 26) & (stops[:, 0, 0] < 38)]
    assert len(crossing)
    assert (crossing[:, 0, 1] == DOOR).all()
    assert embedding(grid()[:3]).way(goal, goal + 1, 2.0) == []  # it is there, and they are in the other room
    # Where nothing is within reach, the nearest frame comes first.
    outside = torch.tensor([[20.0, 300.0]])
    assert time.way(outside, goal, reach)[0] == int(time(outside, time.frames).argmin())


def test_ways_are_sums_of_squares_of_near_distances() -> None:
    places = torch.tensor([0.0, 1.0, 2.0, 3.5, 9.0])
    time = Line(1, 1, size=1, width=4, depth=1).keep(places[:, None, None])
    goal = torch.tensor([[3.75]])
    # Within 2 the last three lead to the goal; over them, the shortest of all ways.
    few = 0.25**2
    with_few = [1 + 1 + 1.5**2 + few, 1 + 1.5**2 + few, 1.5**2 + few, few]
    found = time.ways_to(goal, 2.0)
    # There are fewer than eight frames, so that all lead there at once, as far as that is the shorter way.
    assert found.tolist() == pytest.approx([*with_few, 5.25**2], rel=1e-4)
    assert time.way(torch.tensor([[0.2]]), goal, 5.0) == [1, 2, 3]  # though the goal is within reach
    torch.manual_seed(0)
    many = torch.cat([torch.arange(0, 20, 0.5), torch.tensor([40.0, 40.5])])
    time = Line(1, 1, size=1, width=4, depth=1).keep(many[:, None, None])
    found = time.ways_to(torch.tensor([[0.0]]), 1.0)
    assert found[:40].tolist() == pytest.approx([0.25 * n if n > 0 else 0.0 for n in range(40)], abs=1e-3)
    assert found[40:].tolist() == pytest.approx([1.5 * 0.25 * 39] * 2, rel=1e-3)  # nothing leads there
    # What lies alone is reached from the eight nearest.
    found = time.ways_to(torch.tensor([[30.0]]), 1.0)
    assert found[39].item() == pytest.approx(10.5**2)
    assert found[36].item() == pytest.approx(10.5**2 + 0.25 * 3, rel=1e-4)
    assert found[40].item() == pytest.approx(100, rel=1e-4)


class FirstNumber(TemporalEmbedding):
    """Tells frames apart by the first number of their tokens alone."""

    def embed(self, tokens: Tensor) -> Tensor:
        return tokens[..., 0, :1].float()


def test_from_one_frame_to_the_next_tokens_count_as_much_as_points() -> None:
    frames, goal = torch.randn(20, 1, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([[0.5, 0.0, 9.0]])
    network = FirstNumber(3, 1, size=1, width=4, depth=1)
    network.mean += 3.0
    network.std.copy_(torch.tensor([2.0, 1.0, 0.5]))
    time = network.keep(frames)
    places = frames[:, 0].double()
    by_time = (places[:, None, 0] - places[None, :, 0]).square()
    standard = (places - 3) / torch.tensor([2.0, 1.0, 0.5], dtype=torch.float64)
    by_tokens = torch.cdist(standard, standard).square()
    squares = (by_time + by_time.mean() / by_tokens.mean() * by_tokens) / 2
    last = (places[:, 0] - 0.5).square()
    for reach in (0.9, 2.0):
        graph = torch.where(squares.sqrt() <= reach, squares, torch.inf)
        within = last.sqrt() <= reach
        assert 8 <= within.sum() < 20
        over = floyd_warshall(graph.numpy()) + torch.where(within, last, torch.inf).numpy()
        expected = over.min(1)
        expected[np.isinf(expected)] = 1.5 * expected[np.isfinite(expected)].max()
        np.testing.assert_allclose(time.ways_to(goal, reach).numpy(), expected, rtol=1e-4)
    far = int((places[:, 0] - 0.5).abs().argmax())
    ways, way = time.ways_to(goal, 0.9), time.way(frames[far], goal, 0.9)
    assert len(way) > 2
    assert way[0] == int(torch.where(by_time[far].sqrt() <= 0.9, by_time[far] + ways, torch.inf).argmin())
    steps = [float(last[way[-1]]), *squares[way[:-1], way[1:]].tolist()]
    assert sum(steps) == pytest.approx(float(ways[way[0]]), rel=1e-4)
    same = network.keep(torch.ones(3, 1, 3))
    assert same.ways_to(torch.ones(1, 3), 1.0).tolist() == pytest.approx([0, 0, 0], abs=1e-9)


def test_frames_are_kept_beside_the_same_network() -> None:
    torch.manual_seed(0)
    network = TemporalEmbedding(2, 3, size=4, width=6, depth=1)
    frames = torch.randn(5000, 3, 2)
    kept = network.keep(frames)
    assert torch.equal(kept.frames, frames)
    torch.testing.assert_close(kept.points, network.embed(frames))
    nearest = torch.cdist(kept.points[:50].double(), kept.points.double()).topk(24, largest=False).indices
    assert [*map(set, kept.neighbors[:50].tolist())] == [*map(set, nearest.tolist())]
    assert kept.settings() == {**network.settings(), "num_frames": 5000}
    assert torch.equal(kept.embed(frames[:3]), network.embed(frames[:3]))
    again = kept.keep(frames[:2])
    assert again.settings()["num_frames"] == len(again.points) == 2
    assert [*map(set, again.neighbors.tolist())] == [{0, 1}, {0, 1}]
    assert not network.settings()["num_frames"]
    assert not len(network.keep(frames[:0]).points)
