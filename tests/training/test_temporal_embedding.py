"""Temporal embeddings: what they learn in a horseshoe, where ends look alike; saved, resumed and refused."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming
from scipy.stats import spearmanr

from wmcontrol import WorldModel
from wmcontrol.data import LatentStore, held_out_split
from wmcontrol.models import TemporalEmbedding
from wmcontrol.training import TemporalEmbeddingSettings, fit_temporal_embedding
from wmcontrol.training.hindsight import HindsightPairs, hindsight
from wmcontrol.training.temporal_embedding import _contrast

SMALL = TemporalEmbeddingSettings(num_steps=30, batch_size=16, width=16, depth=1, size=4, max_steps=4, num_frames=12)


def seen_from_above(places: np.ndarray) -> torch.Tensor:
    """What a walker sees at places from 0 to 59 of a horseshoe whose ends nearly touch: where it is on the ground."""
    angle = 2 * np.pi * places / 64
    ground = np.stack([np.cos(angle), np.sin(angle)], -1)
    looks = np.random.default_rng(5).normal(size=(2, 16))
    return torch.from_numpy(np.tanh(ground @ looks)).float()[..., None, :]


def walk(store: LatentStore) -> tuple[LatentStore, np.ndarray]:
    """Walkers who wander along a horseshoe, one on or one back, turned back at its ends; and where they are."""
    rng = np.random.default_rng(0)
    turns = rng.choice([1, -1], (300, 40), p=[0.8, 0.2]).cumprod(1)
    places = np.abs((rng.integers(0, 118, (300, 1)) + turns.cumsum(1)) % 118 - 59).ravel()
    return replace(store, tokens=seen_from_above(places), lengths=np.full(300, 40)), places


def test_what_looks_alike_is_far_where_nothing_leads_from_one_to_the_other(
    stores: list[LatentStore], model: WorldModel
) -> None:
    store, _ = walk(stores[0])
    settings = TemporalEmbeddingSettings(
        num_steps=400, batch_size=128, learning_rate=1e-2, width=48, depth=2, size=8, max_steps=6
    )
    found = fit_temporal_embedding(store, base=model, settings=settings)
    assert found.chance_error == pytest.approx(math.log(128))
    assert found.error < found.chance_error - 0.8
    assert 4 / 128 < found.accuracy < 0.5
    embedding = found.model.temporal_embedding
    assert embedding is not None
    assert model.temporal_embedding is None  # which was given
    places = np.arange(60)
    tokens = seen_from_above(places)
    distances = embedding(tokens[:, None], tokens[None]).numpy()
    apart = np.abs(places[:, None] - places[None])
    near = apart < 20
    assert spearmanr(distances[near], apart[near])[0] > 0.95
    looks = torch.cdist(tokens[:, 0], tokens[:, 0]).numpy()
    assert looks[0, 59] < looks[0, 8]
    assert distances[0, 59] > distances[0, 20] > distances[0, 8] > distances[0, 2]


def test_distances_are_those_of_points() -> None:
    torch.manual_seed(0)
    embedding = TemporalEmbedding(5, 3, size=4, width=12, depth=2)
    embedding.mean.normal_()
    embedding.std.uniform_(0.5, 2)
    torch.nn.init.constant_(embedding.log_scale, 0.7)
    a, b, c = torch.randn(3, 7, 3, 5)
    points = embedding.embed(a)
    assert points.shape == (7, 4)
    torch.testing.assert_close(embedding(a, b), (points - embedding.embed(b)).square().sum(-1).sqrt())
    assert not embedding(a, a).any()
    assert (embedding(a, c) <= embedding(a, b) + embedding(b, c) + 1e-5).all()
    torch.testing.assert_close(embedding(a[:, None], b[None])[2, 3], embedding(a[2], b[3]))
    flat = torch.tensor(2.0).log()
    twice = TemporalEmbedding(5, 3, size=4, width=12, depth=2)
    twice.load_state_dict({**embedding.state_dict(), "log_scale": embedding.log_scale.detach() + flat})
    torch.testing.assert_close(twice(a, b), 2 * embedding(a, b))
    # Tokens are counted from their mean, in deviations.
    moved = TemporalEmbedding(5, 3, size=4, width=12, depth=2)
    moved.load_state_dict({**embedding.state_dict(), "mean": embedding.mean + 1, "std": 3 * embedding.std})
    torch.testing.assert_close(moved.embed(embedding.mean + 1 + 3 * (a - embedding.mean)), points)
    with pytest.raises(ValueError, match=naming("tokens", 3, 5, 4)):
        embedding.embed(torch.zeros(2, 4, 5))
    for name, value in (("size", 0), ("width", 2.5), ("depth", 101), ("dim", -1)):
        with pytest.raises(ValueError, match=naming(name, value)):
            TemporalEmbedding(**{"dim": 5, "num_patches": 3, name: value})


def test_telling_which_frame_comes_later_is_judged_both_ways() -> None:
    one, other = math.log(2), math.log(3)
    distances = torch.tensor([[0.0, one], [other, 0.0]])
    rows = math.log(1 + 1 / 2) + math.log(1 + 1 / 3)
    columns = math.log(1 + 1 / 3) + math.log(1 + 1 / 2)
    assert float(_contrast(distances)) == pytest.approx((rows / 2 + columns / 2) / 2)
    lopsided = torch.tensor([[0.0, 0.0], [other, 0.0]])
    rows, columns = math.log(2) + math.log(1 + 1 / 3), math.log(1 + 1 / 3) + math.log(2)
    assert float(_contrast(lopsided)) == pytest.approx((rows / 2 + columns / 2) / 2)
    far_rows = torch.tensor([[5.0, 5.0], [0.0, 0.0]])  # of one row nothing is told, and of columns all that is wrong
    rows, columns = 2 * math.log(2), math.log(1 + math.exp(5)) + math.log(1 + math.exp(-5))
    assert float(_contrast(far_rows)) == pytest.approx((rows / 2 + columns / 2) / 2)


def test_later_frames_are_of_the_same_trajectory(stores: list[LatentStore]) -> None:
    store = replace(stores[0], tokens=torch.arange(800.0).view(800, 1, 1))  # the number of the frame; 40 in each
    pairs = HindsightPairs(store, [3, 5, 6], frameskip=3, max_steps=4)
    first, later = (pairs.tokens(rows)[:, 0, 0].long() for rows in pairs.later(40_000, np.random.default_rng(0)))
    assert set((first // 40).tolist()) == {3, 5, 6}
    assert torch.equal(first // 40, later // 40)
    assert (torch.bincount(first % 40) / len(first)).tolist() == pytest.approx([1 / 39] * 39, abs=0.005)
    gaps, rest = later - first, 39 - first % 40
    for some, most in ((rest >= 12, 12), (rest == 5, 5), (rest == 1, 1)):
        found = torch.bincount(gaps[some]) / some.sum()
        assert found.tolist() == pytest.approx([0] + [1 / most] * most, abs=0.03)


def test_what_is_held_out_is_not_trained_on(stores: list[LatentStore], model: WorldModel) -> None:
    found = hindsight(stores[0], model, replace(SMALL, split_seed=3), "cpu")
    train, held_out = held_out_split(len(stores[0]), 3, 0)
    for pairs, members in ((found.pairs, train), (found.unseen, held_out)):
        assert sorted({*(pairs.frames // 40)}) == sorted(members)
        assert len(pairs.frames) == 40 * len(members)
    assert found.model is not model
    few = replace(stores[0], lengths=stores[0].lengths[:6], tokens=stores[0].tokens[:240])
    two = hindsight(few, model, SMALL, "cpu")  # a tenth is one, which makes no pairs of two
    assert len(two.unseen.frames) == 80
    assert {*two.unseen.frames} | {*two.pairs.frames} == {*range(240)}
    assert not {*two.unseen.frames} & {*two.pairs.frames}
    three = replace(stores[0], lengths=stores[0].lengths[:3], tokens=stores[0].tokens[:120])
    with pytest.raises(ValueError, match=naming("learn", "got 1", "split_seed")):
        hindsight(three, model, SMALL, "cpu")


def test_a_killed_run_ends_with_the_same_embedding(
    stores: list[LatentStore], model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_temporal_embedding(stores[0], base=model, settings=SMALL)
    monkeypatch.setattr("wmcontrol.training.descent._SAVE_SECONDS", 0.0)

    def kill(done: int, _: int) -> None:
        if done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_temporal_embedding(stores[0], base=model, settings=SMALL, folder=tmp_path, progress=kill)
    found = fit_temporal_embedding(stores[0], base=model, settings=SMALL, folder=tmp_path)
    read = fit_temporal_embedding(
        stores[0], base=model, settings=SMALL, folder=tmp_path, progress=lambda *_: pytest.fail("trained")
    )
    assert (found.error, found.accuracy) == (read.error, read.accuracy) == (whole.error, whole.accuracy)
    for one in (found, read, WorldModel.load(tmp_path / "model", dtype=torch.float32)):
        kept = (one if isinstance(one, WorldModel) else one.model).temporal_embedding
        assert kept is not None
        assert whole.model.temporal_embedding is not None
        assert not any(parameter.requires_grad for parameter in kept.parameters())
        for key, value in whole.model.temporal_embedding.state_dict().items():
            assert torch.equal(kept.state_dict()[key], value), key
    frames = whole.model.temporal_embedding.frames if whole.model.temporal_embedding else torch.zeros(0)
    train, _ = held_out_split(len(stores[0]), 0, 0)
    seen = torch.cat([stores[0].tokens[stores[0].offsets[i] :][: stores[0].lengths[i]] for i in train]).float()
    same = (frames.flatten(1)[:, None] == seen.flatten(1)[None]).all(2)
    assert same.any(1).tolist() == [True] * 12
    with pytest.raises(ValueError, match=naming("size", 4, 5)):
        fit_temporal_embedding(stores[0], base=model, settings=replace(SMALL, size=5), folder=tmp_path)


def test_what_does_not_fit_is_refused(
    stores: list[LatentStore], other_store: LatentStore, model: WorldModel, base: WorldModel
) -> None:
    with pytest.raises(ValueError, match="encoder"):
        fit_temporal_embedding(other_store, base=model, settings=SMALL)
    with pytest.raises(ValueError, match="actions"):
        fit_temporal_embedding(stores[0], base=base, settings=SMALL)
    for tokens in (torch.full_like(stores[0].tokens, float("nan")), torch.ones_like(stores[0].tokens)):
        with pytest.raises(ValueError, match=naming(stores[0].folder.name, "tokens")):
            fit_temporal_embedding(replace(stores[0], tokens=tokens), base=model, settings=SMALL)
    for name, value in (("num_steps", 0), ("batch_size", 1), ("size", 2.5), ("max_steps", 0), ("depth", 10**4)):
        with pytest.raises(ValueError, match=naming(name, value)):
            TemporalEmbeddingSettings(**{name: value})
