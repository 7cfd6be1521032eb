"""MuJoCo moves solid bodies, and draws them, their masks and depths.

Letters: ``T`` frames, ``K`` things.
"""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import numpy as np

from .records import Clip
from .scene import GRAVITY, Color, Floats
from .solids import CLASSES_3D, Pattern, Scene3D, Solid

WALL_3D = 10.0  # y of the wall
_STEPS_PER_SECOND = 960  # with a quarter of them, contacts that bounce blow up
_CONTACT = 0.015  # seconds, MuJoCo's time constant: with contacts that are damped less, squeezed bodies gain energy
_STIFFEST = 420.0  # radians per second, of the spring of a contact
_SAMPLES = 4  # of a pixel, for edges
_SHAPES = {"ball": "sphere", "cylinder": "cylinder", "capsule": "capsule"}  # all else is a box
_HIDDEN = 5  # a group of geoms that is not drawn


def draw_3d(scene: Scene3D, size: tuple[int, int]) -> Clip:
    """Draw all frames of a scene, and label them.

    Args:
        scene: what to draw.
        size: height and width of the frames, pixels.

    Raises:
        OSError: MuJoCo cannot draw here.
    """
    import mujoco

    model = mujoco.MjModel.from_xml_string(_drawn(scene))
    height, width = size
    model.vis.global_.offheight, model.vis.global_.offwidth = size
    # In the order of the model's geoms. The last one is of nothing, which no pixel should show: the wall goes on beyond
    # what is seen.
    classes = np.array([1, 0, *(CLASSES_3D.index(thing.kind) for thing in scene.things), 0], np.uint8)
    instances = np.array([0, 0, *(thing.instance for thing in scene.things), 0], np.uint8)
    data, camera = mujoco.MjData(model), mujoco.MjvCamera()
    frames = np.empty((len(scene.times), height, width, 3), np.uint8)
    seen = np.empty((len(scene.times), height, width), np.intp)
    depth = np.empty((len(scene.times), height, width), np.float32)
    with closing(_renderer(model, size)) as renderer:
        for t, (*middle, distance, azimuth, elevation) in enumerate(scene.camera.tolist()):
            data.mocap_pos[:], data.mocap_quat[:] = scene.poses[t, :, :3], scene.poses[t, :, 3:]
            model.geom_group[2:] = np.where(scene.visible[t], 0, _HIDDEN)
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


def simulate_3d(
    bodies: Sequence[Solid],
    starts: Floats,
    obstacles: Sequence[Solid],
    places: Floats,
    num_frames: int,
    frame_rate: float,
    front: float | None = None,
) -> Floats:
    """Let bodies move; they collide with one another, with obstacles, the floor and the wall.

    Args:
        bodies: K of them.
        starts: (K, 13) poses, and their velocities in metres and radians per second.
        obstacles: L things that do not move.
        places: (L, 7) their poses.
        num_frames: T.
        frame_rate: frames per second.
        front: y that bodies do not come nearer than; by default they may.

    Returns:
        Poses (T, K, 7).
    """
    import mujoco

    geoms = f'<geom type="plane" size="1 1 1"/><geom type="plane" size="1 1 1" pos="0 {WALL_3D} 0" zaxis="0 -1 0"/>'
    if front is not None:
        geoms += f'<geom type="plane" size="1 1 1" pos="0 {front} 0" zaxis="0 1 0"/>'
    for thing, place in zip(obstacles, places, strict=True):
        geoms += _geom(thing, f'pos="{_text(place[:3])}" quat="{_text(place[3:])}"')
    for thing, start in zip(bodies, starts, strict=True):
        # Contacts damped less than critically bounce.
        lost = -np.log(max(thing.elasticity, 1e-6))
        ratio = lost / np.hypot(np.pi, lost)
        solref = f"{_CONTACT} {ratio:.9g}"
        if 1 / (_CONTACT * ratio) > _STIFFEST:  # then it is given as stiffness and damping
            solref = f"{-(_STIFFEST**2)} {-2 * ratio * _STIFFEST:.9g}"
        bounce = f'solref="{solref}" priority="1" friction="{thing.friction:.9g}"'
        placed = f'pos="{_text(start[:3])}" quat="{_text(start[3:7])}"'
        geoms += f"<body {placed}><freejoint/>{_geom(thing, bounce)}</body>"
    model = mujoco.MjModel.from_xml_string(
        f'<mujoco><option gravity="0 0 {-GRAVITY}" cone="elliptic"/><worldbody>{geoms}</worldbody></mujoco>'
    )
    steps = max(1, round(_STEPS_PER_SECOND / frame_rate))
    model.opt.timestep = 1 / (frame_rate * steps)
    data = mujoco.MjData(model)
    data.qvel[:] = starts[:, 7:].ravel()
    # Half a step of gravity back: positions then lie on the parabola, and not beside it.
    data.qvel[2::6] += 0.5 * GRAVITY * model.opt.timestep
    poses = np.empty((num_frames, len(bodies), 7))
    for t in range(num_frames):
        poses[t] = data.qpos.reshape(-1, 7)
        mujoco.mj_step(model, data, steps)
    return poses


def _geom(thing: Solid, more: str) -> str:
    return f'<geom type="{_SHAPES.get(thing.kind, "box")}" size="{_text(thing.size)}" {more}/>'


_DRAWN = """
<mujoco>
  <statistic extent="10" center="0 2 2"/>
  <visual>
    <quality offsamples="{samples}" shadowsize="512"/>
    <map znear="0.1" zfar="6" shadowclip="2"/>
    <headlight ambient="0.35 0.35 0.35" diffuse="0.35 0.35 0.35" specular="0 0 0"/>
  </visual>
  <asset>{materials}</asset>
  <worldbody>
    <light directional="true" pos="-4 -6 12" dir="{light}" diffuse="0.5 0.5 0.5" specular="0.1 0.1 0.1"/>
    <geom type="plane" size="60 60 1" material="floor"/>
    <geom type="plane" size="60 60 1" pos="0 {wall} 0" zaxis="0 -1 0" material="wall"/>
    {bodies}
  </worldbody>
</mujoco>
"""


def _drawn(scene: Scene3D) -> str:
    """Return a model of a scene, in which things are put where they are."""
    materials = _surface("wall", scene.wall) + _surface("floor", scene.floor)
    bodies = ""
    for k, thing in enumerate(scene.things):
        materials += (
            _texture(f"t{k}", "cube", 64, thing.colors) + f'<material name="m{k}" texture="t{k}" specular="0.1"/>'
        )
        bodies += f'<body mocap="true">{_geom(thing, f"""material="m{k}" contype="0" conaffinity="0" """)}</body>'
    return _DRAWN.format(samples=_SAMPLES, wall=WALL_3D, light=_text(scene.light), materials=materials, bodies=bodies)


def _surface(name: str, pattern: Pattern) -> str:
    repeat = f"{pattern.repeat:.6g} {pattern.repeat:.6g}"
    material = f'<material name="{name}" texture="{name}" texuniform="true" texrepeat="{repeat}"/>'
    return _texture(name, "2d", 128, pattern.colors) + material


def _texture(name: str, kind: str, side: int, colors: tuple[Color, Color]) -> str:
    one, other = (" ".join(f"{min(part / 255, 1):.4f}" for part in color) for color in colors)
    return (
        f'<texture name="{name}" type="{kind}" builtin="checker" width="{side}" height="{side}" rgb1="{one}" '
        f'rgb2="{other}"/>'
    )


def _text(numbers: Floats) -> str:
    return " ".join(f"{number:.9g}" for number in numbers)
