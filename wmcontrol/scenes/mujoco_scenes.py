"""Scenes in three dimensions: MuJoCo moves bodies and draws them, their masks and depths.

Coordinates are metres: x to the right, y away from the camera, z up from the floor.

Letters: ``T`` frames, ``K`` bodies, ``L`` occluders.
"""

from contextlib import closing
from typing import Any, NamedTuple

import numpy as np

from .free import raised
from .looks import color
from .records import Clip
from .scene import Floats

CLASSES_3D = ("wall", "floor", "obstacle", "occluder", "ball", "box", "cylinder", "capsule")
_BODIES = {"ball": "sphere", "box": "box", "cylinder": "cylinder", "capsule": "capsule"}
_STEPS_PER_SECOND = 960  # with a quarter of them, contacts that bounce blow up
_WALL = 10.0  # y of the wall
_TRIES = 40  # places tried for a body before it is left out
_SAMPLES = 4  # of a pixel, for edges


class Scene3D(NamedTuple):
    """Things, and all that happens.

    Attributes:
        xml: the model, as MuJoCo reads it; geoms are named ``CLASS INSTANCE``.
        poses: (T, K, 7) of the bodies, position and quaternion, as MuJoCo's ``qpos`` has them.
        screens: (T, L, 3) where the occluders are.
        cameras: (T, 6) x, y and z of what is in the middle, metres from it, azimuth and elevation in degrees.
        times: (T,) seconds.
    """

    xml: str
    poses: Floats
    screens: Floats
    cameras: Floats
    times: Floats


def scene_3d(rng: np.random.Generator, num_frames: int, frame_rate: float, aspect: float) -> Scene3D:
    """Return a scene of 3 to 6 bodies, up to 2 obstacles and up to 2 occluders; arguments as of ``free_scene``."""
    import mujoco

    times = np.arange(num_frames) / frame_rate
    materials, geoms = _room(rng)
    taken: list[tuple[Floats, float]] = []  # places and sizes
    instance = 1
    for _ in range(int(rng.integers(0, 3))):
        materials += _material(rng, instance, 0.25, rng.uniform(0.2, 0.4))
        place, size, turn = _obstacle(rng, aspect)
        taken.append((place, float(np.linalg.norm(size))))
        geoms += _geom("obstacle", instance, "box", size, f'pos="{_text(place)}" axisangle="0 1 0 {turn:.6g}"')
        instance += 1
    velocities = []
    for _ in range(int(rng.integers(3, 7))):
        kind = str(rng.choice([*_BODIES]))
        size, reach = _size(rng, kind)
        where = _free_place(rng, aspect, reach, taken)
        if where is None:
            continue
        taken.append((where, reach))
        towards = -np.sign(where[0]) if rng.uniform() < 0.8 else 1.0
        fast = [towards * rng.uniform(0.5, 5.0), rng.uniform(-1.5, 1.5), rng.uniform(-2.0, 6.0)]
        velocities.append([*fast, *rng.uniform(-5, 5, 3)])
        materials += _material(rng, instance, rng.uniform(0.65, 1.0), rng.uniform(0.7, 1.0))
        # Contacts damped less than critically bounce; with still less damping, squeezed bodies gain energy.
        bounce = f'solref="0.015 {rng.uniform(0.15, 0.35):.6g}" priority="1" friction="{rng.uniform(0.2, 0.6):.6g}"'
        turned = rng.normal(size=4)
        geom = _geom(kind, instance, _BODIES[kind], size, bounce)
        geoms += f'<body pos="{_text(where)}" quat="{_text(turned)}"><freejoint/>{geom}</body>'
        instance += 1
    screens = np.empty((num_frames, 0, 3))
    for _ in range(int(rng.integers(0, 3))):
        size, path = _screen(rng, times, aspect)
        materials += _material(rng, instance, rng.uniform(0.0, 0.3), rng.uniform(0.75, 0.95))
        geom = _geom("occluder", instance, "box", size, 'contype="0" conaffinity="0"')
        geoms += f'<body mocap="true">{geom}</body>'
        screens = np.concatenate([screens, path[:, None]], 1)
        instance += 1
    xml = _MODEL.format(materials=materials, geoms=geoms, samples=_SAMPLES)
    model = mujoco.MjModel.from_xml_string(xml)
    poses = _simulate(model, np.array(velocities).reshape(-1, 6), num_frames, frame_rate)
    return Scene3D(xml, poses, screens, _cameras(rng, times), times)


