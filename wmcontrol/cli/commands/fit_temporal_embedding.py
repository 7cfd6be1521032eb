"""``wmcontrol fit_temporal_embedding``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import settings, train


@dataclass
class Config:
    """Teach a model a temporal distance between frames, for goals beyond one plan.

    agent=subgoals goes there by it, with an action prior (fit_prior); objective=temporal_distance plans by it alone.
    The world model stays as it is. A tenth of the trajectories is held out by seed, as fine-tuning does. Killed, it
    goes on where it stopped when the same line is run again.

    Example: wmcontrol fit_temporal_embedding store=stores/1f2e base=pusht out=models/pusht_far

    Args:
        store: a latent store (wmcontrol encode), of the model's encoder. For example stores/1f2e.
        base: the model, with actions: its folder, a packaged name or hf://owner/name. For example pusht.
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the model; by default one of these settings, under outputs/fit_temporal_embedding. For
            example models/pusht_far.
    """

    store: str = MISSING
    base: str = MISSING
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Fit it."""
    from ...training import TemporalEmbeddingSettings, fit_temporal_embedding

    how = settings(TemporalEmbeddingSettings, config)
    result = train(fit_temporal_embedding, config, config.store, base=config.base, settings=how)
    assert result.folder is not None
    print(
        f"which of {how.batch_size} frames comes later, on held-out trajectories: {result.error:.3f} nats, by chance "
        f"{result.chance_error:.3f}; {result.accuracy:.1%} told"
    )
    print(result.folder / "model")
