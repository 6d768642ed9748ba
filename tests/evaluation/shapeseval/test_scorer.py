from __future__ import annotations

import itertools

import pytest

from evaluation.shapeseval.detector import UNKNOWN, Detection
from evaluation.shapeseval.scorer import FAILURES, judge
from evaluation.shapeseval.world import Prompt


def seen(*objects: str) -> list[Detection]:
    """Detections from words: "red circle" or "red circle 40 10" (centre), all 10 pixels wide."""
    detections = []
    for words in objects:
        color, shape, *centre = words.split()
        x, y = map(float, centre or (20, 20))
        box = (x - 5, y - 5, x + 5, y + 5)
        detections.append(Detection(shape=shape, color=color, box=box, shape_score=1.0, color_distance=0.0))
    return detections


def prompt(*include: dict, **fields) -> Prompt:
    return Prompt.from_dict(
        {"id": "p", "tag": "t", "prompt": "a picture", "include": list(include), **fields}
    )


ONE_CIRCLE = prompt({"class": "circle", "count": 1})
TWO_CIRCLES = prompt({"class": "circle", "count": 2}, exclude=[{"class": "circle", "count": 3}])
RED_CIRCLE = prompt({"class": "circle", "count": 1, "color": "red"})
CIRCLE_AND_SQUARE = prompt({"class": "circle", "count": 1}, {"class": "square", "count": 1})
RED_CIRCLE_BLUE_SQUARE = prompt(
    {"class": "circle", "count": 1, "color": "red"}, {"class": "square", "count": 1, "color": "blue"}
)
CIRCLE_LEFT_OF_SQUARE = prompt(
    {"class": "square", "count": 1}, {"class": "circle", "count": 1, "position": ["left of", 0]}
)


@pytest.mark.parametrize(
    ("asked", "objects", "failures"),
    [
        (ONE_CIRCLE, ["red circle"], ()),
        (ONE_CIRCLE, [], ("missing_object",)),
        (ONE_CIRCLE, ["red square"], ("wrong_shape",)),
        (ONE_CIRCLE, ["red unknown"], ("wrong_shape",)),
        (ONE_CIRCLE, ["red circle", "blue square"], ("extra_object",)),
        (ONE_CIRCLE, ["red circle", "blue circle"], ("wrong_count",)),
        (TWO_CIRCLES, ["red circle", "blue circle"], ()),
        (TWO_CIRCLES, ["red circle"], ("wrong_count",)),
        (TWO_CIRCLES, ["red circle"] * 3, ("wrong_count",)),
        (TWO_CIRCLES, ["red circle", "red square"], ("wrong_shape",)),
        (RED_CIRCLE, ["red circle"], ()),
        (RED_CIRCLE, ["blue circle"], ("wrong_color",)),
        (RED_CIRCLE, ["unknown circle"], ("wrong_color",)),
        (RED_CIRCLE, ["red square"], ("wrong_shape",)),
        (RED_CIRCLE, ["blue square"], ("missing_object", "extra_object")),
        (CIRCLE_AND_SQUARE, ["red square", "red circle"], ()),
        (CIRCLE_AND_SQUARE, ["red circle", "red circle"], ("wrong_shape",)),
        (RED_CIRCLE_BLUE_SQUARE, ["blue square", "red circle"], ()),
        (RED_CIRCLE_BLUE_SQUARE, ["red square", "blue circle"], ("wrong_color",)),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 10 30", "red square 40 30"], ()),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 40 30", "red square 10 30"], ("wrong_relation",)),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 10 30", "red square 10 30"], ("wrong_relation",)),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 10 30"], ("missing_object",)),
        (
            CIRCLE_LEFT_OF_SQUARE,
            ["red circle 40 30", "red square 10 30", "red star 5 5"],
            ("extra_object", "wrong_relation"),
        ),
    ],
)
def test_strict_mode_names_what_is_wrong(
    asked: Prompt, objects: list[str], failures: tuple[str, ...]
) -> None:
    verdict = judge(seen(*objects), asked)
    assert verdict.failures == failures
    assert verdict.correct == (not failures)
    assert bool(verdict.reason) == bool(failures)
    assert set(failures) <= set(FAILURES)


@pytest.mark.parametrize(
    ("asked", "objects", "correct"),
    [
        (ONE_CIRCLE, ["red circle", "blue square"], True),  # extras are allowed
        (ONE_CIRCLE, ["red circle", "red circle"], True),
        (ONE_CIRCLE, ["red square"], False),
        (TWO_CIRCLES, ["red circle"] * 2, True),
        (TWO_CIRCLES, ["red circle"] * 3, False),  # but not what `exclude` names
        (RED_CIRCLE, ["blue circle"], False),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 10 30", "red square 40 30", "red star 9 9"], True),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 40 30", "red square 10 30"], False),
        (CIRCLE_LEFT_OF_SQUARE, ["red circle 10 30"], False),
    ],
)
def test_geneval_mode_asks_for_at_least_the_named(asked: Prompt, objects: list[str], correct: bool) -> None:
    assert judge(seen(*objects), asked, strict=False).correct is correct


def test_strict_verdicts_equal_set_equality() -> None:
    """Slow twin: without relations, an image is right if and only if some pairing of objects fulfils all."""
    words = [f"{color} {shape}" for color in ("red", "blue") for shape in ("circle", "square", UNKNOWN)]
    asked = [ONE_CIRCLE, TWO_CIRCLES, RED_CIRCLE, CIRCLE_AND_SQUARE, RED_CIRCLE_BLUE_SQUARE]
    asked.append(prompt({"class": "circle", "count": 1}, {"class": "circle", "count": 1, "color": "red"}))
    for drawn in itertools.chain(*(itertools.combinations_with_replacement(words, n) for n in range(4))):
        for one in asked:
            wishes = [query for query in one.include for _ in range(query.count)]
            right = len(wishes) == len(drawn) and any(
                all(
                    w.shape == o.shape and w.color in (None, o.color)
                    for w, o in zip(wishes, order, strict=True)
                )
                for order in itertools.permutations(seen(*drawn))
            )
            assert judge(seen(*drawn), one).correct == right, (drawn, one.include)


@pytest.mark.parametrize(
    ("objects", "binding"),
    [
        (["red square", "blue circle"], True),
        (["red circle", "blue square"], False),
        (["red square", "red circle"], False),
        (["red square"], False),
    ],
)
def test_binding_errors_are_right_atoms_wrongly_paired(objects: list[str], binding: bool) -> None:
    assert judge(seen(*objects), RED_CIRCLE_BLUE_SQUARE).binding_error is binding
