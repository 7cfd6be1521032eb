"""``wmcontrol encode``."""

from dataclasses import dataclass
from typing import Any, Literal

from ..objects import device_of, make, open_data, out_folder, paths_of
from ..progress import progress_bar


@dataclass
class Config:
    """Encode all frames of data sets once, into latent stores that training reads.

    A store's folder is named by what decides its tokens, so that one which does not fit is never read. Several data
    sets, as data.path=[data/wall,data/maze], share the encoder that is fitted to them. Killed, it goes on where it
    stopped when the same line is run again.

    Example: wmcontrol encode data.path=data/wall encoder=pyramid encoder.num_components=128 out=stores

    Args:
        out: the folder of stores. For example stores.
        dtype: number type of tokens on disk. For example bfloat16.
        fit_frames: how many frames an encoder is fitted to that needs it, as pyramid. For example 5000.
        seed: which frames these are. For example 1.
        device: where the encoder works; auto is a GPU if there is one. For example cpu.
        jobs: processes that share the work. For example 4.
    """

    out: str = "outputs/stores"
    dtype: Literal["float16", "bfloat16", "float32"] = "float16"
    fit_frames: int = 20_000
    seed: int = 0
    device: str = "auto"
    jobs: int = 1


def run(config: Any) -> None:
    """Encode them."""
    from ...data import encode, fit_encoder
    from ...encoders import PyramidEncoder

    out, paths = out_folder(config.out), paths_of(config.data)
    device = device_of(config)
    datasets = [open_data(config.data, path) for path in paths]
    encoder = make(config.encoder, "encoder")
    if isinstance(encoder, PyramidEncoder) and not encoder.fitted:
        fit_encoder(encoder, datasets, num_frames=config.fit_frames, seed=config.seed, folder=out)
    for path, dataset in zip(paths, datasets, strict=True):
        with progress_bar(f"encoding {path} on {device}", "frames") as progress:
            store = encode(
                dataset, encoder, out, dtype=config.dtype, device=device, jobs=config.jobs, progress=progress
            )
        frames, patches, dim = store.tokens.shape
        size = store.tokens.numel() * store.tokens.itemsize
        print(f"{path}: {frames:,} frames of {patches} x {dim}, {size / 1e6:,.1f} MB: {store.folder}")
