"""V-JEPA 2's own encoder and predictor.

Source: arXiv 2507.19468, appendix C.2, and for surprise Garrido et al., arXiv 2502.11831. Letters: ``B`` windows at
once, ``T`` frames of one, ``K`` tiles of a frame, ``P`` patches of a tile, ``D`` numbers of a token, ``U`` tubelets,
each of two frames that share one set of tokens.
"""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from ...encoders import VideoFrameEncoder
from ...encoders.files import encoder_digest
from ..forecasters import Forecaster, Times, Window


class VJEPA(Forecaster):
    """Foresee by masked tokens of the tubelets that follow, up to the one that is asked for.

    The encoder sees the frames as one clip; where they are odd the first is left out. What is foreseen stands in the
    place of normalised tokens, see :class:`~wmcontrol.encoders.VideoFrameEncoder`, which heads are to be trained on. A
    published folder has one encoder, which encodes what is seen and what is compared with it. Surprise is measured
    against the tokens of the window as a clip.

    Args:
        weights: a folder, or a name in the local Hugging Face cache. For example models/vjepa2-vitl-fpc64-256.
        image_size: frames are resized to squares of this side; null takes them as they come. For example 256.
        dtype: of the parameters and tokens, float32, bfloat16 or float16. For example bfloat16.
        device: where it works.

    Raises:
        ImportError: transformers is not installed.
        OSError: the weights are not here, or incomplete.
        ValueError: a model of another family, or a setting out of range.
    """

    encoder: VideoFrameEncoder

    def __init__(
        self,
        weights: str | Path,
        image_size: int | None = None,
        dtype: str = "float32",
        *,
        device: str | torch.device = "cpu",
    ):
        self.device = torch.device(device)
        self.encoder = VideoFrameEncoder(weights, image_size=image_size, dtype=dtype).to(self.device)

    def digest(self) -> str:
        """Return a digest of settings and weights."""
        return encoder_digest(self.encoder)

    @torch.no_grad()
    def foresee(self, seen: Window, asked: Sequence[Times]) -> list[Tensor]:
        """Foresee frames in steps as those of the frames that are seen.

        Raises:
            ValueError: fewer than two frames are seen, or times are not in their step.
        """
        B, C, K = seen.tokens.shape[:3]
        span = self.encoder.span
        steps = [seen.steps_to(times) for times in asked]  # of two frames or more
        clips = self._clips(seen, C % span)  # (B * K, T, height, width, 3)
        T = clips.shape[1]
        given = self.encoder.of_clips(clips)  # (B * K, U, P, D)
        U = given.shape[1]
        found = []
        for ahead in steps:
            tubelets = [(T + step - 1) // span - U for step in ahead]
            foreseen = self._predict(given, max(tubelets) + 1)[:, tubelets]
            found.append(foreseen.view(B, K, *foreseen.shape[1:]).transpose(1, 2))
        return found

    @torch.no_grad()
    def targets(self, window: Window, seen: int) -> Tensor:
        """Return the tokens of the window as a clip, in tubelets as those that are foreseen."""
        B, F, K = window.tokens.shape[:3]
        span = self.encoder.span
        clips = self._clips(window, seen % span)
        short = -clips.shape[1] % span
        clips = torch.cat([clips, clips[:, -1:].expand(-1, short, -1, -1, -1)], 1)
        tokens = self.encoder.normalised(self.encoder.of_clips(clips)).repeat_interleave(span, 1)
        after = tokens[:, seen - seen % span :][:, : F - seen]
        return after.view(B, K, *after.shape[1:]).transpose(1, 2)

    def _clips(self, window: Window, start: int) -> Tensor:
        """Return the frames of every window and tile from one on, (B * K, T, height, width, 3)."""
        frames = window.read()[:, start:]
        tiles = window.cut(frames.flatten(0, 1))  # (B * T, K, …)
        return tiles.view(*frames.shape[:2], *tiles.shape[1:]).transpose(1, 2).flatten(0, 1).to(self.device)

    def _predict(self, given: Tensor, count: int) -> Tensor:
        """Return tokens (N, count, P, D) of the tubelets after those that are given (N, U, P, D)."""
        N, U, P, _ = given.shape
        numbers = torch.arange((U + count) * P, dtype=torch.int64, device=given.device).expand(N, -1)
        output = self.encoder.model.predictor(
            encoder_hidden_states=given.flatten(1, 2),
            context_mask=[numbers[:, : U * P]],
            target_mask=[numbers[:, U * P :]],
        )
        tokens: Tensor = output.last_hidden_state
        return tokens.view(N, count, P, -1)
