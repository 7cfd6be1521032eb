"""Action priors: what they learn, and that they are saved, resumed and refused as models are."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from naming import naming
from safetensors.torch import load_file, save_file
from torch import Tensor

from wmcontrol import ActionConditioned, Predictor, WorldModel
from wmcontrol.data import LatentStore, held_out_split
from wmcontrol.models import ActionPrior, PlanningSettings
from wmcontrol.training import PriorSettings, fit_prior
from wmcontrol.training.prior import HindsightBatch, HindsightWindows, flow_matching_loss

SMALL = PriorSettings(num_steps=40, batch_size=64, width=32, depth=1)


def generators(count: int, first: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(first + row) for row in range(count)]


@pytest.fixture
def model(acting: Callable[[int], WorldModel]) -> WorldModel:
    model = acting(2)
    model.planning = PlanningSettings(horizon=3, context_frames=2)
    return model


class Known(ActionPrior):
    """The velocity of a point: from wherever a path is, straight to it in the time that is left."""

    target: Tensor

    def forward(self, noisy: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        return (self.target - noisy) / (1 - time[..., None])


def test_samples_follow_the_velocity_to_its_end() -> None:
    prior = Known(3, 2, 4, horizon=3)
    prior.target = torch.arange(12.0).view(3, 4)
    found = prior.sample(torch.zeros(2, 1, 2, 3), torch.zeros(2, 2, 3), torch.tensor([3, 2]), 5, generators(2))
    torch.testing.assert_close(found[0], prior.target.expand(5, 3, 4), atol=1e-4, rtol=0)
    torch.testing.assert_close(found[1, :, :2], prior.target[:2].expand(5, 2, 4), atol=1e-4, rtol=0)
    assert (found[1, :, 2] == 0).all()  # after the goal


class Growing(ActionPrior):
    """A velocity that grows with the place and with time: the exact end is ``noise * exp(1 + 1 / 2)``."""

    def forward(self, noisy: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        return (1 + time[..., None]) * noisy


def test_noise_goes_two_steps_of_the_midpoint_method() -> None:
    prior, noise = Growing(3, 2, 4, horizon=3), torch.ones(1, 1, 3, 4)
    found = prior.decode(noise, torch.zeros(1, 512), torch.tensor([3]))
    first = 1 + 0.5 * 1.25 * (1 + 0.25 * 1.0)
    expected = first * (1 + 0.5 * 1.75 * (1 + 0.25 * 1.5))
    torch.testing.assert_close(found, torch.full_like(noise, expected))
    torch.testing.assert_close(prior.noise(2, generators(3))[1], torch.randn(2, 3, 4, generator=generators(2)[1]))


def test_the_loss_of_the_true_velocity_is_0_and_that_of_none_is_known() -> None:
    prior = Known(3, 2, 4, horizon=3)
    prior.target = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    size = 4000
    batch = HindsightBatch(
        torch.zeros(size, 1, 2, 3), torch.zeros(size, 2, 3), torch.full((size,), 2), prior.target.expand(size, 3, 4)
    )
    assert flow_matching_loss(prior, batch, torch.Generator().manual_seed(1)) < 1e-4
    prior.forward = lambda noisy, time, condition: torch.zeros_like(noisy)  # type: ignore[method-assign]
    loss = flow_matching_loss(prior, batch, torch.Generator().manual_seed(1))
    expected = 1 + prior.target[:2].square().mean()  # of (target - noise) ** 2, over the steps until the goal
    assert abs(float(loss) - float(expected)) < 0.05


def test_windows_are_what_led_to_their_goals(stores: list[LatentStore], model: WorldModel) -> None:
    store, normalizer = stores[0], model.normalizer
    assert normalizer is not None
    assert store.actions is not None
    windows = HindsightWindows(store, [3, 5], normalizer, horizon=3, num_frames=2)
    batch = windows.draw(500, np.random.default_rng(0))
    assert set(batch.steps_to_go.tolist()) == {1, 2, 3}
    assert 0.5 < (batch.steps_to_go == 3).float().mean() < 0.7  # 0.4, and a third of the others
    begun = 0
    for row in range(40):
        tokens, goal, steps, actions = (part[row] for part in batch)
        k, fitting = int(steps), []
        for frame in (*range(120, 160), *range(200, 240)):  # those of trajectories 3 and 5
            seen, first = store.tokens[frame].float(), frame // 40 * 40
            if frame + 2 * k >= first + 40 or not torch.equal(seen, tokens[1]):
                continue
            taken = torch.from_numpy(store.actions[frame : frame + 2 * k]).float().view(k, 2, 2)
            before, after = store.tokens[max(frame - 2, first)].float(), store.tokens[frame + 2 * k].float()
            if torch.equal(before, tokens[0]) and torch.equal(after, goal):
                fitting += [frame - first] * torch.allclose(actions[:k], normalizer.to_model(taken))
        assert fitting
        begun += min(fitting) < 2
    assert begun  # windows whose first frame stands for the one before it


def test_proposals_go_to_the_goal(stores: list[LatentStore], model: WorldModel) -> None:
    settings = PriorSettings(num_steps=250, batch_size=128, width=64, depth=2, seed=1)
    found = fit_prior(stores[0], base=model, settings=settings)
    assert found.error < 0.6 * found.mean_action_error
    prior, normalizer = found.model.prior, model.normalizer
    assert prior is not None
    assert normalizer is not None
    assert model.prior is None  # which was given
    batch = HindsightWindows(stores[0], range(20), normalizer, horizon=3, num_frames=2).draw(
        200, np.random.default_rng(0)
    )
    samples = prior.sample(batch.tokens, batch.goal, batch.steps_to_go, 16, generators(200))
    due = prior.due(batch.steps_to_go)

    def moved(actions: Tensor) -> Tensor:  # by all actions until the goal, in x and y
        return (actions * due).view(-1, 6, 2).sum(1)

    shares = [np.corrcoef(moved(samples.mean(1))[:, axis], moved(batch.actions)[:, axis])[0, 1] for axis in range(2)]
    assert min(shares) > 0.8


def test_few_trajectories_are_not_learned_by_heart(
    stores: list[LatentStore], model: WorldModel, tmp_path: Path
) -> None:
    settings = PriorSettings(num_steps=200, batch_size=64, width=64, depth=2, num_train_trajectories=2)
    found = fit_prior(stores[0], base=model, settings=settings, folder=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    losses = [line["held_out_loss"] for line in lines]
    assert len(losses) == 4
    assert losses[-1] > 1.5 * min(losses)
    assert model.normalizer is not None
    assert found.model.prior is not None
    _, held_out = held_out_split(20, 0)
    unseen = HindsightWindows(stores[0], held_out, model.normalizer, horizon=3, num_frames=2)
    batch = unseen.draw(2000, np.random.default_rng(0))
    assert float(flow_matching_loss(found.model.prior, batch, torch.Generator().manual_seed(0))) == pytest.approx(
        min(losses), rel=0.1
    )


def test_rows_do_not_depend_on_one_another(stores: list[LatentStore], model: WorldModel) -> None:
    prior = fit_prior(stores[0], base=model, settings=SMALL).model.prior
    assert prior is not None
    assert model.normalizer is not None
    batch = HindsightWindows(stores[0], [0], model.normalizer, horizon=3, num_frames=2).draw(
        3, np.random.default_rng(0)
    )
    together = prior.sample(*batch[:3], 4, generators(3))
    alone = prior.sample(*(part[1:2] for part in batch[:3]), 4, generators(1, first=1))
    torch.testing.assert_close(together[1:2], alone)
    assert (together[0, 0] != together[0, 1]).any()
    # Fewer frames were seen: the oldest stands for those before it; more: the last count.
    tokens, goal, steps = batch[:3]
    newest = tokens[:, -1:]
    twice = torch.cat([newest, newest], 1)
    thrice = torch.cat([tokens[:, :1] + 1, twice], 1)
    expected = prior.condition(twice, goal, steps)
    assert torch.equal(prior.condition(newest, goal, steps), expected)
    assert torch.equal(prior.condition(thrice, goal, steps), expected)
    assert not torch.equal(prior.condition(tokens, goal, steps), expected)


def test_a_model_keeps_its_prior(stores: list[LatentStore], model: WorldModel, tmp_path: Path) -> None:
    found = fit_prior(stores[0], base=model, settings=SMALL, folder=tmp_path / "run")
    again = WorldModel.load(tmp_path / "run" / "model")
    prior, loaded = found.model.prior, again.prior
    assert prior is not None
    assert loaded is not None
    assert loaded.settings() == prior.settings() == {**prior.settings(), "width": 32, "horizon": 3, "num_frames": 2}
    arguments: Any = (torch.randn(2, 2, 1, 16), torch.randn(2, 1, 16), torch.tensor([1, 3]), 4)
    assert torch.equal(prior.sample(*arguments, generators(2)), loaded.sample(*arguments, generators(2)))
    file = tmp_path / "run" / "model" / "model.safetensors"
    tensors = load_file(file)
    save_file({**tensors, "prior.input.bias": tensors["prior.input.bias"].double()}, file)
    mixed = WorldModel.load(tmp_path / "run" / "model").prior
    assert mixed is not None
    assert torch.equal(prior.sample(*arguments, generators(2)), mixed.sample(*arguments, generators(2)))
    model.save(tmp_path / "plain")
    assert WorldModel.load(tmp_path / "plain").prior is None


def test_a_killed_run_ends_with_the_same_prior(
    stores: list[LatentStore], model: WorldModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_prior(stores[0], base=model, settings=SMALL).model.prior
    assert whole is not None
    monkeypatch.setattr("wmcontrol.training.descent._SAVE_SECONDS", 0.0)

    def kill(done: int, _: int) -> None:
        if done == 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_prior(stores[0], base=model, settings=SMALL, folder=tmp_path, progress=kill)
    told: list[int] = []
    found = fit_prior(
        stores[0], base=model, settings=SMALL, folder=tmp_path, progress=lambda done, _: told.append(done)
    ).model.prior
    assert told[0] in (22, 23)  # the state of a step is saved after it is told
    assert found is not None
    for name, value in whole.state_dict().items():
        assert torch.equal(found.state_dict()[name], value), name
    read = fit_prior(stores[0], base=model, settings=SMALL, folder=tmp_path, progress=lambda *_: pytest.fail("trained"))
    assert read.model.prior is not None
    assert model.normalizer is not None
    other = WorldModel(
        model.encoder,
        ActionConditioned(Predictor(16, 24, 2, 2), 4),
        model.normalizer,
        control_rate=10,
        frame_size=model.frame_size,
        planning=model.planning,
    )
    with pytest.raises(ValueError, match="base"):
        fit_prior(stores[0], base=other, settings=SMALL, folder=tmp_path)
    with pytest.raises(ValueError, match=naming("num_steps", 40, 41)):
        fit_prior(stores[0], base=model, settings=PriorSettings(**{**vars(SMALL), "num_steps": 41}), folder=tmp_path)


def test_a_plan_may_be_longer_than_all_trajectories(stores: list[LatentStore], model: WorldModel) -> None:
    model.planning = PlanningSettings(horizon=500)
    settings = PriorSettings(num_steps=1, batch_size=8, width=8, depth=1, seed=2**40)
    prior = fit_prior(stores[0], base=model, settings=settings).model.prior
    assert prior is not None
    assert prior.horizon == 500


def test_tokens_that_tell_nothing_are_named(stores: list[LatentStore], model: WorldModel) -> None:
    for tokens in (torch.full_like(stores[0].tokens, float("nan")), torch.ones_like(stores[0].tokens)):
        with pytest.raises(ValueError, match=naming(stores[0].folder.name, "tokens")):
            fit_prior(replace(stores[0], tokens=tokens), base=model, settings=SMALL)


def test_what_does_not_fit_is_refused(
    stores: list[LatentStore], other_store: LatentStore, model: WorldModel, base: WorldModel
) -> None:
    with pytest.raises(ValueError, match="encoder"):
        fit_prior(other_store, base=model, settings=SMALL)
    with pytest.raises(ValueError, match="actions"):
        fit_prior(stores[0], base=base, settings=SMALL)
    with pytest.raises(ValueError, match=naming("num_train_trajectories", 18, 19)):
        fit_prior(stores[0], base=model, settings=PriorSettings(num_train_trajectories=19))
    for name, value in (("num_steps", 0), ("learning_rate", 1.0), ("width", 2.5), ("seed", -1), ("weight_decay", -0.1)):
        with pytest.raises(ValueError, match=naming(name, value)):
            PriorSettings(**{name: value})
    prior = ActionPrior(16, 1, 4, horizon=3)
    tokens, goal = torch.zeros(2, 1, 1, 16), torch.zeros(2, 1, 16)
    for wrong in (
        (tokens[0], goal, torch.tensor([1, 1])),
        (tokens[:, :0], goal, torch.tensor([1, 1])),
        (tokens, goal[..., :3], torch.tensor([1, 1])),
        (tokens, goal, torch.tensor([1, 4])),
        (tokens, goal, torch.tensor([0, 1])),
        (tokens, goal, torch.tensor([1])),
    ):
        with pytest.raises(ValueError, match=r"must"):
            prior.condition(*wrong)
