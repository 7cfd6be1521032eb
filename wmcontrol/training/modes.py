"""The three ways of fine-tuning that the paper compares."""

import copy
from typing import Literal, get_args

import torch

from ..models import ActionConditioned, Predictor

Mode = Literal["scratch", "action_only", "full"]


def with_actions(base: Predictor, action_dim: int, mode: Mode, *, seed: int) -> ActionConditioned:
    """Return a predictor with actions, ready for fine-tuning (DINO-world, appendix D).

    Args:
        base: pretrained without actions; it is copied.
        action_dim: numbers in a model action.
        mode: ``"scratch"``, nothing of the base but its sizes; ``"action_only"``, all of it, of which nothing learns
            but the action blocks and the projection of actions; ``"full"``, all of it, and all learns.
        seed: of fresh weights.

    Raises:
        ValueError: an unknown mode.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode must be one of {list(get_args(Mode))}, got {mode!r}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        predictor = Predictor(**base.settings()) if mode == "scratch" else copy.deepcopy(base)
        model = ActionConditioned(predictor.float(), action_dim)
    model.trainable("action_only" if mode == "action_only" else "full")
    return model
