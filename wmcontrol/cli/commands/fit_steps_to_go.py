"""``wmcontrol fit_steps_to_go``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import settings, train


@dataclass
class Config:
    """Teach a model how far frames are from one another, and give it landmarks, for goals beyond one plan.

    The world model stays as it is; agent=hierarchical plans with what comes out. A tenth of the trajectories is held
    out by seed, as fine-tuning does. Beside the model is calibration.png: the steps expected of held-out pairs of
    frames, and those that were taken. Killed, it goes on where it stopped when the same line is run again.

    Example: wmcontrol fit_steps_to_go store=stores/1f2e base=wall out=models/wall_far

    Args:
        store: a latent store (wmcontrol encode), of the model's encoder. For example stores/1f2e.
        base: the model, with actions: its folder, a packaged name or hf://owner/name. For example pusht.
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the model; by default one of these settings, under outputs/fit_steps_to_go. For example
            models/wall_far.
    """

    store: str = MISSING
    base: str = MISSING
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Fit it."""
    from ...evaluation.reports import calibration_figure
    from ...training import StepsToGoSettings, fit_steps_to_go

    how = settings(StepsToGoSettings, config)
    result = train(fit_steps_to_go, config, config.store, base=config.base, settings=how)
    assert result.folder is not None
    print(
        f"cross entropy on held-out pairs of frames: {result.error:.3f} nats; of how often each number of steps comes: "
        f"{result.chance_error:.3f}"
    )
    if result.model.landmarks is not None:
        counts = result.model.landmarks.settings()
        print(f"{counts['num_landmarks']} landmarks, {counts['num_edges']} edges")
    print(calibration_figure(result.calibration, result.folder / "calibration.png"))
    print(result.folder / "model")