def draw_3d(scene: Scene3D, size: tuple[int, int]) -> Clip:
    """Draw all frames of a scene, and label them.

    Args:
        scene: what to draw.
        size: height and width of the frames, pixels.

    Raises:
        OSError: MuJoCo cannot draw here.
    """
    import mujoco

    model = mujoco.MjModel.from_xml_string(scene.xml)
    height, width = size
    model.vis.global_.offheight, model.vis.global_.offwidth = size
    names = [model.geom(k).name.split() for k in range(model.ngeom)]
    # The last one is of nothing, which no pixel should show: the wall goes on beyond what is seen.
    classes = np.array([*(CLASSES_3D.index(kind) for kind, _ in names), 0], np.uint8)
    instances = np.array([*(int(number) for _, number in names), 0], np.uint8)
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    frames = np.empty((len(scene.times), height, width, 3), np.uint8)
    seen = np.empty((len(scene.times), height, width), np.intp)
    depth = np.empty((len(scene.times), height, width), np.float32)
    with closing(_renderer(model, size)) as renderer:
        for t, (*middle, distance, azimuth, elevation) in enumerate(scene.cameras.tolist()):
            data.qpos[:], data.mocap_pos[:] = scene.poses[t].ravel(), scene.screens[t]
            mujoco.mj_forward(model, data)
            camera.lookat = middle
            camera.distance, camera.azimuth, camera.elevation = distance, azimuth, elevation
            renderer.update_scene(data, camera)
            frames[t] = renderer.render()
            renderer.enable_depth_rendering()
            depth[t] = renderer.render()
            renderer.disable_depth_rendering()
            renderer.enable_segmentation_rendering()
            seen[t] = renderer.render()[..., 0]
            renderer.disable_segmentation_rendering()
    return Clip(frames, classes[seen], instances[seen], depth, scene.times)


def _renderer(model: Any, size: tuple[int, int]) -> Any:
    import mujoco

    try:
        return mujoco.Renderer(model, *size)
    except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
        raise OSError(
            "MuJoCo cannot draw here: it needs a display, or EGL or OSMesa, which MUJOCO_GL=egl or osmesa chooses: "
            f"{error}"
        ) from error


def _simulate(model: Any, velocities: Floats, num_frames: int, frame_rate: float) -> Floats:
    """Let bodies move that begin with velocities (K, 6), and return their poses (T, K, 7)."""
    import mujoco

    steps = max(1, round(_STEPS_PER_SECOND / frame_rate))
    model.opt.timestep = 1 / (frame_rate * steps)
    data = mujoco.MjData(model)
    data.qvel[:] = velocities.ravel()
    # Half a step of gravity back: positions then lie on the parabola, and not beside it.
    data.qvel[2::6] -= 0.5 * model.opt.gravity[2] * model.opt.timestep
    poses = np.empty((num_frames, len(velocities), 7))
    for t in range(num_frames):
        poses[t] = data.qpos.reshape(-1, 7)
        mujoco.mj_step(model, data, steps)
    return poses


_MODEL = """
<mujoco>
  <option gravity="0 0 -9.81" cone="elliptic"/>
  <statistic extent="10" center="0 2 2"/>
  <visual>
    <quality offsamples="{samples}" shadowsize="512"/>
    <map znear="0.1" zfar="6" shadowclip="2"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
  </visual>
  <asset>{materials}</asset>
  <worldbody>
    <light directional="true" pos="-4 -6 12" dir="0.3 0.5 -1" diffuse="0.5 0.5 0.5" specular="0.1 0.1 0.1"/>
    {geoms}
  </worldbody>
</mujoco>
"""


def _room(rng: np.random.Generator) -> tuple[str, str]:
    """Return materials and geoms of the wall and the floor."""
    materials = ""
    for name, repeat in (("wall", rng.uniform(0.1, 0.5)), ("floor", rng.uniform(0.2, 0.6))):
        hue, value = rng.uniform(), rng.uniform(0.35, 0.65)
        one, other = color(hue, 0.2, value), color(hue, 0.2, value + rng.uniform(0.04, 0.12))
        materials += (
            f'<texture name="{name}" type="2d" builtin="checker" width="128" height="128" rgb1="{_rgb(one)}" '
            f'rgb2="{_rgb(other)}"/><material name="{name}" texture="{name}" texuniform="true" '
            f'texrepeat="{repeat:.6g} {repeat:.6g}"/>'
        )
    geoms = '<geom name="floor 0" type="plane" size="60 60 1" material="floor"/>'
    # A plane too, so that its pattern is on the side that is seen.
    geoms += f'<geom name="wall 0" type="plane" size="60 60 1" pos="0 {_WALL} 0" zaxis="0 -1 0" material="wall"/>'
    return materials, geoms


