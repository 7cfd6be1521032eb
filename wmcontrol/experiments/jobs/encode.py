"""``wmcontrol encode``."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..files import check_device, folder_to_save_in
from ..keys import key
from ..reader_keys import camera_key, control_rate_key, open_data, reader_key, reader_settings

if TYPE_CHECKING:
    from ...encoders import Encoder


@dataclass
class Config:
    """Encode all frames of data sets once, into latent stores that training reads.

    A store's folder is named by what decides its tokens, so that one which does not fit is never read. Killed, it goes
    on where it stopped when the same line is run again.
    """

    data: list[Path] = key(
        "data sets, in any layout that wmcontrol convert --help names", example="data/wall,data/maze"
    )
    encoder: str = key(
        "pyramid, which is fitted to these data and needs no weights; transformers, timm or vae with settings; or a "
        "folder (a store, or a model) or a packaged model, as base, whose encoder is taken",
        default="pyramid",
        example="transformers",
    )
    settings: dict[str, Any] = key(
        "settings of the encoder", default={}, example="{weights:facebook/dinov2-with-registers-base}"
    )
    out: Path = key("the folder of stores", default=Path("outputs/stores"), example="stores")
    image_size: int | None = key(
        "side of the frames: drawn so, or resized (and cut to squares); by default they are as they were kept, and 64 "
        "where they are drawn, or those of films in a folder",
        default=None,
        at_least=1,
        example="64",
    )
    camera: str | None = camera_key()
    control_rate: float | None = control_rate_key()
    reader: dict[str, Any] = reader_key()
    dtype: str = key(
        "number type of tokens on disk",
        default="float16",
        choices=("float16", "bfloat16", "float32"),
        example="bfloat16",
    )
    fit_frames: int = key("how many frames pyramid is fitted to", default=20_000, at_least=1, example="5000")
    seed: int = key("which frames these are", default=0, at_least=0, example="1")
    device: str = key("where the encoder works", default="cpu", example="cuda")
    jobs: int = key("processes that share the work", default=1, at_least=1, example="4")


def run(config: Config) -> None:
    """Encode them."""
    out = folder_to_save_in(config.out)
    check_device(config.device)
    from ...data import encode, fit_encoder
    from ...encoders import PyramidEncoder
    from ..progress import progress_bar

    datasets = [open_data(path, reader_settings(config)) for path in config.data]
    try:
        encoder = _encoder(config)
    except TypeError as error:
        raise UsageError(f"settings: {error}") from error
    if isinstance(encoder, PyramidEncoder) and not encoder.fitted:
        fit_encoder(encoder, datasets, num_frames=config.fit_frames, seed=config.seed, folder=out)
    for path, dataset in zip(config.data, datasets, strict=True):
        with progress_bar(f"encoding {path}", "frames") as progress:
            store = encode(
                dataset, encoder, out, dtype=config.dtype, device=config.device, jobs=config.jobs, progress=progress
            )
        frames, patches, dim = store.tokens.shape
        size = store.tokens.numel() * store.tokens.itemsize
        print(f"{path}: {frames:,} frames of {patches} x {dim}, {size / 1e6:,.1f} MB: {store.folder}")


def _encoder(config: Config) -> "Encoder":
    """Return an encoder by its name, or out of the folder of a store or a model."""
    from ...encoders import build_encoder
    from ...encoders.files import load_encoder
    from ...models import WorldModel
    from ...models.checkpoint import packaged_models

    folder = Path(config.encoder)
    if not folder.is_dir() and config.encoder not in packaged_models():
        return build_encoder(config.encoder, config.settings)
    if config.settings:
        raise ValueError(f"{folder} says what its encoder's settings are; leave settings={config.settings} out")
    return load_encoder(folder) if (folder / "encoder.json").exists() else WorldModel.load(config.encoder).encoder
