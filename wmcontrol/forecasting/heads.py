"""Linear heads: from the tokens of a frame to what its pixels are.

Source: arXiv 2507.19468, appendix C.3: batch normalisation, one linear layer, bilinear upsampling.

Letters: ``N`` frames, ``P`` patches of a frame, ``D`` numbers of a token, ``C`` numbers of a pixel.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn
from torch.nn.functional import interpolate

from ..checks import check_choice, check_whole
from ..encoders import Encoder
from ..encoders.files import check_buffers, encoder_digest, load_tensors, tensors_of
from ..files import atomic_write
from ..untrusted import Choice, Integer, ListOf, Record, Text, read_json
from .records import Kind

SETTINGS, WEIGHTS = "head.json", "head.safetensors"
_SETTINGS = Record(
    {
        "format_version": Integer(1, 1),
        "kind": Choice("segmentation", "depth"),
        "dim": Integer(1, 2**24),
        "class_names": ListOf(Text(200), most=255),
        "encoder": Text(64),
    }
)


class DenseHead(nn.Module):
    """Says of every pixel its class or its depth, by the token that it lies in and those around it.

    Args:
        kind: "segmentation": scores of classes; "depth": metres.
        dim: D.
        class_names: of the classes; none of depth.
        encoder: a digest of the encoder of the tokens, which is kept with the head; see :meth:`check_encoder`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: Kind, dim: int, class_names: Sequence[str] = (), encoder: str = ""):
        super().__init__()
        check_choice("kind", kind, Kind)
        check_whole("dim", dim)
        if (kind == "segmentation") != bool(class_names):
            raise ValueError(f"class_names: expected names of classes for segmentation alone, got {class_names!r}")
        self.kind, self.dim, self.class_names = kind, int(dim), tuple(class_names)
        self.encoder = encoder
        self.norm = nn.BatchNorm1d(self.dim, dtype=torch.float32)
        self.linear = nn.Linear(self.dim, len(self.class_names) or 1, dtype=torch.float32)
        # Of the depths that it was trained on; scores of classes stay as they are.
        self.register_buffer("mean", torch.zeros((), dtype=torch.float32))
        self.register_buffer("std", torch.ones((), dtype=torch.float32))

    def forward(self, tokens: Tensor, *, grid: tuple[int, int], size: tuple[int, int]) -> Tensor:
        """Return scores or depths (N, C, *size) of frames with tokens (N, P, D), in float32.

        Args:
            tokens: of an encoder of the same kind as those that it was trained on.
            grid: rows and columns of patches, P in all.
            size: height and width of the frames, pixels.

        Raises:
            ValueError: tokens of another shape.
        """
        P = grid[0] * grid[1]
        if tokens.ndim != 3 or tuple(tokens.shape[1:]) != (P, self.dim):
            raise ValueError(f"tokens must have shape (N, {P}, {self.dim}), got {tuple(tokens.shape)}")
        normed = self.norm(tokens.to(self.linear.weight.dtype).flatten(0, 1))
        found = self.linear(normed).unflatten(0, (-1, *grid)).permute(0, 3, 1, 2)
        pixels: Tensor = interpolate(found, size, mode="bilinear", align_corners=False)
        return pixels * self.std + self.mean

    def check_encoder(self, encoder: Encoder) -> None:
        """Raise a ValueError if the head was trained on tokens of another encoder."""
        if self.encoder != encoder_digest(encoder):
            raise ValueError("head: it was trained on tokens of another encoder; train one on this model's")

    def save(self, folder: str | Path) -> None:
        """Save to a folder: ``head.safetensors``, and ``head.json``, which comes last.

        Raises:
            OSError: nothing can be written there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / WEIGHTS) as file:
            file.write(save(tensors_of({"": self})))
        about = {"kind": self.kind, "dim": self.dim, "class_names": list(self.class_names), "encoder": self.encoder}
        with atomic_write(folder / SETTINGS) as file:
            file.write((json.dumps({"format_version": 1, **about}, indent=2) + "\n").encode())

    @staticmethod
    def load(folder: str | Path) -> "DenseHead":
        """Load a head on the CPU, in evaluation mode; no code of its files is run.

        Raises:
            OSError: a file is not there.
            ValueError: a file is broken; it is named.
        """
        folder = Path(folder)
        if not (folder / SETTINGS).exists():
            raise FileNotFoundError(f"{folder / SETTINGS} is missing; a head is a folder that train_head wrote")
        about: dict[str, Any] = read_json(folder / SETTINGS, _SETTINGS)
        del about["format_version"]
        try:
            with torch.device("meta"):
                head = DenseHead(**about)
        except ValueError as error:
            raise ValueError(f"{folder / SETTINGS} describes no head: {error}") from error
        try:
            tensors = load_file(folder / WEIGHTS)
        except SafetensorError as error:
            raise ValueError(f"{folder / WEIGHTS} does not hold a head's weights: {error}") from error
        with torch.inference_mode(False), torch.no_grad():
            load_tensors({"": head}, tensors, folder / WEIGHTS, SETTINGS)
            check_buffers(head, "", folder / WEIGHTS)
        return head.requires_grad_(False).eval()
