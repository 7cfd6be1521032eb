"""Policies for collecting, each by what it does to the real physics."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from foreign_envs import BALL
from naming import naming

from wmcontrol.agents import load_policy
from wmcontrol.data import Provenance, Trajectory, TrajectoryDataset, policies
from wmcontrol.data.collecting import collect_batches
from wmcontrol.data.policies.common import lasting_noise
from wmcontrol.data.policies.maze_waypoint import cell_of, next_cells
from wmcontrol.data.policies.wall import way_through
from wmcontrol.envs.pointmaze.mazes import cells

PUSHT, WALL, MAZE = "wmcontrol/PushT-v0", "wmcontrol/Wall-v0", "wmcontrol/PointMaze_UMaze-v0"
CENTER = 255.5


class Recorded(TrajectoryDataset):
    """Trajectories in memory."""

    def __init__(self, trajectories: list[Trajectory]):
        self.trajectories = trajectories
        self.lengths = np.array([len(t) for t in trajectories])
        self.control_rate, self.env_id, self.action_bounds = 10.0, PUSHT, None

    def trajectory(self, index: int) -> Trajectory:
        return self.trajectories[index]

    def fingerprint(self) -> str:
        return "memory"


def recorded(states: np.ndarray, actions: np.ndarray, name: str = "0") -> Trajectory:
    return Trajectory(
        times=np.arange(len(states)) / 10,
        provenance=Provenance("memory", Path("memory"), name),
        states=states.astype(float),
        actions=actions.astype(float),
    )


def episodes(name: str, env_id: str, count: int, seed: int = 0, batch: int = 64, **settings: Any) -> list[Trajectory]:
    asked = settings.pop("settings", None)
    policy = getattr(policies, name)(env_id, **settings)
    lists = collect_batches(env_id, policy, count, seed=seed, batch=batch, env_settings=asked)
    return [trajectory for some in lists for trajectory in some]


@pytest.fixture(scope="module")
def pushed() -> list[Trajectory]:
    return episodes("pushes", PUSHT, 64)


@pytest.fixture(scope="module")
def demonstrated() -> Recorded:
    """Demonstrations made by pushing: relative actions, states with velocities."""
    return Recorded(episodes("pushes", PUSHT, 20, seed=5, num_frames=80))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: policies.waypoint(WALL), naming("waypoint", "wmcontrol/PointMaze_UMaze-v0", "wmcontrol/Wall-v0")),
        (lambda: policies.door(PUSHT), naming("door", "wmcontrol/Wall-v0", "'wmcontrol/PushT-v0'")),
        (lambda: policies.pushes(WALL), "wmcontrol/PushT-v0"),
        (lambda: policies.noisy_replay(WALL, Recorded([])), "wmcontrol/PushT-v0"),
        (lambda: policies.random("CartPole-v1"), naming("'CartPole-v1'", "wmcontrol/PushT-v0")),
        (lambda: policies.from_agent("CartPole-v1", None), "'CartPole-v1'"),
        (lambda: policies.random(WALL, num_frames=1), "num_frames"),
        (lambda: policies.random(WALL, hold=3), naming("hold", "wmcontrol/Wall-v0", 3)),
        (lambda: policies.random(MAZE, hold=0.5), naming("hold", 0.5)),
        (lambda: policies.random(WALL, num_frames=(20, 10)), "num_frames"),
    ],
)
def test_what_there_is_not_is_refused_with_what_there_is(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("env_id", "hold", "lasts"), [(MAZE, None, 1), (MAZE, 4, 4), (PUSHT, 4, 4), (BALL, None, 5)])
def test_random_actions_last_as_long_as_asked(env_id: str, hold: float | None, lasts: float) -> None:
    settings = {} if hold is None else {"hold": hold}
    changes = [
        (np.diff(each.actions, axis=0) != 0).any(1)
        for each in episodes("random", env_id, 20, num_frames=101, **settings)
    ]
    mean = 1 / np.mean(changes)
    assert mean == pytest.approx(lasts, rel=0.15)


@pytest.mark.parametrize(
    ("name", "env_id", "settings"),
    [
        ("random", WALL, {}),
        ("door", WALL, {"settings": {"layout": "random"}}),
        ("random", MAZE, {}),
        ("random", MAZE, {"hold": 3}),
        ("waypoint", MAZE, {}),
        ("random", PUSHT, {}),
        ("pushes", PUSHT, {}),
        ("noisy_replay", PUSHT, {}),
    ],
)
def test_episodes_depend_on_the_seed_and_not_on_the_batch(
    name: str, env_id: str, settings: dict, demonstrated: Recorded
) -> None:
    if name == "noisy_replay":
        settings = {"demonstrations": demonstrated}
    settings = {"num_frames": (20, 60), **settings}
    one, many = (episodes(name, env_id, 6, batch=batch, **settings) for batch in (1, 4))
    other = episodes(name, env_id, 6, seed=1, **settings)
    for a, b, c in zip(one, many, other, strict=True):
        assert np.array_equal(a.states, b.states)
        assert np.array_equal(a.actions, b.actions)
        assert np.abs(a.actions).max() <= 1
        assert not np.array_equal(a.actions, c.actions)


@pytest.mark.parametrize(("env_id", "low", "high"), [(WALL, 50, 50), (MAZE, 100, 100), (PUSHT, 100, 300)])
def test_episodes_are_as_long_as_the_references(env_id: str, low: int, high: int) -> None:
    lengths = [len(t) for t in episodes("random", env_id, 12)]
    assert low <= min(lengths) <= max(lengths) <= high
    assert (len(set(lengths)) > 5) == (low < high)


@pytest.mark.parametrize("env_id", [MAZE, PUSHT])
def test_random_actions_are_uniform(env_id: str) -> None:
    actions = np.concatenate([t.actions for t in episodes("random", env_id, 40, num_frames=101)])
    for values in actions.T:
        shares = np.histogram(values, 10, (-1, 1))[0] / len(values)
        assert shares == pytest.approx(0.1, abs=0.02)  # 4 standard deviations of 4,000 draws


def test_random_walks_drift_and_a_third_of_them_cross() -> None:
    walks = episodes("random", WALL, 300)
    steps = np.concatenate([np.linalg.norm(t.actions, axis=1) for t in walks])
    assert steps.min() == pytest.approx(0.2, abs=0.02)
    assert 0.85 < steps.mean() < 1
    crossed = np.mean([np.ptp(np.sign(t.states[:, 0] - 32)) == 2 for t in walks])
    assert 0.25 < crossed < 0.45  # a standard deviation is 0.027
    # How alike successive headings are: the mean of cos under von Mises' kappa of 5 is 0.893, with clipping a bit more.
    turns = [np.diff(np.unwrap(np.arctan2(*t.actions.T[::-1]))) for t in walks]
    assert np.cos(np.concatenate(turns)).mean() == pytest.approx(0.893, abs=0.06)


@pytest.mark.parametrize("layout", ["fixed", "random"])
def test_the_door_policy_gets_through_wherever_the_door_is(layout: str) -> None:
    found = episodes("door", WALL, 100, settings={"layout": layout})
    walls = [float(t.variation["wall_position"][0]) if t.variation else 32.0 for t in found]
    changes = [np.count_nonzero(np.diff(t.states[:, 0] > wall)) for t, wall in zip(found, walls, strict=True)]
    assert np.mean([count >= 1 for count in changes]) > 0.9
    assert np.mean([count >= 2 for count in changes]) > 0.15


@pytest.mark.parametrize("x", [28.6, 35.4])  # the dot touches the wall
@pytest.mark.parametrize("target", [[10.0, 50.0], [54.0, 12.0]])
def test_the_way_through_the_door_leads_to_the_target_from_anywhere(x: float, target: list[float]) -> None:
    env: Any = gym.make(WALL, obs_type="state", terminate_on_success=False)
    for y in (5.0, 20.0, 30.0, 50.0):
        env.reset(seed=0, options={"state": [x, y]})
        for _ in range(80):
            way = way_through(env.unwrapped.get_state(), np.array(target), 32, 30) - env.unwrapped.get_state()
            env.step(way / max(2, np.abs(way).max()))
        assert np.linalg.norm(env.unwrapped.get_state() - target) < 1
    env.close()


@pytest.mark.parametrize("maze", ["UMaze", "Medium", "Large"])
def test_the_waypoint_policy_gets_everywhere_and_farther_than_chance(maze: str) -> None:
    env_id = f"wmcontrol/PointMaze_{maze}-v0"
    visited = {
        policy: [{cell_of(state[:2]) for state in t.states} for t in episodes(policy, env_id, 80, num_frames=100)]
        for policy in ("random", "waypoint")
    }
    mean = {policy: np.mean([len(found) for found in runs]) for policy, runs in visited.items()}
    assert mean["waypoint"] > 1.3 * mean["random"]
    free = {tuple(cell) for cell in cells(maze.lower(), free=True).astype(int).tolist()}
    assert set.union(*visited["waypoint"]) == free
    assert set(next_cells(maze.lower(), (1, 1))) == free


def displacements(trajectories: list[Trajectory]) -> tuple[np.ndarray, np.ndarray]:
    """How far the block moves (pixels) and turns (degrees) in 25 steps."""
    changes = np.concatenate([t.states[25:] - t.states[:-25] for t in trajectories])
    turns = (changes[:, 4] + np.pi) % (2 * np.pi) - np.pi
    return np.hypot(changes[:, 2], changes[:, 3]), np.abs(np.rad2deg(turns))


# Of the human demonstrations: the quarters of how far the block moves (pixels) and turns (degrees) in 25 steps.
HUMAN_WAY, HUMAN_TURN = (8.5, 28.6, 65.5), (3.2, 13.0, 39.8)


def test_pushes_move_the_block_about_as_far_as_people_do(pushed: list[Trajectory]) -> None:
    ways, turns = displacements(pushed)
    assert np.quantile(ways, (0.5, 0.75)) == pytest.approx(HUMAN_WAY[1:], rel=0.35)
    assert np.quantile(turns, (0.5, 0.75)) == pytest.approx(HUMAN_TURN[1:], rel=0.5)
    chance, _ = displacements(episodes("random", PUSHT, 16))
    assert np.median(ways) > 5 * np.median(chance)


def test_pushes_come_from_all_sides_and_keep_the_block_in_the_field(pushed: list[Trajectory]) -> None:
    states = np.concatenate([t.states for t in pushed])
    assert np.mean((states[:, 2:4] > 60) & (states[:, 2:4] < 452)) > 0.97
    actions = np.concatenate([t.actions for t in pushed])
    headings = np.histogram(np.arctan2(*actions.T), 8, (-np.pi, np.pi))[0] / len(actions)
    assert headings.min() > 0.08


def test_lasting_noise_has_unit_variance_and_the_correlation_asked_for() -> None:
    noise = lasting_noise(np.random.default_rng(0), 20_000, 2, 0.8)
    assert noise.std() == pytest.approx(1, abs=0.05)
    assert np.mean(noise[1:] * noise[:-1]) == pytest.approx(0.8, abs=0.05)


# The eight symmetries of the field: quarter turns, with or without left and right exchanged before.


def turned(points: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
    x, y = (points - CENTER).T
    x = -x if mirrored else x
    for _ in range(quarters):
        x, y = -y, x
    return np.stack([x, y], -1) + CENTER


def turned_states(states: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
    angle = (-1 if mirrored else 1) * states[:, 4] + quarters * np.pi / 2
    places = [turned(states[:, i : i + 2], quarters, mirrored) for i in (0, 2)]
    return np.concatenate([*places, angle[:, None] % (2 * np.pi)], 1)


SYMMETRIES = [(quarters, mirrored) for mirrored in (False, True) for quarters in range(4)]


def apart(a: np.ndarray, b: np.ndarray) -> float:
    """How far states are from each other: pixels, and radians times 100."""
    change = a[:, :5] - b[:, :5]
    change[:, 4] = 100 * ((change[:, 4] + np.pi) % (2 * np.pi) - np.pi)
    return float(np.abs(change).max())


@pytest.mark.parametrize(("quarters", "mirrored"), SYMMETRIES[1:])
def test_the_physics_has_the_symmetries_that_the_replay_uses(quarters: int, mirrored: bool) -> None:
    env: Any = gym.make(PUSHT, obs_type="state", action_mode="absolute", terminate_on_success=False)
    rng = np.random.default_rng(quarters)
    start = np.array([[150.0, 260, 260, 240, 0.3]])
    # Through the block, from several sides.
    targets = np.array([[300, 260], [330, 150], [250, 270], [200, 330], [260, 330]]).repeat(6, 0) + rng.normal(
        0, 9, (30, 2)
    )
    runs = []
    for states, actions in (
        (start, targets),
        (turned_states(start, quarters, mirrored), turned(targets, quarters, mirrored)),
    ):
        env.reset(seed=0, options={"state": states[0]})
        runs.append([states[0]])
        for action in actions:
            env.step(action)
            runs[-1].append(env.unwrapped.get_state()[:5])
    env.close()
    original, copy = map(np.array, runs)
    assert np.linalg.norm(np.ptp(original[:, 2:4], axis=0)) > 50, "the block is pushed"
    assert apart(turned_states(original, quarters, mirrored), copy) < 0.01


def replayed(dataset: TrajectoryDataset, count: int, monkeypatch: pytest.MonkeyPatch, noise: float) -> list[Trajectory]:
    monkeypatch.setattr("wmcontrol.data.policies.replay._NOISE", (noise, noise))
    return episodes("noisy_replay", PUSHT, count, num_frames=20, demonstrations=dataset)


def test_without_noise_a_replay_does_what_was_demonstrated(monkeypatch: pytest.MonkeyPatch) -> None:
    # A demonstration of which nothing but the beginning can be replayed: 41 actions, of which 40 must be left.
    whole = episodes("pushes", PUSHT, 4, seed=5, num_frames=120)
    pieces = [recorded(t.states[60:102], t.actions[60:101], str(i)) for i, t in enumerate(whole)]
    at_rest = []  # replays start at rest, so the demonstration must
    env: Any = gym.make(PUSHT, obs_type="state", terminate_on_success=False)
    for piece in pieces:
        env.reset(seed=0, options={"state": piece.states[0, :5]})
        states = [env.unwrapped.get_state()]
        for action in piece.actions:
            env.step(action)
            states.append(env.unwrapped.get_state())
        at_rest.append(recorded(np.array(states), piece.actions))
    env.close()
    found = set()
    for replay in replayed(Recorded(at_rest), 40, monkeypatch, 0.0):
        candidates = [
            (apart(turned_states(piece.states[first : first + 20], *symmetry), replay.states), i, symmetry)
            for i, piece in enumerate(at_rest)
            for first in (0, 1)
            for symmetry in SYMMETRIES
        ]
        way, which, symmetry = min(candidates)
        assert way < 3  # what a start in motion, one step in, leaves
        found.add((which, symmetry))
    assert {which for which, _ in found} == {0, 1, 2, 3}
    assert {symmetry for _, symmetry in found} == set(SYMMETRIES)


def test_noise_leads_away_from_what_was_demonstrated(demonstrated: Recorded, monkeypatch: pytest.MonkeyPatch) -> None:
    exact = replayed(demonstrated, 10, monkeypatch, 0.0)
    noisy = replayed(demonstrated, 10, monkeypatch, 20.0)
    for a, b in zip(exact, noisy, strict=True):
        assert np.array_equal(a.states[0], b.states[0])
        way = np.linalg.norm(a.states[1:, :2] - b.states[1:, :2], axis=1).mean()
        assert 3 < way < 60


def test_relative_and_absolute_demonstrations_replay_alike(demonstrated: Recorded) -> None:
    absolute = [recorded(t.states[:, :5], t.states[:-1, :2] + 100 * t.actions) for t in demonstrated.trajectories]
    a = episodes("noisy_replay", PUSHT, 5, demonstrations=demonstrated)
    b = episodes("noisy_replay", PUSHT, 5, demonstrations=Recorded(absolute))
    for one, other in zip(a, b, strict=True):
        assert np.allclose(one.states[:10], other.states[:10], atol=1e-6)


def test_replays_go_on_beyond_a_demonstration_and_stay_in_the_field(demonstrated: Recorded) -> None:
    replays = episodes("noisy_replay", PUSHT, 24, num_frames=300, demonstrations=demonstrated)
    late = [recorded(t.states[200:], t.actions[200:]) for t in replays]
    ways, _ = displacements(late)
    assert np.median(ways) > 10, "the block goes on being pushed"
    blocks = np.concatenate([t.states[:, 2:4] for t in replays])
    assert np.mean((blocks > 50) & (blocks < 462)) > 0.97


def test_replays_of_people_move_the_block_about_as_far_as_people_do(demonstrations: dict) -> None:
    parts = np.split(np.arange(len(demonstrations["state"])), demonstrations["episode_ends"][:-1])
    people = [recorded(demonstrations["state"][part], demonstrations["action"][part[:-1]]) for part in parts]
    human_ways, human_turns = displacements(people)
    assert np.quantile(human_ways, (0.25, 0.5, 0.75)) == pytest.approx(HUMAN_WAY, abs=0.1)
    assert np.quantile(human_turns, (0.25, 0.5, 0.75)) == pytest.approx(HUMAN_TURN, abs=0.1)
    ways, turns = displacements(episodes("noisy_replay", PUSHT, 64, demonstrations=Recorded(people)))
    assert np.quantile(ways, (0.5, 0.75)) == pytest.approx(HUMAN_WAY[1:], rel=0.3)
    assert np.quantile(turns, (0.5, 0.75)) == pytest.approx(HUMAN_TURN[1:], rel=0.5)


@pytest.mark.parametrize(
    ("states", "actions", "message"),
    [
        (np.zeros((60, 4)), np.zeros((59, 2)), "Push-T"),
        (np.zeros((60, 7)), np.zeros((59, 3)), "Push-T"),
        (np.zeros((30, 7)), np.zeros((29, 2)), naming(40)),
    ],
)
def test_a_data_set_that_cannot_be_replayed_is_refused(states: np.ndarray, actions: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        policies.noisy_replay(PUSHT, Recorded([recorded(states, actions)]))


def test_a_data_set_without_actions_is_refused_by_its_record() -> None:
    video = Trajectory(times=np.arange(50.0), provenance=Provenance("video", Path("film.mp4"), "clip_3"))
    with pytest.raises(ValueError, match="clip_3"):
        policies.noisy_replay(PUSHT, Recorded([video]))


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tiny policies, trained for a few steps."""
    sb3 = pytest.importorskip("stable_baselines3")
    folder = tmp_path_factory.mktemp("policies")
    wall = gym.make(WALL, obs_type="state")
    small = {"device": "cpu", "seed": 0}
    ppo = sb3.PPO(
        "MultiInputPolicy", wall, n_steps=16, batch_size=16, n_epochs=1, policy_kwargs={"net_arch": [8]}, **small
    )
    ppo.learn(32).save(folder / "ppo")
    sac = sb3.SAC(
        "MultiInputPolicy",
        gym.make(PUSHT, obs_type="state", action_mode="absolute"),
        learning_starts=8,
        batch_size=8,
        policy_kwargs={"net_arch": [8]},
        **small,
    )
    sac.learn(16).save(folder / "sac")
    seen = gym.make(WALL, obs_type="pixels", image_size=36)
    looks = sb3.PPO(
        "MultiInputPolicy", seen, n_steps=8, batch_size=8, n_epochs=1, policy_kwargs={"net_arch": [8]}, **small
    )
    looks.learn(8).save(folder / "looks")
    sb3.PPO("MlpPolicy", gym.make("Pendulum-v1"), n_steps=8, batch_size=8, **small).save(folder / "other")
    return folder


