"""What changes the weights."""

from typing import Any

import pytest
import torch
from naming import naming

from wmcontrol.models import ActionConditioned, Predictor
from wmcontrol.training.optimizer import make_optimizer


def predictor() -> ActionConditioned:
    torch.manual_seed(0)
    return ActionConditioned(Predictor(5, 24, 2, 2), 3)


def test_muon_gets_the_matrices_of_blocks_and_adamw_the_rest() -> None:
    made = predictor()
    adamw, muon = make_optimizer(made, "muon", 1e-3, 0.1).parts
    names = {id(p): name for name, p in made.named_parameters()}
    hidden = {names[id(p)] for group in muon.param_groups for p in group["params"]}
    assert hidden == {name for name, p in made.named_parameters() if "blocks." in name and p.ndim == 2}
    rest = {names[id(p)] for group in adamw.param_groups for p in group["params"]}
    assert rest | hidden == set(names.values())
    assert not rest & hidden
    for group in adamw.param_groups:
        assert (group["weight_decay"] == 0) is all(p.ndim < 2 for p in group["params"])
        assert len({p.ndim < 2 for p in group["params"]}) == 1
    assert len(make_optimizer(made, "adamw", 1e-3, 0.1).parts) == 1


def test_muon_s_update_has_equal_singular_values_and_adamw_s_size() -> None:
    made = predictor()
    optimizer = make_optimizer(made, "muon", 1e-2, 0.0)
    weight = made.predictor.get_parameter("blocks.0.mlp.fc1.weight")
    before = weight.detach().clone()
    generator = torch.Generator().manual_seed(1)
    for parameter in made.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)
    optimizer.step()
    update = (weight.detach() - before) / 1e-2
    values = torch.linalg.svdvals(update)
    assert values.min() > 0.6 * values.max()  # the iteration is meant to be no closer
    assert update.square().mean().sqrt() == pytest.approx(0.2, rel=0.2)  # Liu et al., equation 4


def test_parameters_that_do_not_learn_are_left_out() -> None:
    made = predictor()
    made.trainable("action_only")
    parts = make_optimizer(made, "muon", 1e-3, 0.1).parts
    given = sum(p.numel() for part in parts for group in part.param_groups for p in group["params"])
    assert given == sum(p.numel() for p in made.parameters() if p.requires_grad)


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_what_actions_were_given_to_learns_at_its_own_share_of_the_rate(name: Any) -> None:
    made = predictor()
    before = {path: p.detach().clone() for path, p in made.named_parameters()}
    optimizer = make_optimizer(made, name, 1e-2, 0.1)

    def moved(backbone_scale: float) -> dict[str, float]:
        made.load_state_dict(before)
        for parameter in made.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer.set_rate(1e-2, backbone_scale)
        optimizer.step()
        return {path: float((p.detach() - before[path]).abs().max()) for path, p in made.named_parameters()}

    still = moved(0.0)
    assert {path for path, far in still.items() if far == 0} == {p for p in before if p.startswith("predictor.")}
    slow, fast = (moved(scale)["predictor.head.weight"] for scale in (0.1, 1.0))
    assert slow == pytest.approx(0.1 * fast, rel=1e-2)


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(ValueError, match=naming("adamw", "muon", "'sgd'")):
        make_optimizer(predictor(), "sgd", 1e-3, 0.1)  # type: ignore[arg-type]
