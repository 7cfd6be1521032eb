"""Between an environment's actions and a model's: grouping by frameskip, and normalisation."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class ActionNormalizer(nn.Module):
    """Statistics and bounds of an environment's actions, from the trajectories that a model was trained on.

    A model action is ``frameskip`` consecutive environment actions, normalised and concatenated: A = frameskip * a.

    Args:
        mean: (a,) of the training actions.
        std: (a,), positive.
        low: (a,) bounds of the environment's actions.
        high: (a,).
        frameskip: environment actions per model action.
    """

    mean: Tensor
    std: Tensor
    low: Tensor
    high: Tensor

    def __init__(
        self,
        mean: Sequence[float],
        std: Sequence[float],
        low: Sequence[float],
        high: Sequence[float],
        *,
        frameskip: int,
    ):
        super().__init__()
        if not isinstance(frameskip, int) or frameskip < 1:
            raise ValueError(f"frameskip must be a positive whole number, got {frameskip!r}")
        self.frameskip = frameskip
        for name, values in (("mean", mean), ("std", std), ("low", low), ("high", high)):
            try:
                vector = torch.as_tensor(values, dtype=torch.float32).reshape(-1)
            except (TypeError, ValueError, RuntimeError) as error:
                raise TypeError(f"{name} must be a list of numbers, got {values!r}") from error
            if len(vector) != len(torch.as_tensor(mean).reshape(-1)) or not vector.isfinite().all():
                raise ValueError(f"{name} must be as many finite numbers as mean has, got {values!r}")
            self.register_buffer(name, vector, persistent=False)
        if not (self.std > 0).all():
            raise ValueError(f"std must be positive, got {self.std.tolist()}")
        if not (self.low < self.high).all():
            raise ValueError(f"low must be below high, got {self.low.tolist()} and {self.high.tolist()}")

    @property
    def action_dim(self) -> int:
        """A, numbers in a model action."""
        return self.frameskip * len(self.mean)

    def to_model(self, actions: Tensor) -> Tensor:
        """Normalise and concatenate environment actions (…, frameskip, a) to model actions (…, A)."""
        expected = (self.frameskip, len(self.mean))
        if tuple(actions.shape[-2:]) != expected:
            raise ValueError(f"actions must have shape (…, {expected[0]}, {expected[1]}), got {tuple(actions.shape)}")
        return ((actions - self.mean) / self.std).flatten(-2)

    def to_environment(self, actions: Tensor) -> Tensor:
        """Turn model actions (…, A) into environment actions (…, frameskip, a), clipped to the bounds."""
        if actions.shape[-1] != self.action_dim:
            raise ValueError(f"actions must have shape (…, {self.action_dim}), got {tuple(actions.shape)}")
        split = actions.unflatten(-1, (self.frameskip, len(self.mean))).to(self.mean.dtype)
        return torch.clamp(split * self.std + self.mean, self.low, self.high)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the bounds of model actions, low and high, (A,)."""
        low, high = ((bound - self.mean) / self.std for bound in (self.low, self.high))
        return low.repeat(self.frameskip), high.repeat(self.frameskip)

    def settings(self) -> dict[str, object]:
        """Return the arguments that make a normalizer like this one."""
        vectors = {name: getattr(self, name).tolist() for name in ("mean", "std", "low", "high")}
        return {**vectors, "frameskip": self.frameskip}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ActionNormalizer":
        """Move with the model, but stay in single precision: bounds must not be rounded."""
        device = fn(torch.zeros(1, device=self.mean.device)).device
        for name in ("mean", "std", "low", "high"):
            setattr(self, name, getattr(self, name).to(device))
        return self
