"""wmcontrol: planning with latent video world models.

Importing the package registers its environments with Gymnasium: ``wmcontrol/PushT-v0``, ``wmcontrol/Wall-v0`` and
``wmcontrol/PointMaze_{UMaze,Medium,Large}-v0``. Physics engines and drawing are imported when one of them is made.
"""

from importlib.metadata import version

from .envs import ENV_IDS, register_envs

__version__ = version("wmcontrol")
__all__ = ["ENV_IDS", "__version__"]

register_envs()
