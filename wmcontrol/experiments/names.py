"""Short names of the environments: ``env=wall`` for ``wmcontrol/Wall-v0``."""

import gymnasium as gym

from .. import ENV_IDS
from .errors import UsageError, did_you_mean

# "pusht", "wall", "pointmaze_umaze" and so on; "pointmaze" is the small one, which the paper uses.
_IDS = {env_id.split("/")[1].removesuffix("-v0").lower(): env_id for env_id in ENV_IDS}
SHORT_NAMES = {**_IDS, "pointmaze": _IDS["pointmaze_umaze"]}


def env_id_of(name: str) -> str:
    """Return the Gymnasium id of a short name; an id that Gymnasium knows, also ``module:id``, is returned as it is.

    Raises:
        UsageError: there is no such environment.
    """
    if name.lower() in SHORT_NAMES:
        return SHORT_NAMES[name.lower()]
    if ":" in name:  # Gymnasium imports the module when it makes the environment
        return name
    try:
        gym.spec(name)
    except gym.error.Error as error:
        if "/" not in name and "-" not in name:
            raise did_you_mean("environment", name, SHORT_NAMES) from error
        raise UsageError(" ".join(str(error).split())) from error
    return name
