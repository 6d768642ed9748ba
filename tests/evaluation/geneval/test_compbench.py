"""T2I-CompBench's scores, worked by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.geneval.__main__ import main
from evaluation.geneval.compbench import Named, numeracy_score, relation_in, spatial_score

LEFT = (0.0, 0.0, 10.0, 10.0)
RIGHT = (100.0, 0.0, 110.0, 10.0)
FAR = (400.0, 300.0, 410.0, 310.0)


def pair(first: tuple, second: tuple, score: float = 0.8) -> list[Named]:
    return [Named("cat", first, score), Named("dog", second, score)]


@pytest.mark.parametrize(
    ("relation", "boxes", "expected"),
    [
        ("on the left of", (LEFT, RIGHT), 0.9),  # .2 + .2 + .5
        ("on the left of", (RIGHT, LEFT), 0.0),  # .4 is below one half
        ("on the right of", (RIGHT, LEFT), 0.9),
        ("on the top of", (LEFT, (0.0, 100.0, 10.0, 110.0)), 0.9),
        ("on the bottom of", ((0.0, 100.0, 10.0, 110.0), LEFT), 0.9),
        ("on the left of", (LEFT, (100.0, 100.0, 110.0, 110.0)), 0.0),  # as far down as to the right
        ("on the left of", (LEFT, (5.0, 0.0, 15.0, 10.0)), 0.4 + 0.5 * 0.1 / (50 / 150)),
        ("next to", (LEFT, RIGHT), 0.9),
        ("near", (LEFT, (400.0, 0.0, 410.0, 10.0)), 0.9),  # near in one direction is enough
        ("near", (LEFT, FAR), 0.4 + 0.5 * 150 / 400),
        ("on top of", (LEFT, (0.0, 100.0, 10.0, 110.0)), 0.0),  # never granted
        (None, (LEFT, RIGHT), 0.0),
    ],
)
def test_spatial_scores(relation: str | None, boxes: tuple, expected: float) -> None:
    assert spatial_score("cat", relation, "dog", pair(*boxes)) == pytest.approx(expected)


def test_fixed_mode_grants_on_top_of() -> None:
    found = pair(LEFT, (0.0, 100.0, 10.0, 110.0))
    assert spatial_score("cat", "on top of", "dog", found, "fixed") == pytest.approx(0.9)
    assert spatial_score("cat", "on top of", "dog", pair(LEFT, RIGHT), "fixed") == 0.0


def test_a_single_object_is_worth_nothing_and_people_are_persons() -> None:
    assert spatial_score("cat", "near", "dog", [Named("cat", LEFT, 1.0)]) == 0.0
    found = [Named("person", LEFT, 0.8), Named("dog", RIGHT, 0.8), Named("person", FAR, 1.0)]
    assert spatial_score("girl", "near", "dog", found) == pytest.approx(0.9)  # the first person counts


@pytest.mark.parametrize(
    ("prompt", "relation"),
    [
        ("a cat on the left of a dog", "on the left of"),
        ("a cat on top of a dog", "on top of"),
        ("a cat near a dog", "near"),
        ("a cat and a dog", None),
    ],
)
def test_relations_in_prompts(prompt: str, relation: str | None) -> None:
    assert relation_in(prompt) == relation


@pytest.mark.parametrize(
    ("wanted", "found", "expected"),
    [
        ({"cat": 2}, [("cat", LEFT), ("cat", RIGHT)], 1.0),
        ({"cat": 2}, [("cat", LEFT)], 0.5),
        ({"cat": 1, "dog": 1}, [("cat", LEFT)], 0.5),
        ({"cat": 1}, [("cat", LEFT), ("cat", (1.0, 1.0, 9.0, 9.0))], 1.0),  # one lies within the other
        ({"cat": 2}, [("cat", LEFT), ("cat", (5.0, 0.0, 15.0, 10.0))], 1.0),
        ({"cat": 1}, [("cat", LEFT), ("dog", LEFT)], 1.0),
        ({"goldfish": 1}, [("fish", LEFT)], 1.0),
        ({"flower": 2}, [("sunflower", LEFT), ("sunflower", RIGHT)], 1.0),
        ({"cat": 1}, [], 0.0),
    ],
)
def test_numeracy_scores(wanted: dict[str, int], found: list, expected: float) -> None:
    assert numeracy_score(wanted, [Named(name, box, 0.9) for name, box in found]) == expected


def test_lines_of_detections_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    cat, dog = ({"class": one.name, "box": one.box, "score": one.score} for one in pair(LEFT, RIGHT))
    lines = [
        {"prompt": "a cat near a dog", "objects": ["cat", "dog"], "detections": [cat, dog]},
        {"numbers": {"cat": 2}, "detections": [cat]},
    ]
    path = tmp_path / "detections.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    main(["compbench", str(path)])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"spatial": pytest.approx(0.9)},
        {"numeracy": 0.5},
    ]
    path.write_text('{"detections": []}')
    with pytest.raises(SystemExit, match="line 1 of .* lacks 'objects'"):
        main(["compbench", str(path)])