def _material(rng: np.random.Generator, instance: int, saturation: float, value: float) -> str:
    """Return a material with a pattern of two shades of a random hue, which shows how a thing is turned."""
    hue = rng.uniform()
    one, other = color(hue, saturation, value), color(hue, saturation, 0.6 * value)
    return (
        f'<texture name="t{instance}" type="cube" builtin="checker" width="64" height="64" rgb1="{_rgb(one)}" '
        f'rgb2="{_rgb(other)}"/><material name="m{instance}" texture="t{instance}" specular="0.1"/>'
    )


def _geom(kind: str, instance: int, shape: str, size: Floats, more: str) -> str:
    return f'<geom name="{kind} {instance}" type="{shape}" size="{_text(size)}" material="m{instance}" {more}/>'


def _obstacle(rng: np.random.Generator, aspect: float) -> tuple[Floats, Floats, float]:
    """Return place, half sizes and tilt of a block on the floor or of a ramp in the air."""
    x, y = rng.uniform(-4.5, 4.5) * aspect, rng.uniform(-1, 6)
    if rng.uniform() < 0.5:
        size = rng.uniform([0.4, 0.4, 0.4], [1.0, 1.0, 1.4])
        return np.array([x, y, size[2]]), size, 0.0
    size = np.array([rng.uniform(1.2, 2.0), rng.uniform(0.6, 1.2), 0.15])
    return np.array([x, y, rng.uniform(1.3, 2.8)]), size, rng.uniform(-30.0, 30.0)


def _size(rng: np.random.Generator, kind: str) -> tuple[Floats, float]:
    """Return MuJoCo's sizes of a body, and how far it reaches from its middle."""
    if kind == "ball":
        radius = rng.uniform(0.5, 0.95)
        return np.array([radius]), float(radius)
    if kind == "box":
        sides = rng.uniform(0.4, 0.85, 3)
        return sides, float(np.linalg.norm(sides))
    radius, half = rng.uniform(0.4, 0.7), rng.uniform(0.4, 0.8)
    return np.array([radius, half]), float(radius + half)


def _free_place(
    rng: np.random.Generator, aspect: float, reach: float, taken: list[tuple[Floats, float]]
) -> Floats | None:
    """Return a place above the floor that touches nothing."""
    for _ in range(_TRIES):
        place = np.array([rng.uniform(-6, 6) * aspect, rng.uniform(-1, 6), rng.uniform(reach + 0.05, 6.5)])
        if all(np.linalg.norm(place - other) > reach + size for other, size in taken):
            return place
    return None


def _screen(rng: np.random.Generator, times: Floats, aspect: float) -> tuple[Floats, Floats]:
    """Return the half sizes of an occluder, and where it is (T, 3): some rise or sink."""
    size = rng.uniform([0.7, 0.1, 1.2], [1.5, 0.2, 2.2])
    path = np.tile([rng.uniform(-2.5, 2.5) * aspect, rng.uniform(-4.5, -2.5), size[2]], (len(times), 1))
    if rng.uniform() < 0.4:
        up = raised(times, rng.uniform(0, 0.7) * times[-1], rng.uniform(0.4, 0.8))
        path[:, 2] += 2.02 * size[2] * ((up if rng.uniform() < 0.5 else 1 - up) - 1)
    return size, path


def _cameras(rng: np.random.Generator, times: Floats) -> Floats:
    """Return cameras (T, 6) that stand, or move around what is seen at an even pace."""
    moves = (rng.uniform() < 0.75) * (times - times.mean())[:, None]
    middle = rng.uniform([-0.8, 1.0, 2.0, 12.5, 80, -9], [0.8, 2.0, 2.5, 14.0, 100, -5])
    return np.asarray(middle + moves * rng.uniform([-1.2, 0, -0.2, -0.6, -8, -1], [1.2, 0, 0.2, 0.6, 8, 1]))


def _text(numbers: Floats) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)


def _rgb(one: tuple[float, float, float]) -> str:
    return " ".join(f"{min(part / 255, 1):.4f}" for part in one)
