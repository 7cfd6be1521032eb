"""Encoders: frames to patch tokens, frozen."""

from .encoder import Encoder
from .pyramid import PyramidEncoder

__all__ = ["Encoder", "PyramidEncoder"]
