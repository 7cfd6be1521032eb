"""Frames that COSMOS predicts, through diffusers.

Source: arXiv 2507.19468, appendix C.2. Its numbers are of the autoregressive models, which diffusers does not have: it
has those of diffusion. Letters: ``T`` frames that are seen, ``F`` frames that the pipeline is given and makes.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate, pad

from ...checks import check_whole
from ...encoders.pretrained import checked_dtype, import_extra, quiet, recorded_name

Frames = NDArray[np.uint8]


class CosmosFrames:
    """Predict frames by a pipeline of diffusers that goes on with a video.

    It is for :class:`~wmcontrol.forecasting.baselines.FrameForecaster`.

    Frames are scaled to fit into the pipeline's, with black bands around them, and what is predicted is scaled back
    without the bands. A function of it is the same for the same frames: noise is drawn by the seed anew in every call.

    Args:
        pipeline: such as diffusers' ``CosmosVideoToWorldPipeline``.
        size: height and width that it works at, pixels; the paper's model works at 640 by 1024.
        context_frames: that it is given, the newest of those that are seen; the paper's is given 9.
        num_frames: of what it makes, those that it is given included: 1 more than a multiple of 8.
        num_steps: of denoising.
        prompt: what the video is said to show.
        seed: of the noise.
        name: that tells its weights from others.

    Raises:
        ValueError: a setting is not what is expected; it is named.
    """

    def __init__(
        self,
        pipeline: Any,
        *,
        size: tuple[int, int] = (704, 1280),
        context_frames: int = 9,
        num_frames: int = 33,
        num_steps: int = 36,
        prompt: str = "",
        seed: int = 0,
        name: str = "",
    ):
        for key, value in (("context_frames", context_frames), ("num_frames", num_frames), ("num_steps", num_steps)):
            check_whole(key, value)
        for side in size:
            check_whole("size", side)
        if num_frames <= context_frames:
            raise ValueError(f"num_frames: expected more than context_frames, {context_frames}, got {num_frames}")
        self.pipeline, self.size = pipeline, (int(size[0]), int(size[1]))
        self.context_frames, self.num_frames, self.num_steps = context_frames, num_frames, num_steps
        self.prompt, self.seed, self.name = prompt, seed, name

    @staticmethod
    def load(
        path: str | Path, *, dtype: str = "bfloat16", device: str | torch.device = "cpu", **settings: Any
    ) -> "CosmosFrames":
        """Load a pipeline from files that are already here: nothing is downloaded.

        Args:
            path: a folder in diffusers' format, or a name in the local Hugging Face cache, such as
                "nvidia/Cosmos-1.0-Diffusion-7B-Video2World".
            dtype: to compute in, float32, bfloat16 or float16.
            device: where it works.
            settings: of :class:`CosmosFrames`.

        Raises:
            ImportError: diffusers is not installed, or torchvision, or cosmos_guardrail, which the licence of COSMOS
                asks for.
            OSError: there is no such pipeline.
        """
        cls = import_extra("diffusers", "cosmos", "DiffusionPipeline")
        name, kind = recorded_name(path), checked_dtype(dtype)
        try:
            with quiet(import_extra("diffusers.utils.logging", "cosmos")):
                pipeline = cls.from_pretrained(name, torch_dtype=kind, local_files_only=True, use_safetensors=True)
        except OSError as error:
            raise OSError(
                f"{name!r} holds no pipeline of diffusers, model_index.json and a folder for each part, and is none in "
                f"the local Hugging Face cache: {error}. Weights are never downloaded unasked; run: hf download {name}"
            ) from error
        import_extra("torchvision", "cosmos")  # diffusers notices only in the middle that it is not there
        pipeline.set_progress_bar_config(disable=True)
        return CosmosFrames(pipeline.to(device), name=name, **settings)

    def __repr__(self) -> str:
        settings = {key: value for key, value in vars(self).items() if key != "pipeline"}
        return f"CosmosFrames({type(self.pipeline).__name__}, {settings})"

    def __call__(self, frames: Frames, count: int) -> Frames:
        """Predict the frames (count, height, width, 3) after frames (T, height, width, 3).

        Raises:
            ValueError: there are too few, or more are asked for than the pipeline makes.
        """
        C = self.context_frames
        if len(frames) < C:
            raise ValueError(
                f"frames: this pipeline is given {C}, got {len(frames)}; forecast with "
                f"protocol={{context_frames:{C},step:1,short:3,mid:9}}, or change baseline.context_frames"
            )
        if count > self.num_frames - C:
            raise ValueError(
                f"frames: this pipeline makes {self.num_frames - C} after those that it is given, got {count} to "
                "predict; change baseline.num_frames"
            )
        given, (top, left, height, width) = self._fitted(frames[-C:])
        made = self.pipeline(
            video=given,
            prompt=self.prompt,
            height=self.size[0],
            width=self.size[1],
            num_frames=self.num_frames,
            num_inference_steps=self.num_steps,
            generator=torch.Generator("cpu").manual_seed(self.seed),
            output_type="np",
        ).frames[0]
        if len(made) < C + count:
            raise ValueError(f"pipeline: expected {self.num_frames} frames, got {len(made)}")
        cut = torch.from_numpy(np.asarray(made, np.float32))[C : C + count, top : top + height, left : left + width]
        scaled = interpolate(cut.permute(0, 3, 1, 2), frames.shape[1:3], mode="bilinear", antialias=True)
        found: Frames = (scaled.permute(0, 2, 3, 1) * 255).round().clamp(0, 255).to(torch.uint8).numpy()
        return found

    def _fitted(self, frames: Frames) -> tuple[Any, tuple[int, int, int, int]]:
        """Return frames (F, *size, 3), from 0 to 1, with black bands, and where in them the given ones are."""
        sides = frames.shape[1:3]
        scale = min(full / side for full, side in zip(self.size, sides, strict=True))
        height, width = (min(full, round(scale * side)) for full, side in zip(self.size, sides, strict=True))
        top, left = (self.size[0] - height) // 2, (self.size[1] - width) // 2
        images = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
        scaled = interpolate(images, (height, width), mode="bilinear", antialias=True)
        whole = pad(scaled, (left, self.size[1] - width - left, top, self.size[0] - height - top))
        return whole.permute(0, 2, 3, 1).numpy(), (top, left, height, width)
