"""Frames: where things are drawn, how large, in what colour; and what happens without a display."""

import os

import gymnasium as gym
import numpy as np
import pytest

import wmcontrol
from wmcontrol.envs import goal_env
from wmcontrol.envs.canvas import Camera, draw_discs, draw_polygons, rectangle, supersample
from wmcontrol.envs.registration import register_envs

ALL = pytest.mark.parametrize("env_id", wmcontrol.ENV_IDS)
WHITE = np.full((1, 1, 3), 255.0)


def camera(size: int) -> Camera:
    """One world unit per pixel; the middle of the first pixel is at 0."""
    return Camera(np.array([[-0.5, -0.5]]), float(size))


def area_and_centroid(frame: np.ndarray) -> tuple[float, np.ndarray]:
    weight = frame[..., 0] / 255
    rows, columns = np.mgrid[: frame.shape[0], : frame.shape[1]]
    return weight.sum(), np.array([(weight * columns).sum(), (weight * rows).sum()]) / weight.sum()


@pytest.mark.parametrize("radius", [1.9, 4.0, 12.5])
def test_discs_have_their_area_and_place_at_sub_pixel_precision(radius: float) -> None:
    rng = np.random.default_rng(0)
    for center in rng.uniform(20, 44, (50, 2)):
        frames = np.zeros((1, 64, 64, 3), np.uint8)
        draw_discs(frames, camera(64), center[None, None], np.array([[radius]]), WHITE)
        area, centroid = area_and_centroid(frames[0])
        assert area == pytest.approx(np.pi * radius**2, rel=0.08)
        np.testing.assert_allclose(centroid, center, atol=0.1)


def test_polygons_have_their_area_and_place_in_either_orientation() -> None:
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(50):
        center, angle = rng.uniform(20, 44, 2), rng.uniform(0, 6.28)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        corners = rectangle(-7.5, -1.9, 7.5, 1.9) @ turn + center
        for orientation in (corners, corners[::-1]):
            frames = np.zeros((1, 64, 64, 3), np.uint8)
            draw_polygons(frames, camera(64), orientation[None, None], WHITE)
            area, centroid = area_and_centroid(frames[0])
            areas.append(area)
            np.testing.assert_allclose(centroid, center, atol=0.15)
    assert np.mean(areas) == pytest.approx(15 * 3.8, rel=0.02)
    np.testing.assert_allclose(areas, 15 * 3.8, rtol=0.1)


def test_supersampling_gives_exact_edges() -> None:
    def paint(frames: np.ndarray) -> None:
        wide = Camera(np.zeros((1, 2)), 8.0)
        draw_polygons(frames, wide, rectangle(1.25, 2, 5.5, 6)[None, None], WHITE)

    picture = supersample(8, paint)[..., 0] / 255
    np.testing.assert_allclose(picture[3], [0, 0.75, 1, 1, 1, 0.5, 0, 0], atol=0.1)
    np.testing.assert_allclose(picture[:, 3], [0, 0, 1, 1, 1, 1, 0, 0], atol=0.1)


@ALL
@pytest.mark.parametrize("size", [32, 65, 96, 224])
def test_any_size_shows_the_same_picture(env_id: str, size: int) -> None:
    large = gym.make(env_id, image_size=size * 4).reset(seed=0)[0]["pixels"].astype(float)
    small = gym.make(env_id, image_size=size).reset(seed=0)[0]["pixels"].astype(float)
    averaged = large.reshape(size, 4, size, 4, 3).mean((1, 3))
    assert 10 * np.log10(255**2 / np.square(small - averaged).mean()) > 27


@ALL
def test_render_shows_the_goal_and_pixels_do_not(env_id: str) -> None:
    env = gym.make(env_id, image_size=200, render_mode="rgb_array", render_size=200)
    first, _ = env.reset(seed=0)
    rendered = env.render()
    assert rendered.shape == (200, 200, 3)
    goal = first["desired_goal"] * 0.2 + first["achieved_goal"] * 0.8  # nearer, and still a possible one
    goal[-1] = first["desired_goal"][-1]
    state = env.unwrapped.get_state()
    try:
        second, _ = env.reset(options={"state": state, "goal_state": goal})
    except ValueError:
        second, _ = env.reset(seed=1)
        second, _ = env.reset(options={"state": state, "goal_state": second["desired_goal"]})
    np.testing.assert_array_equal(first["pixels"], second["pixels"])
    assert np.any(first["goal_pixels"] != second["goal_pixels"])
    assert np.any(rendered != env.render())


