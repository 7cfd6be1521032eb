"""Encoders: frames to patch tokens, frozen.

:class:`PyramidEncoder` needs nothing but torch. The others need an extra of the package, which is imported when one of
them is made, and weights, which are never downloaded unasked.
"""

from .efficientnet_encoder import EfficientNetEncoder
from .encoder import Encoder
from .pyramid import PyramidEncoder
from .registry import ENCODERS, build_encoder, encoder_name, register_encoder
from .timm_encoder import TimmEncoder
from .transformers_encoder import TransformersEncoder
from .vae_encoder import VAEEncoder
from .video_encoder import VideoEncoder, VideoFrameEncoder

__all__ = [
    "ENCODERS",
    "EfficientNetEncoder",
    "Encoder",
    "PyramidEncoder",
    "TimmEncoder",
    "TransformersEncoder",
    "VAEEncoder",
    "VideoEncoder",
    "VideoFrameEncoder",
    "build_encoder",
    "encoder_name",
    "register_encoder",
]
