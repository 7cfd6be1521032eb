"""``wmcontrol forecast``."""

from dataclasses import dataclass, field
from typing import Any

from ..objects import changed, forecaster_to_judge, made, make, run_folder
from ..progress import progress_bar


@dataclass
class Config:
    """Forecast segmentation or depth by a model without actions, with a head of present frames (wmcontrol train_head).

    Copying the last frame and the tokens of the true future are judged beside it. With far=true, also how good it is
    by the time ahead, directly and by rollouts, with a plot. Intervals are over clips.

    Example: wmcontrol forecast clips=cityscapes clips.path=data/cityscapes model.path=models/base/model head=heads/city

    Args:
        head: the folder of the head; by default only tokens are compared. For example heads/city.
        protocol: what differs from the protocol of the clips: context_frames, step, short, mid, target,
            windows_per_video, tile, tile_stride. For example {windows_per_video:1}.
        far: whether to go through all times ahead. For example true.
        batch: windows at once. For example 4.
        device: where the model works; auto is a GPU if there is one. For example cpu.
        out: the folder for tables and plot; by default one of these settings, under outputs/forecast. For example
            results/city.
    """

    head: str | None = None
    protocol: dict[str, Any] = field(default_factory=dict)
    far: bool = False
    batch: int = 16
    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Forecast them."""
    from ...forecasting import DenseHead, distance_plot, forecast, how_far, save_result
    from ...runs import open_run

    forecaster, clips = forecaster_to_judge(config), make(config.clips, "clips")
    with made("head"):
        head = None if config.head is None else DenseHead.load(config.head)
    protocol = changed(clips.protocol, config.protocol, "protocol")
    about = {"model": forecaster.digest(), "protocol": vars(protocol)}
    out = run_folder(config, "forecast", apart=("device", "batch"), about=about)
    with open_run(out, "forecast", {"clips": clips.settings(), "head": config.head, **about}):
        with progress_bar(f"forecasting on {forecaster.device}", "clips") as progress:
            found = forecast(forecaster, head, clips, protocol=protocol, batch=config.batch, progress=progress)
        save_result(found, out, "forecast")
        print(found.table())
        print(out / "forecast.md")
        if config.far:
            with progress_bar(f"forecasting from afar on {forecaster.device}", "clips") as progress:
                found = how_far(forecaster, head, clips, protocol=protocol, batch=config.batch, progress=progress)
            save_result(found, out, "how_far")
            distance_plot(found, out / "how_far.png")
            print(out / "how_far.png")
