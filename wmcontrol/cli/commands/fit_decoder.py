"""``wmcontrol fit_decoder``."""

from dataclasses import dataclass
from typing import Any

from ..keys import MISSING
from ..objects import made, open_model_data, run_folder


@dataclass
class Config:
    """Make a model's tokens visible: fit a linear map from them to pictures, by least squares, in seconds.

    The model that comes out plans as before. Films of wmcontrol evaluate then show what each plan imagined beside what
    came, and wmcontrol visualize the tokens that are foreseen as pictures.

    Example: wmcontrol fit_decoder base=wall data.path=data/wall out=models/wall_visible

    Args:
        base: the model: its folder, a packaged name or hf://owner/name. For example wall.
        out: the folder for the model; by default one of these settings, under outputs/fit_decoder. For example
            models/wall_visible.
    """

    base: str = MISSING
    out: str | None = None


def run(config: Any) -> None:
    """Fit it."""
    from ...models import WorldModel
    from ...training import fit_decoder

    out = run_folder(config, "fit_decoder")
    with made("base"):
        model = WorldModel.load(config.base)
    dataset = open_model_data(config.data, model)
    with made():
        result = fit_decoder(model, dataset, **{name: config[name] for name in ("num_frames", "shrink", "seed")})
    model.decoder = result.decoder
    model.save(out / "model")
    print(f"{result.explained:.1%} of the variance of the frames is drawn")
    print(out / "model")
