"""The published schedules are facts; the built ones follow their principle."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import pytest

from infinity.schedules import (
    ASPECT_RATIOS,
    Resolution,
    Scale,
    ScaleSchedule,
    build_schedule,
    nearest_aspect_ratio,
    paper_schedule,
)

BUDGETS = ("0.06M", "0.25M", "0.60M", "1M")
SIDES = [
    (1, 2, 4, 8),
    (1, 2, 3, 4, 6, 8),
    (1, 2, 4, 6, 8, 12, 16),
    (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32),
]


def mirrored(schedule: ScaleSchedule) -> list[Scale]:
    return [Scale(w, h) for h, w in schedule]


def inverse(ratio: float) -> float:
    """The template that stands for 1 / ratio."""
    return min(ASPECT_RATIOS, key=lambda other: abs(other - 1 / ratio))


# The paper's schedules


def test_the_ratios_are_the_published_fifteen_in_inverse_pairs() -> None:
    published = (0.333, 0.4, 0.5, 0.571, 0.666, 0.75, 0.8, 1.0, 1.25, 1.333, 1.5, 1.75, 2.0, 2.5, 3.0)
    assert published == ASPECT_RATIOS
    assert all(inverse(inverse(ratio)) == ratio for ratio in ASPECT_RATIOS)


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_a_paper_schedule_grows_from_one_token_to_its_ratio(ratio: float, budget: str) -> None:
    schedule = paper_schedule(ratio, budget)
    assert schedule[0] == (1, 1)
    assert all(a.h <= b.h and a.w <= b.w and a.area < b.area for a, b in itertools.pairwise(schedule))
    assert abs(schedule.final.h / schedule.final.w - ratio) < 0.01


@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_inverse_ratios_have_transposed_schedules(ratio: float, budget: str) -> None:
    schedule, other = paper_schedule(ratio, budget), paper_schedule(inverse(ratio), budget)
    assert mirrored(schedule) == list(other)
    assert tuple(schedule.reference) == tuple(reversed(other.reference))


@pytest.mark.parametrize(
    ("ratio", "lengths"),
    [
        (1.0, (521, 2521, 6425, 10521)),
        (1.25, (614, 2814, 6854, 10774)),
        (1.333, (665, 2657, 7085, 10973)),
        (1.5, (533, 2759, 6941, 10997)),
        (1.75, (472, 2628, 7220, 11252)),
        (2.0, (451, 2681, 7219, 11269)),
        (2.5, (555, 2555, 6805, 10805)),
        (3.0, (509, 2588, 7016, 11123)),
    ],
)
def test_sequence_lengths_are_the_published_ones(ratio: float, lengths: tuple[int, ...]) -> None:
    assert tuple(paper_schedule(ratio, budget).seq_len for budget in BUDGETS) == lengths


@pytest.mark.parametrize(
    ("ratio", "sizes"),
    [
        (1.0, [(256, 256), (512, 512), (768, 768), (1024, 1024)]),
        (1.5, [(336, 224), (624, 416), (1008, 672), (1248, 832)]),
        (0.5, [(176, 352), (368, 736), (592, 1184), (720, 1440)]),
    ],
)
def test_image_sizes_are_the_published_ones(ratio: float, sizes: list[tuple[int, int]]) -> None:
    resolutions = [Resolution(pixels=budget, aspect_ratios=(ratio,)) for budget in BUDGETS]
    assert [resolution.image_size(ratio) for resolution in resolutions] == sizes


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_smaller_budgets_are_prefixes_with_the_same_reference(ratio: float) -> None:
    full = paper_schedule(ratio, "1M")
    assert [len(paper_schedule(ratio, budget)) for budget in BUDGETS] == [7, 10, 12, 13]
    assert full.reference == full.final
    for budget in BUDGETS:
        schedule = paper_schedule(ratio, budget)
        assert schedule == full.prefix(len(schedule))


def test_an_unknown_ratio_or_budget_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"must be one of 0\.333.*got 1\.4; the nearest is 1\.333"):
        paper_schedule(1.4)
    with pytest.raises(ValueError, match=r"0\.06M, 0\.25M, 0\.60M, 1M, got '2M'"):
        paper_schedule(1.0, "2M")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("height", "width", "ratio"),
    [(512, 512, 1.0), (600, 400, 1.5), (400, 600, 0.666), (1000, 100, 3.0), (113, 100, 1.25)],
)
def test_an_image_belongs_to_the_ratio_nearest_in_difference(height: int, width: int, ratio: float) -> None:
    assert nearest_aspect_ratio(height, width) == ratio


def test_an_image_without_extent_has_no_ratio() -> None:
    with pytest.raises(ValueError, match="must be positive, got 0x5"):
        nearest_aspect_ratio(0, 5)


# The sequence layout


@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_slices_tile_the_sequence(ratio: float) -> None:
    schedule = paper_schedule(ratio, "0.25M")
    tokens = list(range(schedule.seq_len))
    parts = [tokens[part] for part in schedule.slices]
    assert [len(part) for part in parts] == [h * w for h, w in schedule]
    assert list(itertools.chain(*parts)) == tokens
    assert schedule.offsets == (0, *itertools.accumulate(scale.area for scale in schedule))


def test_the_latent_schedule_is_enlarged_by_the_patch() -> None:
    latent = paper_schedule(1.5, "0.06M").latent(2)
    assert list(latent) == [(2 * h, 2 * w) for h, w in paper_schedule(1.5, "0.06M")]
    assert latent.reference == (156, 104)


def test_schedules_are_keys_by_value() -> None:
    schedule = ScaleSchedule((Scale(1, 1), Scale(2, 3)))
    assert {schedule: 1}[ScaleSchedule(((1, 1), (2, 3)))] == 1  # pyright: ignore[reportArgumentType]
    assert schedule != ScaleSchedule(schedule.scales, reference=Scale(4, 6))


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ([], "at least one scale"),
        ([(0, 1)], "at least 1x1"),
        ([(2, 2), (1, 3)], "must grow, got 2x2 before 1x3"),
        ([(2, 2), (2, 2)], "must grow, got 2x2 before 2x2"),
    ],
)
def test_sizes_that_are_no_pyramid_are_refused(scales: list[tuple[int, int]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScaleSchedule(tuple(Scale(*scale) for scale in scales))


@pytest.mark.parametrize("num_scales", [0, 8])
def test_a_prefix_must_have_between_one_and_all_scales(num_scales: int) -> None:
    with pytest.raises(ValueError, match=rf"in \[1, 7\], got {num_scales}"):
        paper_schedule(1.0, "0.06M").prefix(num_scales)


# Schedules built for small images


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_the_square_schedule_has_the_sides(sides: tuple[int, ...]) -> None:
    assert list(build_schedule(1.0, sides)) == [(side, side) for side in sides]


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_a_built_schedule_keeps_ratio_and_area_at_every_scale(ratio: float, sides: tuple[int, ...]) -> None:
    schedule = build_schedule(ratio, sides)
    assert len(schedule) == len(sides)
    for side, scale in zip(sides, schedule, strict=True):
        if side >= 4:  # few pairs of integers are smaller than that
            assert Fraction(3, 4) <= Fraction(scale.area, side**2) <= Fraction(4, 3)
            assert 5 / 6 < scale.h / scale.w / ratio < 6 / 5


@pytest.mark.parametrize("sides", SIDES, ids=str)
@pytest.mark.parametrize("ratio", ASPECT_RATIOS)
def test_built_schedules_of_inverse_ratios_are_transposed(ratio: float, sides: tuple[int, ...]) -> None:
    assert mirrored(build_schedule(ratio, sides)) == list(build_schedule(inverse(ratio), sides))


@pytest.mark.parametrize("ratio", [0.25, 1.0, 2.08, 3.3, 4.0])
def test_adjacent_sides_still_give_one_growing_scale_each(ratio: float) -> None:
    assert len(build_schedule(ratio, tuple(range(1, 17)))) == 16


@pytest.mark.parametrize("ratio", [0.2, 5.0, -1.0, math.nan])
def test_a_ratio_out_of_range_is_refused(ratio: float) -> None:
    with pytest.raises(ValueError, match=r"in \[0\.25, 4\], got"):
        build_schedule(ratio, (1, 2))


@pytest.mark.parametrize("sides", [(), (0, 1), (2, 1), (1, 1)])
def test_sides_that_do_not_grow_are_refused(sides: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="growing positive integers"):
        build_schedule(1.0, sides)


# Resolution


def test_a_small_resolution_uses_its_sides_and_stride() -> None:
    resolution = Resolution(stride=8, sides=(1, 2, 4, 8), aspect_ratios=(1.0, 1.5))
    assert resolution.schedule(1.5) == build_schedule(1.5, (1, 2, 4, 8))
    assert resolution.image_size(1.0) == (64, 64)
    assert resolution.image_size(1.5) == (72, 48)


def test_a_resolution_takes_lists_as_yaml_gives_them() -> None:
    resolution = Resolution(sides=[1, 2], aspect_ratios=[1.0])  # pyright: ignore[reportArgumentType]
    assert resolution == Resolution(sides=(1, 2), aspect_ratios=(1.0,))
    assert hash(resolution) == hash(dataclasses.replace(resolution))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stride": 0}, "stride must be positive"),
        ({"aspect_ratios": ()}, "at least one"),
        ({"aspect_ratios": (1.1,)}, "the nearest is 1.0"),
        ({"sides": (4, 2)}, "growing positive integers"),
    ],
)
def test_an_impossible_resolution_is_refused_at_once(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Resolution(**options)


def test_a_ratio_that_is_not_configured_is_refused_with_the_configured_ones() -> None:
    with pytest.raises(ValueError, match=r"one of 1\.0, 1\.5, got 2\.0"):
        Resolution(aspect_ratios=(1.0, 1.5)).schedule(2.0)
