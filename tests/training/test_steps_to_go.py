"""Steps to go: which pairs they learn from, what they learn on a line, and that they are saved, resumed and refused."""

import copy
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from naming import naming

from wmcontrol import WorldModel
from wmcontrol.data import LatentStore
from wmcontrol.models import ActionPrior
from wmcontrol.training import PriorSettings, StepsToGoSettings, fit_steps_to_go
from wmcontrol.training.hindsight import HindsightPairs, hindsight

SMALL = StepsToGoSettings(num_steps=30, batch_size=64, width=16, depth=1, max_steps=4, num_landmarks=12)


def walk(store: LatentStore) -> tuple[LatentStore, np.ndarray]:
    """Walkers on a line from 0 to 59 who go one on or one back, with a heading that lasts; and where they are."""
    rng = np.random.default_rng(0)
    turns = rng.choice([1, -1], (300, 40), p=[0.9, 0.1]).cumprod(1)
    places = np.abs((rng.integers(0, 118, (300, 1)) + turns.cumsum(1)) % 118 - 59).ravel()
    hills = np.exp(-((places[:, None] - np.linspace(0, 59, 16)) ** 2) / 32)
    tokens = torch.from_numpy(hills).float()[:, None]
    return replace(store, tokens=tokens, lengths=np.full(300, 40)), places


