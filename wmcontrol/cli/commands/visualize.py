"""``wmcontrol visualize``."""

from dataclasses import dataclass
from typing import Any

from ..objects import device_of, made, make, open_model_data, plain, run_folder


@dataclass
class Config:
    """Draw what a model foresees of a clip, and where it looks: tokens as colours, and attention of one query.

    The first frames are seen, the others foreseen one after another; a model with actions is told those of the data.
    Saved are tokens.png (frames, the encoder's tokens, predicted ones), tokens.mp4, attention.png and
    visualization.html, which shows them all.

    Example: wmcontrol visualize model=base data.path=data/wall step=5 out=results/looks

    Args:
        device: where the model works; auto is a GPU if there is one. For example cpu.
        out: the folder for pictures and page; by default one of these settings, under outputs/visualize. For example
            results/looks.
    """

    device: str = "auto"
    out: str | None = None


def run(config: Any) -> None:
    """Draw it."""
    from ...forecasting import save_visualization, visualize

    model = make(config.model, "model", device=device_of(config))
    dataset = open_model_data(config.data, model)
    names = ("trajectory", "start", "num_frames", "context_frames", "step", "query", "blocks")
    with made():
        found = visualize(model, dataset, **{name: plain(config)[name] for name in names})
    out = run_folder(config, "visualize", apart=("device",))
    print(save_visualization(found, out))
