"""What fine-tuning begins with: queries as small as fresh ones, and the same predictions."""

import pytest
import torch

from wmcontrol.models import Predictor
from wmcontrol.training import TrainingSettings, with_actions
from wmcontrol.training.modes import loudness, quieten

D, A, GRID = 5, 3, (1, 2)


def loud() -> Predictor:
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


def apart(one: torch.Tensor, other: torch.Tensor) -> float:
    """Return the root mean square of a difference, as a share of how much predictions differ."""
    return float(((one - other).square().mean().sqrt() / other.std()).detach())


def test_quiet_queries_predict_the_same() -> None:
    made, (tokens, times, _) = loud(), clip()
    before, expected = loudness(made), made(tokens, times, grid=GRID)
    quieten(made, before / 16)
    assert loudness(made) == pytest.approx(before / 16, rel=0.02)
    assert apart(made(tokens, times, grid=GRID), expected) < 0.1  # of the epsilon of the normalisation


def test_queries_are_never_made_larger_and_not_changed_for_less_than_half() -> None:
    made, untouched = loud(), loud()
    for to in (10.0, 1.0, 0.8):
        quieten(made, to * loudness(untouched))
        for one, other in zip(made.parameters(), untouched.parameters(), strict=True):
            assert torch.equal(one, other)


def test_full_begins_with_queries_as_small_as_fresh_ones_and_action_only_with_the_base_bit_for_bit() -> None:
    base, (tokens, times, actions) = loud(), clip()
    expected = base(tokens, times, grid=GRID)
    fresh = loudness(with_actions(base, A, "scratch", seed=1).predictor)
    assert loudness(base) > 8 * fresh
    full = with_actions(base, A, "full", seed=1)
    assert fresh / 2 < loudness(full.predictor) < fresh * 2
    assert apart(full(tokens, times, actions, grid=GRID), expected) < 0.1  # of the epsilon of the normalisation
    alone = with_actions(base, A, "action_only", seed=1)
    assert torch.equal(alone(tokens, times, actions, grid=GRID), expected)


def test_what_was_pretrained_stands_still_for_a_share_of_the_steps() -> None:
    settings = TrainingSettings(num_steps=10, actions_first=0.5, trunk_rate=0.1)
    assert [settings.trunk(step) for step in range(10)] == [0.0] * 5 + [0.1] * 5
    assert {TrainingSettings(num_steps=10).trunk(step) for step in range(10)} == {1.0}


@pytest.mark.parametrize("wrong", [{"actions_first": 1.0}, {"actions_first": -0.1}, {"trunk_rate": 0.0}])
def test_shares_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} is out of range"):
        TrainingSettings(num_steps=10, **wrong)  # type: ignore[arg-type]
