"""Attention to few tokens, on its quick way and on the plain one."""

import pytest
import torch
import torch.nn.functional as F

from wmcontrol.models import Predictor, blocks


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("tokens", [1, 3, 8])
def test_attention_to_few_tokens_is_that_of_the_fused_kernel(masked: bool, tokens: int) -> None:
    generator = torch.Generator().manual_seed(tokens)
    exact = torch.randn(3, 5, 2, tokens, 16, generator=generator).bfloat16()
    q, k, v = exact
    mask = torch.ones(tokens, tokens).tril().bool() if masked else None
    expected = F.scaled_dot_product_attention(*exact.double(), attn_mask=mask)
    torch.testing.assert_close(blocks.attend(q, k, v, mask).double(), expected, rtol=0.02, atol=0.02)


def test_training_gradients_are_those_of_the_fused_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    gradients, generator = [], torch.Generator().manual_seed(0)
    tokens, times = torch.randn(6, 3, 1, 8, generator=generator), torch.arange(4.0).expand(6, 4)
    for few in (8, 0):
        monkeypatch.setattr(blocks, "_FEW_KEYS", few)
        torch.manual_seed(0)
        predictor = Predictor(8, 24, 2, 2)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = predictor(tokens, times, grid=(1, 1)).square().sum()
        loss.backward()
        gradients.append(torch.cat([p.grad.flatten() for p in predictor.parameters() if p.grad is not None]))
    quick, plain = gradients
    assert float((quick - plain).norm() / plain.norm()) < 0.02
