"""Masks and depths are those of the geometry, and frames show the same."""

from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from matplotlib.path import Path as Outline

from wmcontrol.scenes import CLASSES, Clip, Scene, SceneDataset, Thing
from wmcontrol.scenes.drawing import draw
from wmcontrol.scenes.scene import WALL, Backdrop, disc, rectangle, regular

BACKDROP = Backdrop((100, 100, 100), (50, 50, 50), (50, 50, 50), 1.0, ())
FOCAL, EYE = 2.0, 3.0


def thing(kind: str, instance: int, depth: float, corners: Any, radius: float, color: Any = (255, 0, 0)) -> Thing:
    mark = disc(radius) if corners is None else 0.3 * corners
    return Thing(kind, instance, depth, radius, corners, color, mark, color)


def scene(*placed: tuple[Thing, tuple[float, float, float]]) -> Scene:
    things, poses = zip(*placed, strict=True)
    return Scene(
        things,
        np.array([poses], float),
        np.ones((1, len(things)), bool),
        np.array([[0, EYE, FOCAL]]),
        np.zeros(1),
        BACKDROP,
    )


def centers(size: tuple[int, int], depth: float) -> Any:
    """World coordinates (height, width, 2) of the middles of all pixels, at a depth."""
    height, width = size
    columns, rows = np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5)
    return np.stack([(columns - width / 2) / height, (height / 2 - rows) / height], -1) * depth / FOCAL + [0, EYE]


@pytest.mark.parametrize("size", [(64, 64), (96, 64), (48, 80)], ids=str)
@pytest.mark.parametrize("kind", ["disc", "box", "triangle", "pentagon"])
def test_a_mask_has_the_pixels_whose_middle_is_in_the_body(kind: str, size: tuple[int, int]) -> None:
    corners = {"disc": None, "box": rectangle(2, 1), "triangle": regular(3, 1.3), "pentagon": regular(5, 1.2)}[kind]
    x, y, angle = 0.31, 3.77, 0.6
    clip = draw(scene((thing(kind, 7, 12.0, corners, 1.1), (x, y, angle))), size)
    points = centers(size, 12.0) - [x, y]
    if corners is None:
        inside = np.linalg.norm(points, axis=-1) <= 1.1
    else:
        turned = points @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        inside = Outline(corners).contains_points(turned.reshape(-1, 2)).reshape(size)
    assert inside.sum() > 50
    np.testing.assert_array_equal(clip.classes[0] == CLASSES.index(kind), inside)
    np.testing.assert_array_equal(clip.instances[0] == 7, inside)
    np.testing.assert_array_equal(clip.depth[0] == 12.0, inside)


def test_a_disc_has_the_area_of_a_disc_in_masks_and_in_frames() -> None:
    clip = draw(scene((thing("disc", 1, 12.0, None, 1.0), (0.2, 4.0, 0.0))), (256, 256))
    area = np.pi * (FOCAL * 256 / 12.0) ** 2
    assert (clip.instances[0] == 1).sum() == pytest.approx(area, rel=0.01)
    red = (clip.frames[0, ..., 0].astype(float) - 100) / 155
    assert red.clip(0).sum() == pytest.approx(area, rel=0.02)


def test_the_nearest_thing_is_seen_whatever_order_they_are_in() -> None:
    near = thing("occluder", 1, 10.0, rectangle(1.5, 8), 4.1, (255, 255, 255))
    middle = thing("disc", 2, 13.0, None, 1.2)
    far = thing("box", 3, 18.0, rectangle(3, 3), 2.2, (0, 255, 0))
    placed = [(near, (0.5, 3, 0)), (middle, (0, 3.5, 0)), (far, (-1, 4, 0.3))]
    clips = [draw(scene(*(placed[i] for i in order)), (64, 64)) for order in ((0, 1, 2), (2, 1, 0), (1, 2, 0))]
    for clip in clips[1:]:
        for ours, theirs in zip(clips[0], clip, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    alone = [draw(scene(one), (64, 64)) for one in placed]
    there = np.stack([clip.instances[0] > 0 for clip in alone])
    expected = np.where(there[0], 1, np.where(there[1], 2, np.where(there[2], 3, 0)))
    np.testing.assert_array_equal(clips[0].instances[0], expected)
    assert (there[0] & there[1]).any()
    assert (there[1] & there[2]).any()
    np.testing.assert_array_equal(clips[0].depth, np.minimum.reduce([clip.depth for clip in alone]))


def test_the_floor_begins_where_a_camera_of_this_height_sees_it() -> None:
    disc_on_floor = (thing("disc", 1, 15.0, None, 0.5), (0.0, 0.5, 0.0))
    clip = draw(scene(disc_on_floor), (200, 200))
    rows = np.arange(200) + 0.5
    with np.errstate(divide="ignore"):
        expected = np.where(rows > 100, FOCAL * EYE * 200 / (rows - 100), np.inf)
    column = clip.depth[0, :, 5]
    np.testing.assert_allclose(column, np.minimum(expected, WALL), rtol=1e-6)
    np.testing.assert_array_equal(clip.classes[0, :, 5] == CLASSES.index("floor"), expected < WALL)
    lowest = np.flatnonzero((clip.instances[0] == 1).any(1)).max()
    assert column[lowest] == pytest.approx(15.0, abs=0.2)  # where it touches the floor


def test_what_is_not_there_leaves_no_trace() -> None:
    both = scene(
        (thing("disc", 1, 13.0, None, 1.0), (0, 3, 0)), (thing("box", 2, 15.0, rectangle(2, 2), 1.5), (1, 3, 0))
    )
    hidden = both._replace(visible=np.array([[False, True]]))
    alone = scene((both.things[1], (1, 3, 0)))
    for ours, theirs in zip(draw(hidden, (64, 64)), draw(alone, (64, 64)), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("index", range(4))
def test_frames_of_random_scenes_show_what_their_masks_say(index: int) -> None:
    data = SceneDataset(seed=3, num_clips=4, image_size=128, num_frames=6, event_share=0.0)
    drawn, world = data[index], data.scene(index)
    # Plain colours, and no marks: inside a mask, away from its edge and the frame's, is the thing's colour.
    colors = {t.instance: np.array([20.0 * t.instance, 255.0 - 20 * t.instance, 128.0]) for t in world.things}
    plain = [replace(t, color=tuple(colors[t.instance]), mark_color=tuple(colors[t.instance])) for t in world.things]
    clip: Clip = draw(world._replace(things=tuple(plain)), data.size)
    np.testing.assert_array_equal(clip.instances, drawn.instances)
    for frame, mask in zip(clip.frames, clip.instances, strict=True):
        for instance in np.unique(mask[mask > 0]):
            inside = cv2.erode((mask == instance).astype(np.uint8), np.ones((5, 5)), borderValue=0) > 0
            np.testing.assert_array_equal(frame[inside], np.broadcast_to(colors[instance], frame[inside].shape))
