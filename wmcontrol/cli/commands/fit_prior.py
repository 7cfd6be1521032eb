"""``wmcontrol fit_prior``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import settings, train


@dataclass
class Config:
    """Teach a model which actions lead from one frame to another, so that planners begin with good ones.

    The world model stays as it is; the model that comes out proposes actions to any planner. A tenth of the
    trajectories is held out by seed, as fine-tuning does. Killed, it goes on where it stopped when the same line is run
    again.

    Example: wmcontrol fit_prior store=stores/1f2e base=models/pusht/model out=models/pusht_prior

    Args:
        store: a latent store with actions (wmcontrol encode), of the model's encoder. For example stores/1f2e.
        base: the model, with actions: its folder, a packaged name or hf://owner/name. For example pusht.
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the model; by default one of these settings, under outputs/fit_prior. For example
            models/pusht_prior.
    """

    store: str = MISSING
    base: str = MISSING
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Fit it."""
    from ...training import PriorSettings, fit_prior

    result = train(fit_prior, config, config.store, base=config.base, settings=settings(PriorSettings, config))
    assert result.folder is not None
    print(
        f"nearest of 16 proposals to what was done in held-out windows: {result.error:.3f} standard deviations of an "
        f"action; the mean action: {result.mean_action_error:.3f}"
    )
    print(result.folder / "model")
