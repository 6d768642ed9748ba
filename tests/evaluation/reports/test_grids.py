from __future__ import annotations

from collections import Counter

import numpy as np

from evaluation.reports.grids import sample_grids


def test_the_first_images_come_from_every_task_in_order(report) -> None:
    result = report.content.shapeseval["samples"]
    images = {image.prompt.id: [None] for image in result.images}
    first, *_ = sample_grids(result, images, per_task=2)
    expected = Counter(image.prompt.tag for image in result.images if image.prompt.split == "id")
    assert len(first.tiles) == 2 * len(expected)
    captions = [image.prompt.text for image in result.images if image.prompt.tag == "counting"][:2]
    assert [tile.caption for tile in first.tiles[4:6]] == captions


def test_random_images_depend_on_the_printed_seed_only(report) -> None:
    result = report.content.shapeseval["samples"]
    images = {image.prompt.id: [None] for image in result.images}
    one, same, other = (sample_grids(result, images, num_random=8, seed=seed)[1] for seed in (0, 0, 1))
    assert one == same
    assert one != other
    assert "seed 0" in one.note
    assert "8 of 24 images" in one.note
    assert "24 of 24" in sample_grids(result, images, num_random=100)[1].note


def test_the_worst_images_are_wrong_and_fail_in_most_ways_first(report) -> None:
    result = report.content.shapeseval["samples"]
    images = {image.prompt.id: [None] for image in result.images}
    worst = sample_grids(result, images)[2]
    by_text = {image.prompt.text: len(image.verdict.failures) for image in result.images}
    assert worst.tiles
    assert not any(tile.correct for tile in worst.tiles)
    nums = [by_text[tile.caption] for tile in worst.tiles]
    assert nums == sorted(nums, reverse=True)


def test_what_the_detector_found_goes_with_an_image(report) -> None:
    result = report.content.shapeseval["samples"]
    images = {image.prompt.id: [np.zeros((64, 64, 3), np.uint8)] for image in result.images}
    tile, found = sample_grids(result, images)[0].tiles[0], result.images[0].verdict.detections
    assert [box.sides for box in tile.boxes] == [one.box for one in found]
    assert tile.boxes[0].label == f"{found[0].color} {found[0].shape}"
    assert tile.canvas == (64, 64)
