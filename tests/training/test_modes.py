"""What the three ways of fine-tuning begin with: the base as it is, and action blocks on equal terms."""

import copy

import pytest
import torch
from torch import nn

from wmcontrol.models import ActionConditioned, Predictor
from wmcontrol.training import FinetuneSettings, with_actions
from wmcontrol.training.modes import query_rms, rescale_residual

D, A, GRID = 5, 3, (1, 2)


def pretrained() -> Predictor:
    """One whose blocks write as much as a trained one's."""
    torch.manual_seed(0)
    made = Predictor(D, 96, 3, 2)
    with torch.no_grad():
        for path, parameter in made.named_parameters():
            if parameter.ndim == 2:
                parameter.mul_(8.0)
            elif "bias" in path:
                parameter.normal_(0.0, 0.1)
    return made


def clip() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(4, 3, 2, D, generator=generator)
    return tokens, 0.3 * torch.arange(4.0).expand(4, 4), torch.randn(4, 3, A, generator=generator)


@torch.no_grad()
def divided(predictor: Predictor, by: float) -> Predictor:
    """Return one with the same predictions, whose queries are smaller: all that writes to them and all epsilons."""
    made = copy.deepcopy(predictor)
    made.query.div_(by)
    for block in made.blocks:
        for writes in (block.attention.out, block.mlp.fc2):
            writes.weight.div_(by)
            writes.bias.div_(by)
    for part in made.modules():
        if isinstance(part, nn.LayerNorm):
            part.eps /= by**2
    return made


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the root mean square of a difference, as a share of how much predictions differ."""
    return float(((one - other).square().mean().sqrt() / other.std()).detach())


def test_action_only_leaves_the_base_and_its_predictions_bit_for_bit_what_they_were() -> None:
    base, (tokens, times, actions) = pretrained(), clip()
    model = with_actions(base, A, "action_only", seed=1)
    assert torch.equal(model(tokens, times, actions, grid=GRID), base(tokens, times, grid=GRID))
    for mine, given in zip(model.predictor.parameters(), base.parameters(), strict=True):
        assert torch.equal(mine, given)
        assert mine is not given


def test_actions_are_as_large_beside_queries_in_all_three_ways() -> None:
    base = pretrained()
    made = {mode: with_actions(base, A, mode, seed=1) for mode in ("scratch", "action_only", "full")}
    sizes = {mode: query_rms(model.predictor) / model.action_scale for mode, model in made.items()}
    assert made["scratch"].action_scale == made["full"].action_scale == 1
    assert made["action_only"].action_scale > 8
    for mode in ("action_only", "full"):
        assert 1 / 1.5 < sizes[mode] / sizes["scratch"] < 1.5
    assert (
        with_actions(divided(base, 4096.0), A, "action_only", seed=1).action_scale == 1
    )  # small ones suppress nothing


def test_full_begins_with_small_queries_and_the_same_predictions() -> None:
    base, (tokens, times, actions) = pretrained(), clip()
    full = with_actions(base, A, "full", seed=1)
    assert query_rms(full.predictor) < query_rms(base) / 8
    # What differs is the epsilon of the normalisations.
    assert apart(full(tokens, times, actions, grid=GRID), base(tokens, times, grid=GRID)) < 0.1


def test_queries_are_never_made_larger_and_not_changed_for_less_than_half() -> None:
    made, untouched = pretrained(), pretrained()
    for to in (10.0, 1.0, 0.8):
        rescale_residual(made, to * query_rms(untouched))
        for one, other in zip(made.parameters(), untouched.parameters(), strict=True):
            assert torch.equal(one, other)


def test_action_blocks_learn_beside_large_queries_as_beside_small_ones() -> None:
    """Predictions are the same, and so is what a training step does to action blocks."""
    base, (tokens, times, actions) = pretrained(), clip()
    scaled = ActionConditioned(base, A, action_scale=16.0)
    plain = ActionConditioned(divided(base, 16.0), A)
    with torch.no_grad():
        for name, parameter in scaled.named_parameters():
            if not name.startswith("predictor."):
                parameter.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    learning = {k: v for k, v in scaled.state_dict().items() if not k.startswith("predictor.")}
    plain.load_state_dict(learning, strict=False)
    for part in plain.action_blocks:
        part.norm.eps /= 16.0**2
    target, losses = torch.zeros(4, 3, 2, D), []
    for model in (scaled, plain):
        model.trainable("action_only")
        loss = (model(tokens, times, actions, grid=GRID) - target).square().mean()
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[0], losses[1])
    for name, parameter in scaled.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(parameter.grad, plain.get_parameter(name).grad, rtol=1e-4, atol=1e-6)


def test_action_only_learns_what_actions_do() -> None:
    """The next token is a linear map of the action, of which a predictor without actions knows nothing."""
    generator = torch.Generator().manual_seed(2)
    tokens, actions = torch.randn(64, 1, 2, D, generator=generator), torch.randn(64, 1, A, generator=generator)
    times = 0.3 * torch.arange(2.0).expand(64, 2)
    target = (actions @ torch.randn(A, D, generator=generator))[:, :, None].expand(64, 1, 2, D)

    def error(model: ActionConditioned) -> float:
        """Return what is left of the target's variance after some steps."""
        model.trainable("action_only")
        learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
        optimizer = torch.optim.AdamW(learning, lr=5e-3)
        for _ in range(60):
            loss = (model(tokens, times, actions, grid=GRID) - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return float(loss.detach()) / float(target.square().mean())

    with_large = error(with_actions(pretrained(), A, "action_only", seed=0))
    with_small = error(with_actions(divided(pretrained(), 32.0), A, "action_only", seed=0))
    assert with_large < 0.01
    assert with_large == pytest.approx(with_small, rel=0.5)
    assert with_large < 0.2 * error(ActionConditioned(pretrained(), A))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan"), float("inf")])
def test_scales_that_make_no_sense_are_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="action_scale"):
        ActionConditioned(pretrained(), A, wrong)


def test_what_was_pretrained_stands_still_for_a_share_of_the_steps() -> None:
    settings = FinetuneSettings(num_steps=10, backbone_freeze_fraction=0.5, backbone_lr_scale=0.1)
    assert [settings.backbone_scale(step) for step in range(10)] == [0.0] * 5 + [0.1] * 5


@pytest.mark.parametrize(
    "wrong", [{"backbone_freeze_fraction": 1.0}, {"backbone_freeze_fraction": -0.1}, {"backbone_lr_scale": 0.0}]
)
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        FinetuneSettings(num_steps=10, **wrong)  # type: ignore[arg-type]