def test_a_trained_policy_does_what_it_predicts(trained: Path) -> None:
    import stable_baselines3

    model = stable_baselines3.PPO.load(trained / "ppo.zip", device="cpu")
    trajectory = episodes("from_agent", WALL, 5, agent=load_policy("PPO", trained / "ppo.zip"), num_frames=12)[3]
    env: Any = gym.make(WALL, obs_type="state")
    observation, _ = env.reset(seed=0, options={"state": trajectory.states[0]})
    env.close()
    # The goal was another, drawn by the episode's own seed, and moves an untrained network a little.
    action = np.clip(model.predict(observation, deterministic=True)[0], -1, 1)
    assert np.abs(trajectory.actions[0] - action).max() < 0.5
    assert np.abs(trajectory.actions).max() > 0


@pytest.mark.parametrize(
    ("algorithm", "file", "env_id"), [("PPO", "ppo", WALL), ("PPO", "looks", WALL), ("SAC", "sac", PUSHT)]
)
def test_trained_policies_collect_the_same_whatever_the_batch(
    algorithm: str, file: str, env_id: str, trained: Path
) -> None:
    agent = load_policy(algorithm, trained / f"{file}.zip")
    one, many = (episodes("from_agent", env_id, 4, batch=batch, agent=agent, num_frames=8) for batch in (1, 4))
    for a, b in zip(one, many, strict=True):
        assert np.array_equal(a.states, b.states)
        assert np.array_equal(a.actions, b.actions)


def test_a_trained_policy_is_given_the_environment_that_it_was_trained_in(trained: Path) -> None:
    def settings(algorithm: str, file: str, env_id: str) -> Any:
        return policies.from_agent(env_id, load_policy(algorithm, trained / file)).env_settings

    assert settings("PPO", "ppo.zip", WALL) == {}
    assert settings("PPO", "looks.zip", WALL) == {"obs_type": "pixels_state", "image_size": 36}
    assert settings("SAC", "sac.zip", PUSHT) == {"action_mode": "absolute"}


def test_a_policy_for_something_else_is_refused(trained: Path) -> None:
    for file, env_id, settings, fact in (
        ("other", WALL, {}, "lowest values"),
        ("sac", WALL, {}, "lowest values"),
        ("ppo", MAZE, {}, "lowest values"),
        ("ppo", WALL, {"layout": "random"}, r"shape \(2,\)"),
    ):
        agent = load_policy("SAC" if file == "sac" else "PPO", trained / f"{file}.zip")
        with pytest.raises(ValueError, match=fact):
            collect_batches(env_id, policies.from_agent(env_id, agent), 1, seed=0, env_settings=settings)
