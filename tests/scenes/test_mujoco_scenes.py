"""Scenes of MuJoCo: bodies fall, and masks and depths are what rays of the camera meet."""

from typing import Any

import numpy as np
import pytest

from wmcontrol.scenes import CLASSES_3D, Clip, Scene3D, SceneDataset3D, Solid
from wmcontrol.scenes import mujoco_scenes as module

SIZE = (40, 56)


@pytest.fixture(scope="module")
def data() -> SceneDataset3D:
    return SceneDataset3D(seed=1, num_clips=50, image_size=SIZE, num_frames=3, frame_rate=5.0)


@pytest.fixture(scope="module")
def clip(data: SceneDataset3D) -> Clip:
    try:
        return data[4]
    except OSError as error:
        pytest.skip(str(error))


def test_a_clip_has_the_arrays_that_it_says(clip: Clip) -> None:
    assert (clip.frames.shape, clip.frames.dtype) == ((3, *SIZE, 3), np.uint8)
    for labels, dtype in ((clip.classes, np.uint8), (clip.instances, np.uint8), (clip.depth, np.float32)):
        assert (labels.shape, labels.dtype) == ((3, *SIZE), dtype)
    np.testing.assert_allclose(clip.times, np.arange(3) / 5)
    assert len(np.unique(clip.frames.reshape(-1, 3), axis=0)) > 100


def test_a_thing_is_of_one_class(clip: Clip, data: SceneDataset3D) -> None:
    kinds = {thing.instance: thing.kind for thing in data.scene(4).things}
    seen = np.unique(clip.instances[clip.instances > 0]).tolist()
    assert len(seen) > 2
    for instance in seen:
        assert np.unique(clip.classes[clip.instances == instance]).tolist() == [CLASSES_3D.index(kinds[instance])]
    assert set(np.unique(clip.classes[clip.instances == 0]).tolist()) == {0, 1}


def test_masks_and_depths_are_what_rays_meet(clip: Clip, data: SceneDataset3D) -> None:
    classes, instances, depths = _met_by_rays(data.scene(4), 2)
    same = clip.instances[2] == instances
    assert same.mean() > 0.97  # edges are those of triangles
    assert (clip.classes[2] == classes)[same].all()
    errors = np.abs(clip.depth[2] - depths)[same]
    assert errors.max() < 0.2
    assert errors.mean() < 0.01


def _met_by_rays(scene: Scene3D, t: int) -> Any:
    """Classes, instances and depths of what a ray through the middle of each pixel meets first, (3, height, width)."""
    import mujoco  # chooses its way of drawing when it is imported, so after wmcontrol

    model = mujoco.MjModel.from_xml_string(module._drawn(scene))
    state = mujoco.MjData(model)
    state.mocap_pos[:], state.mocap_quat[:] = scene.poses[t, :, :3], scene.poses[t, :, 3:]
    mujoco.mj_forward(model, state)
    *middle, distance, azimuth, elevation = scene.camera[t].tolist()
    a, e = np.deg2rad([azimuth, elevation])
    forward = np.array([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)])
    right = np.array([np.sin(a), -np.cos(a), 0.0])
    pixel = 2 * np.tan(np.deg2rad(model.vis.global_.fovy) / 2) / SIZE[0]
    found = np.empty((3, *SIZE))
    for row, column in np.ndindex(SIZE):
        x, y = (column + 0.5 - SIZE[1] / 2) * pixel, (SIZE[0] / 2 - row - 0.5) * pixel
        ray = forward + x * right + y * np.cross(right, forward)
        length, geom = float(np.linalg.norm(ray)), np.zeros(1, np.int32)
        far = mujoco.mj_ray(model, state, middle - distance * forward, ray / length, None, 1, -1, geom)
        met = [("floor", 0), ("wall", 0), *((thing.kind, thing.instance) for thing in scene.things)][int(geom[0])]
        found[:, row, column] = CLASSES_3D.index(met[0]), met[1], far / length
    return found


def of_bodies(scene: Scene3D) -> Any:
    """Places (T, K, 3) of what moves by itself."""
    return scene.poses[:, [thing.kind not in ("obstacle", "occluder") for thing in scene.things], :3]


def start(place: list[float], velocity: list[float]) -> Any:
    return np.array([[*place, 1, 0, 0, 0, *velocity, 0, 0, 0]])


def moved(body: Solid, begin: Any, num_frames: int = 30) -> Any:
    return module.simulate_3d([body], begin, [], np.empty((0, 7)), num_frames, 15.0)[:, 0]


def test_a_thrown_body_is_on_its_parabola_at_each_frame() -> None:
    ball = Solid("ball", 1, np.array([0.5]), ((0, 0, 0), (0, 0, 0)))
    poses = moved(ball, start([0, 0, 90], [2.0, -1.0, 4.0]))
    t = np.arange(30) / 15
    np.testing.assert_allclose(poses[:, :3], np.stack([2 * t, -t, 90 + 4 * t - 9.81 * t**2 / 2], -1), atol=1e-9)


@pytest.mark.parametrize("elasticity", [0.0, 0.4, 0.9])
def test_what_is_left_of_a_speed_is_about_the_elasticity(elasticity: float) -> None:
    ball = Solid("ball", 1, np.array([0.5]), ((0, 0, 0), (0, 0, 0)), elasticity=elasticity, friction=0.0)
    x = moved(ball, np.array(start([0, 8, 0.5], [0, 3.0, 0])))[:, 1]  # against the wall
    assert x.max() < 9.55
    assert (x[-2] - x[-1]) * 15 == pytest.approx(3 * elasticity, abs=0.6)


def test_scenes_are_the_same_in_any_order_and_stay_above_the_floor(data: SceneDataset3D) -> None:
    again = SceneDataset3D(seed=1, num_clips=60, image_size=SIZE, num_frames=3, frame_rate=5.0)
    for number in (30, 2):
        one, other = data.scene(number), again.scene(number)
        assert module._drawn(one) == module._drawn(other)
        for name in ("poses", "visible", "camera", "times"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        assert of_bodies(one)[..., 2].min() > 0.2
    assert module._drawn(data.scene(30)) != module._drawn(data.scene(31))


def test_no_body_gets_faster_than_falling_makes_it() -> None:
    scenes = SceneDataset3D(seed=7, num_clips=25, event_share=0.0)
    fastest = [
        np.linalg.norm(np.diff(of_bodies(scene), axis=0), axis=-1).max() * 15 for scene in map(scenes.scene, range(25))
    ]
    # The fastest start, from the greatest height.
    assert max(fastest) < np.sqrt(5**2 + 1.5**2 + 6**2 + 2 * 9.81 * 6.5)
