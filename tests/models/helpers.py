"""Small models for tests."""

import torch
from torch import Tensor, nn

from wmcontrol.models.predictor import Predictor

GRID = (2, 3)
P, D = 6, 8


def scrambled(module: nn.Module, scale: float = 0.2) -> nn.Module:
    """Give every parameter a value far from its initial one, so that nothing is zero or one by chance."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(scale * torch.randn(parameter.shape, dtype=parameter.dtype))
    return module


def small_predictor(dtype: torch.dtype = torch.float32, **settings: object) -> Predictor:
    torch.manual_seed(0)
    predictor = Predictor(**{"dim": D, "width": 32, "depth": 3, "num_heads": 2, **settings})
    scrambled(predictor)
    return predictor.to(dtype)


def clip(B: int = 2, T: int = 3, dtype: torch.dtype = torch.float32, patches: int = P) -> tuple[Tensor, Tensor]:
    """Tokens (B, T, P, D) and times (B, T + 1)."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randn(B, T, patches, D, generator=generator, dtype=torch.float64)
    steps = 0.1 + torch.rand(B, T + 1, generator=generator, dtype=torch.float64)
    return tokens.to(dtype), steps.cumsum(1)
