"""Small true files of every kind, which cases change: the tests' own makers write them."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

TESTS = Path(__file__).parents[1]


def make_all(root: Path) -> None:
    """Write every set into a folder of its own."""
    sys.path[:0] = [str(TESTS / name) for name in (".", "data", "models", "evaluation", "agents")]
    for name, maker in MAKERS.items():
        (root / name).mkdir(parents=True)
        maker(root / name)
    _outside(root / "outside")


def _dino_wm(kind: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import test_dino_wm_layout as layout

        getattr(layout, f"write_{kind}")(folder)

    return make


def _d4rl(folder: Path) -> None:
    import test_d4rl_layout as layout

    layout.save(folder / "maze2d-umaze-v1.hdf5", layout.generated())


def _minari(folder: Path) -> None:
    import minari_helpers as helpers

    helpers.write(folder, helpers.episodes(3, size=16, variation="all"))


def _minari_unfinished(folder: Path) -> None:
    """What a collection that was killed leaves; the next episodes of it are added by the case."""
    import minari_helpers as helpers

    from wmcontrol.data.formats.minari_writer import MinariWriter

    writer = MinariWriter(folder, **helpers.SETTINGS)
    writer.add(helpers.episodes(2, size=16))


def _minari_foreign(folder: Path) -> None:
    import test_minari as layout

    rng = np.random.default_rng(0)
    seen = [
        {
            "position": rng.normal(size=(T, 2)),
            "camera": rng.integers(0, 256, (T, 8, 8, 3), dtype=np.uint8),
            "desired_goal": rng.normal(size=(T, 2)),
        }
        for T in (5, 6)
    ]
    spaces = {
        "position": {"type": "Box", "dtype": "float64", "shape": [2], "low": [-1, -1], "high": [1, 1]},
        "camera": {"type": "Box", "dtype": "uint8", "shape": [8, 8, 3]},
        "desired_goal": {"type": "Box", "dtype": "float64", "shape": [2], "low": [-1, -1], "high": [1, 1]},
    }
    action = {"type": "Box", "dtype": "float32", "shape": [2], "low": [-1, -1], "high": [1, 1]}
    layout.foreign(
        folder,
        seen,
        env={"id": "someone/Env-v0", "kwargs": {"speed": 2}},
        total_steps=9,
        observation_space=json.dumps({"type": "Dict", "subspaces": spaces}),
        action_space=json.dumps(action),
    )


def _minari_maze(folder: Path) -> None:
    import test_minari as layout

    seen = [
        {
            "observation": np.tile([0.0, 0.0, 0.1, 0.0], (T, 1)),
            "desired_goal": np.zeros((T, 2)),
            "achieved_goal": np.zeros((T, 2)),
        }
        for T in (4, 5)
    ]
    layout.foreign(folder, seen, env={"id": "PointMaze_UMaze-v3", "kwargs": {"maze_map": layout.UMAZE}}, total_steps=7)


def _minari_arrow(folder: Path) -> None:
    import gymnasium as gym
    from minari.data_collector.episode_buffer import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

    box = gym.spaces.Box(-1, 1, (3,), np.float32)
    storage = MinariStorage.new(folder / "data", box, gym.spaces.Box(-1, 1, (2,), np.float32), data_format="arrow")
    rng = np.random.default_rng(0)
    for number, T in enumerate((5, 6)):
        buffer = EpisodeBuffer(
            id=number,
            observations=list(rng.uniform(-1, 1, (T, 3)).astype(np.float32)),
            actions=list(rng.uniform(-1, 1, (T - 1, 2)).astype(np.float32)),
            rewards=[0.0] * (T - 1),
            terminations=[False] * (T - 1),
            truncations=[False] * (T - 1),
            infos={},
        )
        storage.update_episodes([buffer])
    storage.update_metadata({"dataset_id": "someone/arrow-v0", "minari_version": "0.5.4"})


def _zarr(zarr_format: int, zip_it: bool) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import shutil

        import test_diffusion_policy as layout

        path = layout.write(folder / "set.zarr", layout.arrays_of(), zarr_format)
        if zip_it:
            layout.zipped(path)
            shutil.rmtree(path)

    return make


def _lerobot(folder: Path) -> None:
    import test_lerobot as layout

    layout.write_set(folder)


def _lerobot_2(folder: Path) -> None:
    import test_lerobot as layout

    layout.write_version_2(folder)
    features = {layout.TOP: {"dtype": "image", "shape": [6, 7, 3]}, "action": {"dtype": "float32", "shape": [2]}}
    layout.change_info(folder, features=features)
    for episode, table in enumerate(sorted(folder.glob("data/*/*.parquet"))):
        layout.put_images(table, [*map(layout.png, layout.pictures_of(episode))])


def _lewm(folder: Path) -> None:
    import test_lewm as layout

    layout.write(folder / "set.h5", layout.columns_of())


def _robomimic(folder: Path) -> None:
    import test_robomimic as layout

    layout.write(folder / "image.hdf5")


def _plain(writer: str) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        import test_plain as layout

        layout.WRITERS[writer](folder / "set", layout.grouped(), {"control_rate": 10.0})

    return make


def _videos(folder: Path) -> None:
    import videos

    films = [videos.picture(number, 16, 16) for number in range(6)]
    videos.write_video(folder / "a.mp4", range(0, 240, 40), frames=films)
    videos.write_video(folder / "b.mkv", [0, 40, 100, 140, 200, 260], frames=films, codec="ffv1", pix_fmt="bgr0")
    videos.write_video(folder / "c.webm", range(0, 240, 40), frames=films, codec="libvpx")


def _video_actions(folder: Path) -> None:
    import test_video_actions as layout

    layout.write(folder)
    layout.write_parquet(folder / "b", layout.actions_of("b"))
    (folder / "b.csv").unlink()


def _store(folder: Path) -> None:
    import test_latent_store as stores

    made = stores.encode(stores.Memory(), stores.encoder(), folder)
    for file in made.folder.iterdir():
        file.rename(folder / file.name)
    made.folder.rmdir()


def _model(folder: Path) -> None:
    import test_world_model as models

    models.world_model(token_std=tuple(0.1 * (i + 1) for i in range(models.D))).save(folder)


def _dino_wm_checkpoint(folder: Path) -> None:
    import test_dino_wm as checkpoints

    checkpoints.write(folder / "model_latest.pth", checkpoints.checkpoint())


def _evaluation(folder: Path) -> None:
    import gymnasium as gym
    from walks_data import Walks

    from wmcontrol.agents import RandomAgent
    from wmcontrol.evaluation import DatasetTasks, evaluate

    space = gym.make("wmcontrol/Wall-v0").action_space
    evaluate(RandomAgent(space), DatasetTasks(Walks(3), 4), file=folder / "tasks.jsonl")


def _outside(folder: Path) -> None:
    """Files that no set has a right to: good ones, so that who opens them has no other reason to stop."""
    import h5py
    import test_lerobot as lerobot
    import videos

    folder.mkdir()
    with h5py.File(folder / "canary.hdf5", "w") as file:
        for name in ("observations", "actions", "pixels", "action", "state", "data"):
            file[name] = np.zeros((64, 4), np.float32)
        file["many"] = np.zeros(100_000, np.float32)
    (folder / "canary.bin").write_bytes(bytes(1 << 16))
    (folder / "canary.json").write_text("{}")
    videos.write_video(folder / "canary.mp4", range(0, 400, 40))
    lerobot.write_table(folder / "canary.parquet", [lerobot.rows_of(0)])


MAKERS: dict[str, Callable[[Path], None]] = {
    "dino_wm_pusht": _dino_wm("pusht"),
    "dino_wm_maze": _dino_wm("maze"),
    "dino_wm_wall": _dino_wm("wall"),
    "d4rl": _d4rl,
    "minari": _minari,
    "minari_unfinished": _minari_unfinished,
    "minari_foreign": _minari_foreign,
    "minari_maze": _minari_maze,
    "minari_arrow": _minari_arrow,
    "zarr2": _zarr(2, False),
    "zarr3": _zarr(3, False),
    "zarr_zip": _zarr(2, True),
    "lerobot": _lerobot,
    "lerobot_2": _lerobot_2,
    "lewm": _lewm,
    "robomimic": _robomimic,
    "plain_hdf5": _plain("hdf5"),
    "plain_npz": _plain("npz"),
    "videos": _videos,
    "video_actions": _video_actions,
    "store": _store,
    "model": _model,
    "dino_wm_checkpoint": _dino_wm_checkpoint,
    "evaluation": _evaluation,
}
