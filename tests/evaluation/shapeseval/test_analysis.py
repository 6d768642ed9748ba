"""Hand-worked verdicts."""

from __future__ import annotations

import pytest

from evaluation.results import MetricValue
from evaluation.shapeseval.analysis import analysis_metrics, analysis_tables, confusions
from evaluation.shapeseval.detector import UNKNOWN, Detection
from evaluation.shapeseval.results import ScoredImage, ShapesEvalResult
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import Prompt, Query, World

WORLD = World(
    tier="test",
    size=64,
    shapes={"circle": (), "square": ()},
    colors={"red": (255, 0, 0), "blue": (0, 0, 255)},
)
Objects = list[tuple[str, str]]


def image(tag: str, include: Objects, drawn: Objects, level: str = "id", count: int = 1) -> ScoredImage:
    queries = tuple(Query(shape=shape, color=color or None, count=count) for shape, color in include)
    text = " and ".join(" ".join(pair) for pair in include) + f" {count} {level}"
    split = "id" if level == "id" else "ood"
    prompt = Prompt(id=text, tag=tag, text=text, include=queries, split=split, level=level)
    found = [
        Detection(shape=shape, color=color, box=(0, 0, 1, 1), shape_score=1.0, color_distance=0.0)
        for shape, color in drawn
    ]
    return ScoredImage(prompt=prompt, index=0, sha256="", verdict=judge(found, prompt))


def result(*images: ScoredImage) -> ShapesEvalResult:
    return ShapesEvalResult(knobs="test,64px", arm="samples", images=images)


def by_name(metrics: list[MetricValue]) -> dict[str, MetricValue]:
    return {metric.id.split("]/")[1]: metric for metric in metrics}


RED_CIRCLE, BLUE_CIRCLE = ("circle", "red"), ("circle", "blue")
RED_SQUARE, BLUE_SQUARE = ("square", "red"), ("square", "blue")
BOTH: Objects = [RED_CIRCLE, BLUE_SQUARE]
SWAPPED: Objects = [BLUE_CIRCLE, RED_SQUARE]


def test_swapped_colours_are_binding_errors_and_others_are_not() -> None:
    found = by_name(
        analysis_metrics(
            result(
                image("color_attr", BOTH, SWAPPED),
                image("color_attr", BOTH, BOTH),
                image("color_attr", BOTH, [RED_CIRCLE, RED_SQUARE]),
                image("color_attr", BOTH, []),
                image("colors", [RED_CIRCLE], [BLUE_CIRCLE]),  # nothing to bind
                image("two_object", [("circle", ""), ("square", "")], BOTH),
            )
        )
    )
    assert set(found) == {"id/binding_error_rate"}
    assert (found["id/binding_error_rate"].value, found["id/binding_error_rate"].n) == (0.25, 4)


def test_a_gap_is_between_the_same_tasks() -> None:
    found = by_name(
        analysis_metrics(
            result(
                image("colors", [RED_CIRCLE], [RED_CIRCLE]),
                image("counting", [("circle", "")], [], count=2),  # another task: no part of the gap
                image("colors", [BLUE_CIRCLE], [BLUE_CIRCLE], level="color"),
                image("colors", [BLUE_SQUARE], [RED_SQUARE], level="color"),
            )
        )
    )
    gap = found["gap/color"]
    assert (gap.value, gap.n, gap.direction) == (0.5, 2, "lower")
    assert gap.ci95 is not None
    assert gap.ci95[0] < 0 < 0.5 < gap.ci95[1], "three images say little"


def test_compositional_levels_have_a_row_each() -> None:
    tables = analysis_tables(
        result(
            image("color_attr", BOTH, BOTH),
            image("color_attr", BOTH, SWAPPED, level="pairs_L1"),
            image("color_attr", BOTH, [], level="pairs_L3"),
        ),
        WORLD,
    )
    rows = tables["compositional levels, shapeseval[test,64px,verifier=1]"].rows
    assert [(str(row[0])[:2], row[1], row[-2], row[-1]) for row in rows] == [
        ("L0", 1.0, 0.0, 1),
        ("L1", 0.0, 1.0, 1),
        ("L3", 0.0, 0.0, 1),
    ]


def test_confusions_count_what_was_drawn_for_what_was_asked() -> None:
    tables = confusions(
        result(
            image("colors", [RED_CIRCLE], [RED_CIRCLE]),
            image("colors", [RED_CIRCLE], [BLUE_CIRCLE]),
            image("single_object", [("circle", "")], [("square", UNKNOWN)]),
            image("single_object", [("square", "")], []),
            image("single_object", [("square", "")], [RED_SQUARE, RED_SQUARE]),
            image("counting", [("circle", "")], [RED_CIRCLE], count=3),
            image("two_object", [("circle", ""), ("square", "")], BOTH),  # no atom of its own
        ),
        WORLD,
    )
    assert tables["shapes"].columns[1:] == ("circle", "square", "unknown", "nothing", "several")
    assert tables["shapes"].rows == (("circle", 2, 1, 0, 0, 0), ("square", 0, 0, 0, 1, 1))
    assert tables["colours"].rows == (("red", 1, 1, 0, 0, 0),)
    assert tables["counts"].columns[1:] == ("0", "1", "2")
    assert tables["counts"].rows == ((1, 2, 2, 1), (3, 0, 1, 0))


@pytest.mark.parametrize("level", ["id", "color"])
def test_one_split_alone_has_no_gap(level: str) -> None:
    metrics = analysis_metrics(result(image("colors", [RED_CIRCLE], [RED_CIRCLE], level=level)))
    assert metrics == []
