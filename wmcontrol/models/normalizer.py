"""Between an environment's actions and a model's: grouping by frameskip, and normalisation."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from ..actions import ActionLayout
from ..bounds import rounded_inwards
from ..checks import check_whole


class ActionNormalizer(nn.Module):
    """Statistics and bounds of an environment's actions, from the trajectories that a model was trained on.

    A model action is ``frameskip`` consecutive environment actions, normalised and concatenated: A = frameskip * a.
    With ``repeat_action`` it is one that is done ``frameskip`` times, A = a: a plan has fewer numbers to search for.

    All is kept in single precision, in which actions are planned. Bounds that have no such number are rounded inwards,
    so that what is planned lies inside those of an environment with double precision too.

    Args:
        mean: (a,) of the training actions.
        std: (a,), positive.
        low: (a,) bounds of the environment's actions, finite: where the environment has none, what was done while
            training data were recorded, as :class:`~wmcontrol.data.ActionStatistics` has it.
        high: (a,). A number whose bounds are equal is held there.
        frameskip: environment actions per model action.
        layout: how the environment's actions lie in vectors (a,), or what its ``as_json`` returned; None where they
            are such vectors.
        repeat_action: whether one action is repeated in a model step. Of recorded actions that differ within one, the
            model is given their mean.

    Raises:
        ValueError: vectors of other lengths, numbers that are not finite, or bounds the wrong way round.
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
        layout: ActionLayout | Mapping[str, Sequence[int]] | None = None,
        repeat_action: bool = False,
    ):
        super().__init__()
        check_whole("frameskip", frameskip)
        self.frameskip, self.repeat_action = int(frameskip), repeat_action
        vectors = {}
        for name, values in (("mean", mean), ("std", std), ("low", low), ("high", high)):
            try:
                vectors[name] = torch.as_tensor(values, dtype=torch.float64, device="cpu")
            except (TypeError, ValueError, RuntimeError) as error:
                raise TypeError(f"{name} must be a list of numbers, got {values!r}") from error
        for name, vector in vectors.items():
            if vector.ndim != 1 or vector.shape != vectors["mean"].shape or not vector.isfinite().all():
                raise ValueError(f"{name} must be as many finite numbers as mean has, got {vector.tolist()}")
        if not (vectors["low"] <= vectors["high"]).all():
            raise ValueError(f"low must not be over high, got {vectors['low'].tolist()} and {vectors['high'].tolist()}")
        described = layout.as_json() if isinstance(layout, ActionLayout) else layout
        self.layout = ActionLayout.from_json(described, len(vectors["mean"]))
        given = dict(vectors)
        single = torch.zeros((), dtype=torch.float32, device="cpu")
        vectors["low"], vectors["high"] = rounded_inwards(vectors["low"], vectors["high"], single)
        for name, vector in vectors.items():
            self.register_buffer(name, vector.to(single), persistent=False)
        if not (self.std > 0).all() or not self.std.isfinite().all():
            raise ValueError(f"std must be positive, got {self.std.tolist()}")
        if not all(bound.isfinite().all() for bound in self.bounds()):
            raise ValueError(
                "low and high must stay finite in single precision when mean is subtracted and std divides them, got "
                + ", ".join(f"{name} {vector.tolist()}" for name, vector in given.items())
            )

    @property
    def action_dim(self) -> int:
        """A, numbers in a model action."""
        return self._actions * len(self.mean)

    @property
    def _actions(self) -> int:
        """How many environment actions a model action says."""
        return 1 if self.repeat_action else self.frameskip

    def to_model(self, actions: Tensor) -> Tensor:
        """Turn environment actions (…, frameskip, a) into model actions (…, A), normalised."""
        expected = (self.frameskip, len(self.mean))
        if tuple(actions.shape[-2:]) != expected:
            raise ValueError(f"actions must have shape (…, {expected[0]}, {expected[1]}), got {tuple(actions.shape)}")
        if self.repeat_action:
            actions = actions.mean(-2, keepdim=True)
        return ((actions - self.mean) / self.std).flatten(-2)

    def to_environment(self, actions: Tensor) -> Tensor:
        """Turn model actions (…, A) into environment actions (…, frameskip, a), clipped to the bounds."""
        if actions.shape[-1] != self.action_dim:
            raise ValueError(f"actions must have shape (…, {self.action_dim}), got {tuple(actions.shape)}")
        split = actions.unflatten(-1, (self._actions, len(self.mean))).to(self.mean.dtype)
        inside = torch.clamp(split * self.std + self.mean, self.low, self.high)
        return inside.expand(*inside.shape[:-2], self.frameskip, -1)

    def bounds(self) -> tuple[Tensor, Tensor]:
        """Return the bounds of model actions, low and high, (A,)."""
        low, high = ((bound - self.mean) / self.std for bound in (self.low, self.high))
        return low.repeat(self._actions), high.repeat(self._actions)

    def settings(self) -> dict[str, object]:
        """Return the arguments that make a normalizer like this one."""
        vectors = {name: getattr(self, name).tolist() for name in ("mean", "std", "low", "high")}
        layout = {} if self.layout.is_vector else {"layout": self.layout.as_json()}
        repeat = {"repeat_action": True} if self.repeat_action else {}
        return {**vectors, "frameskip": self.frameskip, **layout, **repeat}

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "ActionNormalizer":
        """Move with the model, but stay in single precision: bounds must not be rounded."""
        device = fn(torch.zeros(1, dtype=torch.float32, device=self.mean.device)).device
        for name in ("mean", "std", "low", "high"):
            setattr(self, name, getattr(self, name).to(device))
        return self
