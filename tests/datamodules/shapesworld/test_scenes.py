"""Scenes are what their prompts say, whole, apart, and the same every time."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from datamodules.shapesworld import WORLDS, ShapesWorldConfig, Tier, render_scene, training_scene
from datamodules.shapesworld.dataset import evaluation_prompts, evaluation_scene
from datamodules.shapesworld.scenes import Scene
from tests.datamodules.shapesworld.test_splits import genevals_relations

tiers = pytest.mark.parametrize("tier", WORLDS)


def scenes(tier: Tier, count: int) -> list[Scene]:
    return [training_scene(ShapesWorldConfig(tier=tier), "train", index) for index in range(count)]


def masks(scene: Scene, size: int) -> list[np.ndarray]:
    """Pixels that each object touches, drawn alone."""
    alone = [render_scene(scene._replace(objects=(item,)), size) for item in scene.objects]
    return [(picture != np.array(scene.background)).any(-1) for picture in alone]


def box(mask: np.ndarray) -> tuple[float, ...]:
    ys, xs = np.nonzero(mask)
    return (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)


@tiers
def test_scenes_are_a_function_of_their_number(tier: Tier) -> None:
    forwards = scenes(tier, 20)
    config = ShapesWorldConfig(tier=tier)
    assert [training_scene(config, "train", index) for index in reversed(range(20))][::-1] == forwards
    assert all(
        training_scene(config, "train", k) != training_scene(ShapesWorldConfig(tier=tier, seed=1), "train", k)
        for k in range(20)
    )
    assert all(training_scene(config, "val", k) != forwards[k] for k in range(20))


def test_published_scenes_do_not_change() -> None:
    first = [scene for tier in WORLDS for scene in scenes(tier, 3)]
    assert [scene.prompt.text for scene in first] == [
        "a picture of three squares",
        "a picture of a pink square and a yellow cross",
        "a picture of a triangle",
        "a picture of a star",
        "a picture of a cross and a triangle",
        "a picture of a heart and a square",
    ]
    assert (first[0].objects[0].x, first[0].objects[0].y) == pytest.approx((0.7714, 0.7297), abs=1e-4)
    assert first[5].objects[0].rgb == (122, 70, 22)


@tiers
def test_objects_neither_touch_nor_reach_the_border(tier: Tier) -> None:
    size = 64 if tier == "basic" else 128
    for scene in scenes(tier, 100):
        drawn = masks(scene, size)
        for number, mask in enumerate(drawn):
            inside = mask[1:-1, 1:-1]
            assert inside.sum() == mask.sum(), scene
            around = cv2.dilate(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            assert not any((around & other).any() for other in drawn[:number]), scene


def test_objects_of_basic_are_large() -> None:
    for scene in scenes("basic", 100):
        for mask in masks(scene, 64):
            left, top, right, bottom = box(mask)
            assert 19 <= right - left <= 28
            assert 19 <= bottom - top <= 28


def test_objects_of_basic_stand_near_the_grid() -> None:
    for scene in scenes("basic", 200):
        near = (0.5,) if len(scene.objects) == 1 else (0.25, 0.75)
        places = [(min(near, key=lambda g: abs(g - v)) for v in (o.x, o.y)) for o in scene.objects]
        cells = [tuple(place) for place in places]
        assert len(set(cells)) == len(cells)
        for item, cell in zip(scene.objects, cells, strict=True):
            assert max(abs(item.x - cell[0]), abs(item.y - cell[1])) <= 1.5 / 64


@tiers
def test_a_named_relation_holds_alone_on_the_pixels(tier: Tier) -> None:
    positions = [scene for scene in scenes(tier, 200) if scene.prompt.relation]
    assert len(positions) > 20
    for scene in positions:
        first, second = (box(mask) for mask in masks(scene, 128))
        assert genevals_relations(first, second, 0.1) == {scene.prompt.relation}


@tiers
def test_scenes_hold_exactly_what_their_prompts_name(tier: Tier) -> None:
    config = ShapesWorldConfig(tier=tier, prompts_per_task=8)
    evaluated = [evaluation_scene(config, prompt, 0) for prompt in evaluation_prompts(config)]
    for scene in scenes(tier, 300) + evaluated:
        named = [noun for noun in scene.prompt.nouns for _ in range(noun.number)]
        assert [item.shape for item in scene.objects] == [noun.shape for noun in named]
        for noun, item in zip(named, scene.objects, strict=True):
            assert noun.color in (None, item.color)


@tiers
def test_objects_are_drawn_in_their_colour_and_stand_out(tier: Tier) -> None:
    for scene in scenes(tier, 40):
        picture = render_scene(scene, 128)
        lab = cv2.cvtColor(picture.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
        ground = cv2.cvtColor(np.float32([[scene.background]]) / 255, cv2.COLOR_RGB2LAB)[0, 0]
        for item, mask in zip(scene.objects, masks(scene, 128), strict=True):
            core = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
            assert (picture[core] == item.rgb).all(-1).mean() > 0.95
            assert np.linalg.norm(np.median(lab[core], 0) - ground) > 15


@tiers
def test_edges_are_antialiased_to_the_true_area(tier: Tier) -> None:
    for scene in scenes(tier, 30):
        for item in scene.objects:
            dark = scene._replace(background=(0, 0, 0), objects=(item._replace(rgb=(255, 255, 255)),))
            picture = render_scene(dark, 64)[..., 0]
            assert len(np.unique(picture)) > 2
            areas, lengths = zip(*(area_and_length(polygon * 64) for polygon in item.polygons()), strict=True)
            excess = picture.sum() / 255 - (areas[0] - sum(areas[1:]))
            # OpenCV paints the outline too: up to one pixel of the fourfold picture
            assert 0 <= excess <= 0.25 * sum(lengths)


def area_and_length(polygon: np.ndarray) -> tuple[float, float]:
    xs, ys = polygon.T
    twice = float(np.dot(xs, np.roll(ys, 1)) - np.dot(ys, np.roll(xs, 1)))
    return abs(twice) / 2, float(np.linalg.norm(polygon - np.roll(polygon, 1, 0), axis=1).sum())


def test_the_same_scene_can_be_drawn_at_any_size() -> None:
    for scene in scenes("full", 20):
        small, large = render_scene(scene, 64), render_scene(scene, 256)
        shrunk = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert np.abs(shrunk.astype(int) - small).mean() < 1.5


def test_aspect_ratios_are_held_out() -> None:
    trained = {scene.aspect_ratio for scene in scenes("full", 100)}
    config = ShapesWorldConfig(tier="full", prompts_per_task=4)
    evaluated = {p.aspect_ratio for p in evaluation_prompts(config) if p.level == "aspect"}
    assert trained == {1.0, 3 / 5, 5 / 3}
    assert evaluated == {5 / 12, 12 / 5}
    assert {render_scene(scene, 64).shape[:2] for scene in scenes("full", 100)} == {
        (64, 64),
        (48, 80),
        (80, 48),
    }


def test_sizes_that_give_no_whole_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 16, got 50"):
        render_scene(scenes("full", 1)[0], 50)
