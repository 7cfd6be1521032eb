"""wmcontrol: planning with latent video world models.

Importing the package registers its environments with Gymnasium: ``wmcontrol/PushT-v0``, ``wmcontrol/Wall-v0`` and
``wmcontrol/PointMaze_{UMaze,Medium,Large}-v0``. Physics engines, drawing and torch are imported when they are needed.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from .envs import ENV_IDS, register_envs

if TYPE_CHECKING:
    from .encoders import Encoder, PyramidEncoder, TransformersEncoder
    from .models import ActionConditioned, ActionNormalizer, Context, Predictor, WorldModel

__version__ = version("wmcontrol")
# Where the names are that need torch; imported when first asked for.
_LAZY = {
    "ActionConditioned": "models",
    "ActionNormalizer": "models",
    "Context": "models",
    "Encoder": "encoders",
    "Predictor": "models",
    "PyramidEncoder": "encoders",
    "TransformersEncoder": "encoders",
    "WorldModel": "models",
}
__all__ = [
    "ENV_IDS",
    "ActionConditioned",
    "ActionNormalizer",
    "Context",
    "Encoder",
    "Predictor",
    "PyramidEncoder",
    "TransformersEncoder",
    "WorldModel",
    "__version__",
]

register_envs()


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'wmcontrol' has no attribute {name!r}")
    return getattr(import_module(f".{_LAZY[name]}", __name__), name)


def __dir__() -> list[str]:
    return __all__
