"""Reads DINO-WM's released checkpoints, whose modules are pickled whole, without running anything from the file.

The layout is that of its ``train.py``: a dict of the modules (and optimisers) of one model. The encoder is not in it.
"""

from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from ...untrusted.pickles import Inert
from ...untrusted.torch_file import TensorRecord, TorchFile
from .frame_causal import FrameCausalPredictor

_NEEDED = ("predictor", "action_encoder")
_KEYS = ("epoch", *_NEEDED, "proprio_encoder", "predictor_optimizer", "decoder", "decoder_optimizer")
_LAYERS = "predictor.transformer.layers"


def load_dino_wm(path: str | Path) -> FrameCausalPredictor:
    """Load the predictor and the action encoder of a DINO-WM checkpoint, such as ``model_latest.pth``.

    All settings come from the file: widths from the shapes, the number of heads from the first attention, and the
    number of patches of a frame from its causal mask. The model comes in ``eval`` mode, float32, on the CPU. It works
    on tokens of the encoder that it was trained with (DINOv2 ViT-S/14, frames of 196 × 196 pixels), and on actions
    normalised with that data set's statistics; neither is in the file.

    Raises:
        OSError: the file cannot be opened.
        ValueError: it is damaged, or not such a checkpoint; says which record.
    """
    with TorchFile(path) as file:
        return _Checkpoint(file).predictor()


