"""Push-T: push a T-shaped block to its place."""

from .env import PushTEnv, PushTVectorEnv

__all__ = ["PushTEnv", "PushTVectorEnv"]
