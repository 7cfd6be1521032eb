"""``wmcontrol surprise``."""

from dataclasses import dataclass, field
from typing import Any

from ..objects import changed, forecaster_to_judge, make, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Tell films of what can happen from films of what cannot, by how much they surprise a model without actions.

    Printed are the share of pairs whose possible film surprises less, and how well one film alone is told (AUROC), by
    category, with intervals over pairs.

    Example: wmcontrol surprise model.path=models/base/model pairs=intphys pairs.path=intphys/dev out=results/intphys

    Args:
        protocol: what differs from the protocol of the pairs: window, frame_step, contexts, stride, way. For example
            {way:direct}.
        batch: windows at once. For example 4.
        device: where the model works; auto is a GPU if there is one. For example cpu.
        out: the folder for the table; by default one of these settings, under outputs/surprise. For example
            results/intphys.
    """

    protocol: dict[str, Any] = field(default_factory=dict)
    batch: int = 16
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Tell them."""
    from ...forecasting import save_result, surprise
    from ...runs import open_run

    forecaster, pairs = forecaster_to_judge(config), make(config.pairs, "pairs")
    protocol = changed(pairs.protocol, config.protocol, "protocol")
    about = {"model": forecaster.digest(), "protocol": vars(protocol)}
    out = run_folder(config, "surprise", apart=("device", "batch"), about=about)
    with open_run(out, "surprise", {"pairs": pairs.settings(), **about}):
        with progress_bar(f"watching on {forecaster.device}", "pairs") as progress:
            found = surprise(forecaster, pairs, protocol=protocol, batch=config.batch, progress=progress)
        save_result(found, out, "surprise")
    print(found.table())
    print(out / "surprise.md")