@ALL
def test_default_render_size_is_512_and_rendering_is_optional(env_id: str) -> None:
    env = gym.make(env_id, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (512, 512, 3)
    silent = gym.make(env_id).unwrapped
    silent.reset(seed=0)
    assert silent.render() is None


def test_the_pusht_agent_is_where_its_pixels_are() -> None:
    env = gym.make("wmcontrol/PushT-v0", image_size=64)
    variation = {"agent_color": [255, 0, 0], "block_color": [255] * 3, "goal_color": [255] * 3, "wall_color": [255] * 3}
    for x, y in np.random.default_rng(0).uniform(40, 470, (20, 2)):
        state = [x, y, 256, 256, 0]
        frame = env.reset(options={"state": state, "goal_state": state, "variation": variation})[0]["pixels"]
        _, centroid = area_and_centroid(255 - frame[..., 1:])
        np.testing.assert_allclose((centroid + 0.5) * 8 - 0.5, [x, y], atol=1.5)


def test_the_dot_is_under_the_wall() -> None:
    env = gym.make("wmcontrol/Wall-v0", image_size=65)
    frame = env.reset(options={"state": [28, 50], "goal_state": [50, 50]})[0]["pixels"]
    np.testing.assert_allclose(frame[50, 28], [255, 0, 0], atol=5)
    np.testing.assert_array_equal(frame[50, 30], [0, 0, 0])
    np.testing.assert_array_equal(frame[20, 15], [255, 255, 255])


def test_no_window_without_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(RuntimeError, match='render_mode="rgb_array"'):
        gym.make("wmcontrol/Wall-v0", render_mode="human")
    # Then it is not among what Gymnasium's checker tries.
    assert gym.make("wmcontrol/Wall-v0").unwrapped.metadata["render_modes"] == ["rgb_array"]


def test_no_window_with_a_headless_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(goal_env.cv2, "getBuildInformation", lambda: "  GUI:                           NONE\n")
    with pytest.raises(RuntimeError, match="opencv-python"):
        gym.make("wmcontrol/Wall-v0", render_mode="human")


def test_with_a_display_frames_go_to_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[np.ndarray] = []
    closed: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(goal_env.cv2, "getBuildInformation", lambda: "  GUI:                           QT5\n")
    monkeypatch.setattr(goal_env.cv2, "imshow", lambda _, frame: shown.append(frame.copy()))
    monkeypatch.setattr(goal_env.cv2, "waitKey", lambda _: -1)
    monkeypatch.setattr(goal_env.cv2, "destroyWindow", closed.append)
    env = gym.make("wmcontrol/Wall-v0", render_mode="human", render_size=100)
    env.reset(seed=0)
    env.step(np.float32([1, 0]))
    env.close()
    env.close()
    assert [frame.shape for frame in shown] == [(100, 100, 3)] * 2
    expected = gym.make("wmcontrol/Wall-v0", render_mode="rgb_array", render_size=100)
    expected.reset(seed=0)
    np.testing.assert_array_equal(shown[0][..., ::-1], expected.render())
    assert closed == ["WallEnv"]


@pytest.mark.parametrize("mode", ["ansi", "depth_array"])
@pytest.mark.filterwarnings("ignore:.*not in the possible render_modes:UserWarning")
def test_unknown_render_modes_are_refused(mode: str) -> None:
    with pytest.raises(ValueError, match="render_mode"):
        gym.make("wmcontrol/Wall-v0", render_mode=mode)


@pytest.mark.parametrize(("there", "expected"), [(True, "egl"), (False, None)])
def test_mujoco_is_told_to_draw_by_egl_only_where_that_is(
    there: bool, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> None:
        if not there:
            raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr("ctypes.CDLL", load)
    monkeypatch.setattr("sys.platform", "linux")
    for name in ("DISPLAY", "MUJOCO_GL"):
        monkeypatch.delenv(name, raising=False)
    register_envs()
    assert os.environ.get("MUJOCO_GL") == expected
    monkeypatch.setenv("MUJOCO_GL", "osmesa")
    register_envs()
    assert os.environ["MUJOCO_GL"] == "osmesa"
