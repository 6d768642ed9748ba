"""GenEval's verdicts, every branch worked by hand; test_recorded.py has those of the official script."""

from __future__ import annotations

from typing import Any

import pytest

from evaluation.geneval.scoring import Detected, GenEvalRule, judge_image, relations

BOX = (0.0, 0.0, 10.0, 10.0)
RIGHT = (100.0, 0.0, 110.0, 10.0)


def clause(name: str, count: int = 1, **more: Any) -> dict[str, Any]:
    return {"class": name, "count": count, **more}


def image(tag: str, include: list, found: dict[str, list], exclude: list | None = None) -> tuple[bool, str]:
    metadata = {"tag": tag, "include": include, **({"exclude": exclude} if exclude else {})}
    return judge_image({name: [Detected(*one) for one in some] for name, some in found.items()}, metadata)


CASES = {
    "found": (("single_object", [clause("cat")], {"cat": [(BOX, 0.31)]}), (True, "")),
    "a score equal to the threshold": (
        ("single_object", [clause("cat")], {"cat": [(BOX, 0.3)]}),
        (False, "expected cat>=1, found 0"),
    ),
    "other classes only": (
        ("single_object", [clause("cat")], {"dog": [(BOX, 0.99)]}),
        (False, "expected cat>=1, found 0"),
    ),
    "nothing": (("single_object", [clause("cat")], {}), (False, "expected cat>=1, found 0")),
    "both clauses are reported": (
        ("two_object", [clause("cat"), clause("dog")], {}),
        (False, "expected cat>=1, found 0\nexpected dog>=1, found 0"),
    ),
    "counting asks for more than 0.9": (
        ("counting", [clause("cat", 2)], {"cat": [(BOX, 0.95), (RIGHT, 0.9)]}, [clause("cat", 3)]),
        (False, "expected cat>=2, found 1"),
    ),
    "counting is exact": (
        ("counting", [clause("cat", 2)], {"cat": [(BOX, 0.95)] * 3}, [clause("cat", 3)]),
        (False, "expected cat<3, found 3"),
    ),
    "more than asked for is fine elsewhere": (
        ("single_object", [clause("cat")], {"cat": [(BOX, 0.9)] * 5}),
        (True, ""),
    ),
    "the 17th is dropped": (
        ("counting", [clause("cat", 17)], {"cat": [(BOX, 0.99)] * 17}),
        (False, "expected cat>=17, found 16"),
    ),
    "the colour of the best only": (
        (
            "colors",
            [clause("cat", color="red")],
            {"cat": [(BOX, 0.5, "red"), (BOX, 0.9, "blue")]},
        ),
        (False, "expected red cat>=1, found 0 red; and 1 blue"),
    ),
    "colours in their own order": (
        (
            "colors",
            [clause("cat", 3, color="red")],
            {"cat": [(BOX, 0.9, c) for c in ("white", "red", "blue")]},
        ),
        (False, "expected red cat>=3, found 1 red; and 1 red, 1 blue, 1 white"),
    ),
    "no colour was told": (
        ("colors", [clause("cat", color="red")], {"cat": [(BOX, 0.9)]}),
        (False, "expected red cat>=1, found 0 red; and "),
    ),
    "in place": (
        (
            "position",
            [clause("dog"), clause("cat", position=["right of", 0])],
            {"dog": [(BOX, 0.9)], "cat": [(RIGHT, 0.9)]},
        ),
        (True, ""),
    ),
    "out of place": (
        (
            "position",
            [clause("dog"), clause("cat", position=["left of", 0])],
            {"dog": [(BOX, 0.9)], "cat": [(RIGHT, 0.9)]},
        ),
        (False, "expected cat left of target, found right of target"),
    ),
    "one on the other": (
        (
            "position",
            [clause("dog"), clause("cat", position=["above", 0])],
            {"dog": [(BOX, 0.9)], "cat": [(BOX, 0.9)]},
        ),
        (False, "expected cat above target, found  target"),
    ),
    "no target": (
        ("position", [clause("dog"), clause("cat", position=["above", 0])], {"cat": [(BOX, 0.9)]}),
        (False, "expected dog>=1, found 0\nno target for cat to be above"),
    ),
    "a target of the wrong colour is none": (
        (
            "position",
            [clause("dog", color="red"), clause("cat", position=["right of", 0])],
            {"dog": [(BOX, 0.9, "blue")], "cat": [(RIGHT, 0.9)]},
        ),
        (False, "expected red dog>=1, found 0 red; and 1 blue\nno target for cat to be right of"),
    ),
    "all pairs have to be in place": (
        (
            "position",
            [clause("dog", 2), clause("cat", position=["right of", 0])],
            {"dog": [(BOX, 0.9), ((200, 0, 210, 10), 0.8)], "cat": [(RIGHT, 0.9)]},
        ),
        (False, "expected cat right of target, found left of target"),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_verdicts_and_reasons_are_the_official_ones(name: str) -> None:
    case, expected = CASES[name]
    assert image(*case) == expected


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((-100.0, 0.0, -90.0, 10.0), ("right of",)),
        ((100.0, 0.0, 110.0, 10.0), ("left of",)),
        ((0.0, 100.0, 10.0, 110.0), ("above",)),
        ((0.0, -100.0, 10.0, -90.0), ("below",)),
        ((-100.0, 100.0, -90.0, 110.0), ("right of", "above")),
        ((1.9, 0.0, 11.9, 10.0), ()),  # within a tenth of both widths
        (BOX, ()),
        ((-3.0, 0.0, 7.0, 10.0), ()),  # 3 away, of which a third is left: less than half
        ((-4.1, 0.0, 5.9, 10.0), ("right of",)),  # 2.1 of 4.1 are left
    ],
)
def test_relations_shorten_the_way_by_a_tenth_of_both_sizes(other: tuple, expected: tuple) -> None:
    assert relations(BOX, other) == expected


def test_overlapping_detections_are_dropped_only_if_asked() -> None:
    detections = {"cat": [Detected(BOX, 0.99), Detected((0.0, 0.0, 10.0, 9.0), 0.98)]}  # overlap 110 / 121
    metadata = {"tag": "counting", "include": [clause("cat", 2)]}
    assert judge_image(detections, metadata).correct
    assert not judge_image(detections, metadata, GenEvalRule(max_overlap=0.9)).correct
    assert judge_image(detections, metadata, GenEvalRule(max_overlap=0.92)).correct
