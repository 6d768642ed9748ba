from __future__ import annotations

import cv2
import numpy as np
import pytest

from evaluation.shapeseval.detector import UNKNOWN, Detection, ShapeDetector
from evaluation.shapeseval.world import World

GREY = (235, 235, 235)


def ring_world() -> World:
    angles = np.linspace(0, 2 * np.pi, 64, endpoint=False)
    disc = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.9
    points = np.linspace(0, 2 * np.pi, 10, endpoint=False) - np.pi / 2
    star = np.stack([np.cos(points), np.sin(points)], axis=1) * np.tile([[1.35], [0.54]], (5, 1))
    return World(
        tier="test",
        size=64,
        shapes={"circle": (disc,), "ring": (disc, 0.55 * disc), "square": (square,), "star": (star,)},
        colors={
            "red": (220, 30, 30),
            "orange": (245, 140, 20),
            "blue": (20, 80, 225),
            "purple": (140, 30, 150),
            "pink": (250, 150, 195),
            "brown": (120, 70, 30),
            "black": (20, 20, 20),
        },
    )


def draw(
    world: World,
    *objects: tuple[str, str, float, float, float],
    size: int = 64,
    background: tuple[int, int, int] = GREY,
) -> np.ndarray:
    """Anti-aliased picture of (shape, colour, x, y, radius) in pixels."""
    canvas = np.full((size * 8, size * 8, 3), background, np.uint8)
    for shape, color, x, y, radius in objects:
        outline = [
            np.rint((polygon * radius + (x, y)) * 8).astype(np.int32) for polygon in world.shapes[shape]
        ]
        cv2.fillPoly(canvas, outline, world.colors.get(color, (128, 170, 90)))
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)


def names(detections: list[Detection]) -> list[tuple[str, str]]:
    return sorted((one.color, one.shape) for one in detections)


def test_shape_colour_and_place_are_found() -> None:
    world = ring_world()
    found = ShapeDetector(world)(draw(world, ("circle", "red", 20, 24, 10)))
    assert names(found) == [("red", "circle")]
    assert found[0].box == pytest.approx((10, 14, 30, 34), abs=0.6)


@pytest.mark.parametrize("radius", [5.1, 6.5, 12])
@pytest.mark.parametrize("color", ["red", "blue", "purple", "black"])
def test_thin_rings_stay_whole(radius: float, color: str) -> None:
    """Regression: eroding the colour seeds cut thin rings into fragments."""
    world = ring_world()
    for x in (30, 30.3, 30.5):
        found = ShapeDetector(world)(draw(world, ("ring", color, x, 33.7, radius)))
        assert names(found) == [(color, "ring")]


@pytest.mark.parametrize("sigma", [0.0, 0.7, 1.3])
@pytest.mark.parametrize(
    ("color", "background", "rim"),
    [("red", GREY, "pink"), ("orange", (60, 60, 70), "brown"), ("black", (205, 215, 225), "purple")],
)
def test_rims_are_not_objects(color: str, background: tuple[int, int, int], rim: str, sigma: float) -> None:
    """Regression: where a colour fades into the background it passes another one's neighbourhood."""
    world = ring_world()
    image = draw(world, ("square", color, 20, 20, 10), ("star", color, 44, 44, 11), background=background)
    if sigma:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    assert rim in world.colors
    assert names(ShapeDetector(world)(image)) == [(color, "square"), (color, "star")]


def test_overshoot_around_objects_is_no_object() -> None:
    """Sharpened edges, as in ringing: a bright halo around dark objects."""
    world = ring_world()
    image = draw(world, ("square", "black", 18, 20, 10), ("circle", "blue", 45, 42, 11)).astype(np.float32)
    image += 2.5 * (image - cv2.GaussianBlur(image, (0, 0), 2.0))
    darker = np.clip(image - 60, 0, 255).astype(np.uint8)
    found = ShapeDetector(world)(darker)
    assert sorted(one.shape for one in found) == ["circle", "square"]


def test_thin_soft_lines_are_not_objects() -> None:
    """A fringe of ringing is wide enough to have a core, but its coverage is thin."""
    world = ring_world()
    image = draw(world, size=128)
    image[100:103, 20:100] = world.colors["blue"]
    image = cv2.GaussianBlur(image, (0, 0), 0.9)
    assert names(ShapeDetector(world)(image)) == []
    image[60:66, 20:100] = world.colors["blue"]
    assert names(ShapeDetector(world)(image)) == [("blue", UNKNOWN)]


def test_touching_objects_of_two_colours_are_split() -> None:
    world = ring_world()
    found = ShapeDetector(world)(draw(world, ("circle", "red", 22, 32, 10), ("circle", "blue", 42, 32, 10)))
    assert names(found) == [("blue", "circle"), ("red", "circle")]


def test_near_objects_of_one_colour_are_split() -> None:
    world = ring_world()
    found = ShapeDetector(world)(draw(world, ("circle", "red", 21, 32, 10), ("circle", "red", 42.5, 32, 10)))
    assert names(found) == [("red", "circle"), ("red", "circle")]


def test_colours_outside_the_palette_are_unknown() -> None:
    world = ring_world()
    assert names(ShapeDetector(world)(draw(world, ("square", "olive", 32, 32, 12)))) == [(UNKNOWN, "square")]


def test_shapes_outside_the_world_are_unknown() -> None:
    world = ring_world()
    image = draw(world)
    image[20:44, 30:34] = world.colors["red"]
    image[40:44, 10:34] = world.colors["red"]
    assert names(ShapeDetector(world)(image)) == [("red", UNKNOWN)]


@pytest.mark.parametrize("add", [0, 8], ids=["plain", "faint smudge"])
def test_plain_images_hold_no_object(add: int) -> None:
    image = np.full((64, 64, 3), GREY, np.uint8)
    image[20:40, 20:40] -= np.uint8(add)
    assert ShapeDetector(ring_world())(image) == []


@pytest.mark.parametrize("size", [48, 64, 100, 256])
def test_boxes_scale_with_the_image(size: int) -> None:
    world = ring_world()
    found = ShapeDetector(world)(draw(world, ("square", "blue", size / 2, size / 2, size / 6), size=size))
    assert names(found) == [("blue", "square")]
    half = 0.9 * size / 6
    expected = (size / 2 - half, size / 2 - half, size / 2 + half, size / 2 + half)
    assert found[0].box == pytest.approx(expected, abs=size / 90)


def test_images_of_the_wrong_kind_are_refused() -> None:
    with pytest.raises(ValueError, match="RGB uint8"):
        ShapeDetector(ring_world())(np.zeros((64, 64, 3), np.float32))
