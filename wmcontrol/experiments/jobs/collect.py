"""``wmcontrol collect``."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ..errors import UsageError
from ..keys import key
from ..names import env_id_of
from ..reader_keys import open_data, reader_key
from ..record import results_folder


@dataclass
class Config:
    """Collect trajectories in an environment with a policy, and save them as a Minari data set.

    The same keys give the same file. Killed, it goes on where it stopped when the same line is run again.

    Policies: random everywhere; door in Wall; waypoint in the mazes; pushes and noisy-replay in Push-T; and
    sb3:ALGORITHM:FILE, a policy that Stable-Baselines3 saved, as sb3:SAC:policy.zip, or a class of another package, as
    sb3:sb3_contrib.TQC:policy.zip.
    """

    example: ClassVar[str] = "env=wall policy=door episodes=18500 seed=1 out=data/wall"

    env: str = key("the environment: a short name, or a Gymnasium id of ours", example="wall")
    policy: str = key("who acts", default="random", example="door")
    episodes: int = key("how many episodes", default=2000, at_least=1, example="18500")
    seed: int = key("which episodes", default=0, at_least=0, example="1")
    out: Path | None = key(
        "the folder to save them in; by default under outputs/collect", default=None, example="data/wall"
    )
    frames: list[int] | None = key(
        "how many frames an episode has, or from how many to how many; by default as in DINO-WM's sets: 50 in Wall, "
        "100 in the mazes, 100 to 300 in Push-T",
        default=None,
        at_least=2,
        example="100,300",
    )
    demonstrations: Path | None = key(
        "the trajectories that noisy-replay replays, in any layout", default=None, example="pusht_cchi_v7_replay.zarr"
    )
    reader: dict[str, Any] = reader_key()
    vecnormalize: Path | None = key(
        "the file that VecNormalize.save wrote, for an sb3 policy that was trained behind VecNormalize",
        default=None,
        example="vecnormalize.pkl",
    )
    keep_pixels: int | None = key(
        "save frames with this side in pixels; by default states only, of which frames are drawn when they are read",
        default=None,
        at_least=1,
        example="64",
    )
    settings: dict[str, Any] = key("settings of the environment", default={}, example="{layout:random,variation:all}")

    def __post_init__(self) -> None:
        if self.frames is not None and len(self.frames) not in (1, 2):
            raise ValueError(f"frames: expected a number, or two for from and to; got {len(self.frames)} of them")
        if self.frames is not None and self.frames[0] > self.frames[-1]:
            raise ValueError(f"frames: expected the fewest first, got {self.frames[0]} and then {self.frames[1]}")
        if (self.demonstrations is not None) != (self.policy == "noisy-replay"):
            needs = "needs demonstrations=PATH, the trajectories to replay"
            told = needs if self.demonstrations is None else "takes none"
            raise ValueError(f"policy={self.policy} {told}; demonstrations are what policy=noisy-replay replays")
        if self.reader and self.demonstrations is None:
            raise ValueError("without demonstrations=PATH nothing is read; leave reader out")


def run(config: Config) -> None:
    """Collect them."""
    env_id = env_id_of(config.env)
    from ...data.collecting import collect_batches
    from ..collecting import collect_into

    lengths = (config.frames[0], config.frames[-1]) if config.frames else None
    try:
        policy = _policy(config, env_id, lengths)
        # What it refuses, it refuses now, and not when a folder has been begun.
        collect_batches(env_id, policy, config.episodes, seed=config.seed, env_settings=config.settings)
    except (ImportError, OSError, ValueError) as error:
        raise UsageError(str(error)) from error
    statistics = {} if config.vecnormalize is None else {"vecnormalize": str(config.vecnormalize)}
    name = "_".join([config.env.replace("/", "-"), config.policy.split(":")[0], str(config.episodes), str(config.seed)])
    out = results_folder("collect", config, config.out or Path("outputs/collect") / name)
    collect_into(
        out,
        env_id,
        policy,
        config.episodes,
        seed=config.seed,
        env_settings=config.settings,
        keep_pixels=config.keep_pixels,
        settings={"policy": config.policy, "seed": config.seed, "frames": config.frames, **statistics},
    )


def _policy(config: Config, env_id: str, lengths: tuple[int, int] | None) -> Any:
    from ...agents import load_policy
    from ...data import policies

    kind, algorithm, path = (*config.policy.split(":", 2), "", "")[:3]
    if kind == "sb3":
        agent = load_policy(algorithm, path, vecnormalize=config.vecnormalize)
        return policies.from_agent(env_id, agent, num_frames=lengths)
    if config.vecnormalize is not None:
        raise ValueError(f"{kind!r} takes no vecnormalize; it is for sb3:ALGORITHM:FILE")
    name = kind.replace("-", "_")
    if name not in policies.__all__:
        raise ValueError(f"there is no policy {kind!r}; there is {', '.join(policies.__all__)}")
    given = {"demonstrations": open_data(config.demonstrations, config.reader)} if config.demonstrations else {}
    return getattr(policies, name)(env_id, num_frames=lengths, **given)