class _Checkpoint:
    """The modules of an open file, and records of their tensors by name."""

    def __init__(self, file: TorchFile):
        self.file = file
        root = file.root
        if not isinstance(root, dict):
            self.refuse(f"expected a dict with keys {list(_KEYS)}, got {_kind(root)}")
        if any(key not in root for key in _NEEDED):
            self.refuse(f"not a DINO-WM checkpoint: expected keys {list(_KEYS)}, got {list(root)}")
        if unexpected := [key for key in root if key not in _KEYS]:
            self.refuse(f"unexpected keys {unexpected}; known are {list(_KEYS)} (trained encoders cannot be read)")
        self.has_proprio = root.get("proprio_encoder") is not None
        self.modules: dict[str, dict[str, Any]] = {}  # the __dict__ of every module
        self.records: dict[str, TensorRecord] = {}
        for key in (*_NEEDED, *["proprio_encoder"] * self.has_proprio):
            self._collect(key, root[key])

    def refuse(self, problem: str) -> NoReturn:
        """Raise a ValueError that names the file."""
        raise ValueError(f"{self.file.path}: {problem}")

    def _collect(self, key: str, module: Any) -> None:
        """Put a module and all below it into ``modules`` and ``records``."""
        waiting = [(key, module)]
        known = set()
        while waiting:
            name, module = waiting.pop()
            state = module.state if isinstance(module, Inert) else None
            parts = ("_parameters", "_buffers", "_modules")
            if not isinstance(state, dict) or not all(isinstance(state.get(part), dict) for part in parts):
                self.refuse(f"{name} must be a pickled torch module, got {_kind(module)}")
            if id(module) in known:
                self.refuse(f"{name} stands in two places; expected a tree of modules")
            known.add(id(module))
            if name == key and list(state["_modules"]) == ["module"]:  # wrapped by DataParallel
                waiting.append((name, state["_modules"]["module"]))
                continue
            self.modules[name] = state
            waiting += [(f"{name}.{child}", value) for child, value in state["_modules"].items()]
            for child, value in (state["_parameters"] | state["_buffers"]).items():
                if isinstance(value, TensorRecord):
                    self.records[f"{name}.{child}"] = value
                elif value is not None:
                    self.refuse(f"{name}.{child} must be a tensor, got {_kind(value)}")

    def predictor(self) -> FrameCausalPredictor:
        """Build the model and give it the file's weights."""
        settings = self._settings()
        with torch.device("meta"):
            model = FrameCausalPredictor(**settings)
        names = {name: f"predictor.{name}" for name in model.state_dict()}  # ours: the file's
        names["action_encoder.weight"] = "action_encoder.patch_embed.weight"
        names["action_encoder.bias"] = "action_encoder.patch_embed.bias"
        names["proprio_embedding"] = "proprio_encoder.patch_embed.bias"  # what embeds zero
        expected = {names[name]: tuple(value.shape) for name, value in model.state_dict().items()}
        expected["action_encoder.patch_embed.weight"] += (1,)  # a convolution over time, of width 1: a linear map
        if self.has_proprio:
            expected["proprio_encoder.patch_embed.weight"] = self._shape("proprio_encoder.patch_embed.weight", 3)
        else:
            del expected[names.pop("proprio_embedding")]
        self._check(expected)
        state = {name: self._read(name_there) for name, name_there in names.items()}
        state["action_encoder.weight"] = state["action_encoder.weight"].squeeze(-1)
        model.load_state_dict(
            {"proprio_embedding": torch.zeros(0, dtype=torch.float32, device="cpu")} | state, assign=True
        )
        return model.eval()

    def _settings(self) -> dict[str, Any]:
        """Infer the constructor's arguments."""
        _, tokens, width = self._shape("predictor.pos_embedding", 3)
        rows, _ = self._shape(f"{_LAYERS}.0.0.to_qkv.weight", 2)
        mlp_dim, _ = self._shape(f"{_LAYERS}.0.1.net.1.weight", 2)
        action_embed_dim, action_dim, _ = self._shape("action_encoder.patch_embed.weight", 3)
        proprio_dim = self._shape("proprio_encoder.patch_embed.bias", 1)[0] if self.has_proprio else 0
        dim = width - action_embed_dim - proprio_dim
        if dim < 1:
            self.refuse(
                f"predictor.pos_embedding must be wider than the embeddings of action ({action_embed_dim}) and "
                f"proprioception ({proprio_dim}), got {width}"
            )
        heads = self.modules.get(f"{_LAYERS}.0.0", {}).get("heads", rows // (3 * 64))  # DINO-WM's are 64 wide
        if not isinstance(heads, int) or heads < 1 or rows % (3 * heads):
            self.refuse(f"{_LAYERS}.0.0.to_qkv.weight must have 3 × {heads!r} heads × a width rows, got {rows}")
        num_patches = self._num_patches(tokens)
        return {
            "dim": dim,
            "action_dim": action_dim,
            "num_patches": num_patches,
            "num_frames": tokens // num_patches,
            "depth": sum(name.startswith(f"{_LAYERS}.") and name.count(".") == 3 for name in self.modules),
            "heads": heads,
            "dim_head": rows // (3 * heads),
            "mlp_dim": mlp_dim,
            "action_embed_dim": action_embed_dim,
            "proprio_dim": proprio_dim,
        }

    def _num_patches(self, tokens: int) -> int:
        """Return how many of a window's tokens are one frame's: the first row of the mask sees just those."""
        name = f"{_LAYERS}.0.0.bias"
        record = self.modules.get(f"{_LAYERS}.0.0", {}).get("bias")
        if not isinstance(record, TensorRecord) or record.shape != (1, 1, tokens, tokens):
            got = record.shape if isinstance(record, TensorRecord) else _kind(record)
            self.refuse(f"{name} must be the causal mask, a tensor of shape {(1, 1, tokens, tokens)}, got {got}")
        mask = self._tensor(name, record)[0, 0] != 0
        num_patches = max(1, int(mask[0].sum()))
        frame = torch.arange(tokens, dtype=torch.int64, device="cpu") // num_patches
        if tokens % num_patches or not torch.equal(mask, frame[:, None] >= frame):
            self.refuse(f"{name} must be a mask of frames of equal size that see themselves and earlier ones")
        return num_patches

    def _check(self, expected: dict[str, tuple[int, ...]]) -> None:
        """Refuse tensors that are missing, not expected, or of another shape."""
        if missing := [name for name in expected if name not in self.records]:
            self.refuse(f"missing tensors {missing}")
        if unexpected := [name for name in self.records if name not in expected]:
            self.refuse(f"unexpected tensors {unexpected}")
        for name, shape in expected.items():
            if self.records[name].shape != shape:
                self.refuse(f"{name} must have shape {shape}, got {self.records[name].shape}")

    def _shape(self, name: str, axes: int) -> tuple[int, ...]:
        """Return the shape of a tensor that must be there and have so many axes."""
        if name not in self.records:
            self.refuse(f"missing tensors {[name]}")
        shape = self.records[name].shape
        if not isinstance(shape, tuple) or len(shape) != axes or not all(type(n) is int and n > 0 for n in shape):
            self.refuse(f"{name} must have {axes} axes, got shape {shape}")
        return shape

    def _read(self, name: str) -> Tensor:
        return self._tensor(name, self.records[name])

    def _tensor(self, name: str, record: TensorRecord) -> Tensor:
        """Read a tensor as float32."""
        value = self.file.read(record, name).float()
        if not value.isfinite().all():
            self.refuse(f"{name} has numbers that are not finite")
        return value


def _kind(value: object) -> str:
    """Say what was found in an error."""
    if isinstance(value, Inert):
        return f"an object of {value.origin}, which was not loaded"
    return "None" if value is None else f"a {type(value).__name__}"
