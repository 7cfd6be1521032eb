"""Environments with goals: Push-T, Wall and PointMaze.

They are made by ``gymnasium.make`` and ``gymnasium.make_vec``; :data:`ENV_IDS` lists the ids. ``import wmcontrol``
registers them (Gymnasium 1.0 gave up registration by entry points).
"""

from gymnasium.envs.registration import register, registry

# id: (module, class prefix, settings, steps until truncation as in the references)
_ENVIRONMENTS: dict[str, tuple[str, str, dict[str, str], int]] = {
    "wmcontrol/PushT-v0": ("pusht", "PushT", {}, 300),
    "wmcontrol/Wall-v0": ("wall", "Wall", {}, 300),
    "wmcontrol/PointMaze_UMaze-v0": ("pointmaze", "PointMaze", {"maze": "umaze"}, 300),
    "wmcontrol/PointMaze_Medium-v0": ("pointmaze", "PointMaze", {"maze": "medium"}, 600),
    "wmcontrol/PointMaze_Large-v0": ("pointmaze", "PointMaze", {"maze": "large"}, 800),
}
ENV_IDS = tuple(_ENVIRONMENTS)


def register_envs() -> None:
    """Register all ids, once. Nothing is imported until an environment is made."""
    for env_id, (module, name, settings, steps) in _ENVIRONMENTS.items():
        if env_id not in registry:
            register(
                id=env_id,
                entry_point=f"wmcontrol.envs.{module}:{name}Env",
                vector_entry_point=f"wmcontrol.envs.{module}:{name}VectorEnv",
                kwargs=settings,
                max_episode_steps=steps,
            )
