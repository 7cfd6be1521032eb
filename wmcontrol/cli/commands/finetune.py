"""``wmcontrol finetune``."""

import sys
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..keys import MISSING
from ..objects import is_first, made, plain, settings, train


@dataclass
class Config:
    """Fine-tune a predictor with actions on windows of stored tokens, in one of the paper's three ways.

    Defaults are for the tiny size; the paper's are optimizer=adamw learning_rate=1e-4 num_frames=4. A tenth of the
    trajectories is held out by seed, for planning and for the errors in the log. Killed, it goes on where it stopped
    when the same line is run again. On several GPUs or machines, start it by torchrun.

    Example: wmcontrol finetune store=stores/1f2e base=base mode=full num_steps=4000 out=models/wall

    Args:
        store: a latent store with actions (wmcontrol encode). For example stores/1f2e.
        base: the pretrained model, or one with actions that goes on learning; its encoder must be the store's. Without
            one only mode=scratch is possible. For example base.
        mode: scratch (everything anew), action_only (the action blocks only) or full (everything, from the base). For
            example action_only.
        practice: a latent store of what came of the base's own plans (wmcontrol collect policy=practice, then encode);
            a share of each batch is drawn from it. For example stores/9a0b.
        device: where to train; auto is a GPU if there is one. For example cpu.
        out: the folder for the model; by default one of these settings, under outputs/finetune. For example
            models/wall.
    """

    store: str = MISSING
    base: str | None = None
    mode: Literal["scratch", "action_only", "full"] = "full"
    practice: str | None = None
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Train it."""
    from ...training import FinetuneSettings, finetune

    result = train(
        finetune,
        config,
        config.store,
        base=config.base,
        mode=config.mode,
        practice=config.practice,
        settings=settings(FinetuneSettings, config),
        planning=_planning(config),
    )
    if not is_first() or result.folder is None:
        return
    actions, error = result.model.normalizer, result.error
    assert actions is not None
    held = ", ".join(f"{number} at {actions.low[number]:g}" for number in (actions.low == actions.high).nonzero()[:, 0])
    if held:
        print(f"numbers of an action that never change in the data, and are held: {held}")
    print(
        f"relative error on held-out trajectories after {error.context} frames, which the windows leave before a plan: "
        f"{error}; persistence is 100 %"
    )
    if (seen := result.model.planning.context_frames) != error.context:
        print(f"agents that plan with it see context_frames={seen}")
    if error.warning:
        print(f"warning: {error.warning}", file=sys.stderr)
    print(result.folder / "model")


def _planning(config: Any) -> Any:
    """Return how agents are to plan, where the line says so: changes of how they plan with the base."""
    from ...models import PlanningSettings, WorldModel

    changes = {name: value for name, value in plain(config.planning).items() if value is not None}
    if not changes:
        return None
    with made("base"):
        before = PlanningSettings() if config.base is None else WorldModel.load(config.base).planning
    with made("planning"):
        return replace(before, **changes)