def test_pairs_are_as_many_steps_apart_as_they_say(stores: list[LatentStore]) -> None:
    tokens = torch.arange(800.0).view(800, 1, 1)  # the number of the frame; 40 in each trajectory
    store = replace(stores[0], tokens=tokens)
    pairs = HindsightPairs(store, [3, 5, 6], frameskip=3, max_steps=4)
    batch = pairs.draw(20_000, np.random.default_rng(0))
    one, other, steps = batch.tokens[:, 0, 0].long(), batch.goal[:, 0, 0].long(), batch.steps
    assert set((one // 40).tolist()) == set((other // 40).tolist()) == {3, 5, 6}
    same = one // 40 == other // 40
    assert torch.equal(steps == 5, ~same)
    gaps = (other - one)[same]
    assert torch.equal(steps[same], (gaps + 2) // 3)
    assert (gaps.min(), gaps.max()) == (0, 12)
    found = torch.bincount(steps, minlength=6) / len(steps)
    assert found.tolist() == pytest.approx(pairs.shares.tolist(), abs=0.015)
    assert pairs.shares.sum() == pytest.approx(1)


def test_trajectories_may_be_shorter_than_what_is_told_apart(stores: list[LatentStore]) -> None:
    pairs = HindsightPairs(stores[0], [0, 1], frameskip=30, max_steps=9)
    batch = pairs.draw(500, np.random.default_rng(0))
    assert set(batch.steps.tolist()) == {0, 1, 2, 10}
    for members, frameskip in (([0], 3), ([0, 1], 40)):
        with pytest.raises(ValueError, match=naming(frameskip)):
            HindsightPairs(stores[0], members, frameskip=frameskip, max_steps=9)


def test_the_fewest_steps_are_those_that_the_fastest_need(stores: list[LatentStore], model: WorldModel) -> None:
    store, places = walk(stores[0])
    settings = StepsToGoSettings(
        num_steps=500, batch_size=256, learning_rate=1e-2, width=48, depth=1, max_steps=6, num_landmarks=60
    )
    found = fit_steps_to_go(store, base=model, settings=settings)
    assert found.error < found.chance_error - 0.2
    assert len(found.calibration) == 10
    steps_to_go, landmarks = found.model.steps_to_go, found.model.landmarks
    assert steps_to_go is not None
    assert landmarks is not None
    rng = np.random.default_rng(1)
    one, other = rng.integers(12_000, size=(2, 3000))
    true = np.abs(places[one] - places[other]) / 3
    fewest = steps_to_go(store.tokens[one], store.tokens[other]).numpy()
    expected = steps_to_go.expected(store.tokens[one], store.tokens[other]).numpy()
    near = (true > 0.5) & (true < 3)
    assert np.abs(fewest - true)[near].mean() < 0.75
    assert np.abs(expected - true)[near].mean() > 1  # many wander
    # Over landmarks even the ends of the line are as far apart as they are.
    ends = store.tokens[[int(np.abs(places - end).argmin()) for end in (0, 59)]]
    to_goal = steps_to_go.between(landmarks.tokens, ends[1:])[:, 0].double().numpy()
    steps, _ = landmarks.paths_to(to_goal)
    start = int(steps_to_go.between(ends[:1], landmarks.tokens)[0].argmin())
    assert steps[start] == pytest.approx(59 / 3, rel=0.35)
    assert model.steps_to_go is None  # which was given


def test_the_weights_are_kept_that_tell_held_out_pairs_best(stores: list[LatentStore], model: WorldModel) -> None:
    settings = replace(SMALL, num_steps=200, learning_rate=3e-2, num_landmarks=0)
    said: list[float] = []
    found = fit_steps_to_go(
        stores[0], base=model, settings=settings, on_log=lambda _, told: said.append(told["held_out_loss"])
    )
    assert len(said) == 4
    assert found.model.steps_to_go is not None
    tested = hindsight(stores[0], model, settings, "cpu").unseen.draw(2048, np.random.default_rng([0, 2]))
    logits = found.model.steps_to_go.logits(tested.tokens, tested.goal)
    assert float(torch.nn.functional.cross_entropy(logits, tested.steps)) == pytest.approx(min(said), rel=1e-5)


def test_a_killed_run_ends_with_the_same_map(
    stores: list[LatentStore], model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_steps_to_go(stores[0], base=model, settings=SMALL)
    monkeypatch.setattr("wmcontrol.training.descent._SAVE_SECONDS", 0.0)

    def kill(done: int, _: int) -> None:
        if done == 17:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_steps_to_go(stores[0], base=model, settings=SMALL, folder=tmp_path, progress=kill)
    found = fit_steps_to_go(stores[0], base=model, settings=SMALL, folder=tmp_path)
    read = fit_steps_to_go(
        stores[0], base=model, settings=SMALL, folder=tmp_path, progress=lambda *_: pytest.fail("trained")
    )
    assert (found.error, found.calibration) == (read.error, read.calibration) == (whole.error, whole.calibration)
    for one in (found, read):
        for name in ("steps_to_go", "landmarks"):
            for key, value in getattr(whole.model, name).state_dict().items():
                assert torch.equal(getattr(one.model, name).state_dict()[key], value), key
    settings = StepsToGoSettings(**{**vars(SMALL), "num_landmarks": 13})
    with pytest.raises(ValueError, match=naming("num_landmarks", 12, 13)):
        fit_steps_to_go(stores[0], base=model, settings=settings, folder=tmp_path)
    none = fit_steps_to_go(stores[0], base=model, settings=StepsToGoSettings(**{**vars(SMALL), "num_landmarks": 0}))
    assert none.model.landmarks is None


def test_a_base_that_has_learned_more_since_is_another(
    stores: list[LatentStore], model: WorldModel, tmp_path: Path
) -> None:
    few = StepsToGoSettings(**{**vars(SMALL), "num_steps": 1})
    fit_steps_to_go(stores[0], base=model, settings=few, folder=tmp_path)
    _, patches, dim = stores[0].tokens.shape
    proposes, plans = copy.deepcopy(model), copy.deepcopy(model)
    assert model.normalizer is not None
    proposes.prior = ActionPrior(dim, patches, model.normalizer.action_dim, width=8, depth=1)
    plans.planning = replace(model.planning, context_frames=2)
    for base in (proposes, plans):
        with pytest.raises(ValueError, match=naming(tmp_path.name, "base")):
            fit_steps_to_go(stores[0], base=base, settings=few, folder=tmp_path)
    assert fit_steps_to_go(stores[0], base=copy.deepcopy(model), settings=few, folder=tmp_path).model.landmarks
    shutil.rmtree(tmp_path / "model")
    with pytest.raises(ValueError, match=naming("model", "result.json")):
        fit_steps_to_go(stores[0], base=model, settings=few, folder=tmp_path)


def test_what_is_of_another_kind_is_refused(stores: list[LatentStore], model: WorldModel) -> None:
    with pytest.raises(TypeError, match=naming("store", 3)):
        fit_steps_to_go(3, base=model)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=naming("base", 3)):
        fit_steps_to_go(stores[0], base=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=naming("settings", "StepsToGoSettings", "PriorSettings")):
        fit_steps_to_go(stores[0], base=model, settings=PriorSettings())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=naming("base", "actions per second", 99)):
        fit_steps_to_go(replace(stores[0], control_rate=99.0), base=model, settings=SMALL)
    with pytest.raises(ValueError, match=naming("reach", "max_steps", 3)):
        StepsToGoSettings(max_steps=3, reach=3.5)


def test_what_does_not_fit_is_refused(
    stores: list[LatentStore], other_store: LatentStore, model: WorldModel, base: WorldModel
) -> None:
    with pytest.raises(ValueError, match="encoder"):
        fit_steps_to_go(other_store, base=model, settings=SMALL)
    with pytest.raises(ValueError, match="actions"):
        fit_steps_to_go(stores[0], base=base, settings=SMALL)
    for tokens in (torch.full_like(stores[0].tokens, float("nan")), torch.ones_like(stores[0].tokens)):
        with pytest.raises(ValueError, match=naming(stores[0].folder.name, "tokens")):
            fit_steps_to_go(replace(stores[0], tokens=tokens), base=model, settings=SMALL)
    for name, value in (("num_steps", 0), ("width", 2.5), ("num_landmarks", -1), ("reach", 0.0), ("max_steps", 10**4)):
        with pytest.raises(ValueError, match=naming(name, value)):
            StepsToGoSettings(**{name: value})
