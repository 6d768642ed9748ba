"""``score-detections``: the official verdicts, line by line, and input as others write it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from evaluation.geneval.prompts import geneval_metadata
from evaluation.geneval.recorded import score_detections
from tests.evaluation.geneval.synthetic import NUM_DRAWS, reasons_digest, synthetic_lines

GOLDEN = json.loads(Path(__file__).with_name("official_verdicts.json").read_text(encoding="utf-8"))

CAT = {"class": "cat", "box": [0, 0, 10, 10], "score": 0.95}
ONE_CAT = {"tag": "single_object", "include": [{"class": "cat", "count": 1}]}
RIGHT, WRONG = {"correct": True, "reason": ""}, {"correct": False, "reason": "expected cat>=1, found 0"}


def written(path: Path, lines: list[Any]) -> Path:
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    return path


def scored(path: Path, *lines: Any) -> list[dict[str, Any]]:
    return list(score_detections(written(path / "detections.jsonl", list(lines))))


def test_verdicts_and_reasons_are_those_of_the_official_script(tmp_path: Path) -> None:
    """On synthetic detections for all 553 prompts; what the script said was recorded once."""
    prompts = geneval_metadata()
    lines = [line for draw in range(NUM_DRAWS) for line in synthetic_lines(prompts, draw)]
    found = scored(tmp_path, *lines)
    verdicts = "".join("01"[one["correct"]] for one in found)
    recorded = "".join(format(int(row, 16), f"0{len(prompts)}b") for row in GOLDEN["correct"])
    others = [number for number, pair in enumerate(zip(verdicts, recorded, strict=True)) if len({*pair}) > 1]
    assert not others, f"{len(others)} of {len(lines)} verdicts differ, first on {lines[others[0]]}"
    assert 0.2 < verdicts.count("1") / len(verdicts) < 0.6, "both verdicts are common"
    assert reasons_digest(found) == GOLDEN["reasons_sha256"]


def test_line_by_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    red = [{"class": "cat", "count": 1, "color": "red"}]
    lines = [
        {**ONE_CAT, "detections": [CAT]},
        {"tag": "colors", "include": red, "detections": [{**CAT, "color": "blue"}]},
        {**ONE_CAT, "tag": "counting", "exclude": [{"class": "cat", "count": 2}], "detections": [CAT] * 2},
        {**ONE_CAT, "exclude": [], "detections": []},
    ]
    main(["score-detections", str(written(tmp_path / "detections.jsonl", lines))])
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        RIGHT,
        {"correct": False, "reason": "expected red cat>=1, found 0 red; and 1 blue"},
        {"correct": False, "reason": "expected cat<2, found 2"},
        WRONG,
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"exclude": None}, RIGHT),
        ({"tag": "another task"}, RIGHT),
        ({"tag": None, "prompt": "a photo of a cat", "seed": 3}, RIGHT),
        ({"include": [{"class": "cat", "count": 1, "color": None, "position": None}]}, RIGHT),
        ({"detections": [{**CAT, "color": "red", "mask": [1, 2]}]}, RIGHT),
        ({"detections": [{**CAT, "color": None}]}, RIGHT),
        ({"detections": [{**CAT, "score": 1}]}, RIGHT),
        ({"detections": [{**CAT, "box": [0.5, 0.25, 10.75, 9.5, 0.95]}]}, RIGHT),
        ({"detections": [{**CAT, "class": "dog"}, {**CAT, "score": 0.31}, {**CAT, "class": "cats"}]}, RIGHT),
        ({"detections": None}, WRONG),
        ({"detections": [{**CAT, "score": 0}]}, WRONG),
        ({"detections": [{**CAT, "class": "Cat"}]}, WRONG),
    ],
    ids=lambda value: json.dumps(value) if len(value) == 1 else None,
)
def test_odd_lines_are_judged(tmp_path: Path, change: dict[str, Any], expected: dict[str, Any]) -> None:
    assert scored(tmp_path, {**ONE_CAT, "detections": [CAT], **change}) == [expected]


def test_a_clause_whose_colour_is_null_asks_for_none(tmp_path: Path) -> None:
    clause = {"class": "cat", "count": 1, "color": None}
    red = {**CAT, "color": "red"}
    assert scored(tmp_path, {"tag": "colors", "include": [clause], "detections": [red]}) == [RIGHT]


def test_byte_order_marks_and_other_line_ends_do_not_matter(tmp_path: Path) -> None:
    first, second = ({**ONE_CAT, "detections": found} for found in ([CAT], []))
    path = tmp_path / "detections.jsonl"
    path.write_bytes(f"\ufeff{json.dumps(first)}\r\n\r\n  \n{json.dumps(second)}".encode())
    assert list(score_detections(path)) == [RIGHT, WRONG]


def test_of_equal_scores_the_later_is_the_better(tmp_path: Path) -> None:
    """As the script's sort leaves a few of them; here on every machine, however many there are."""
    red = {"tag": "colors", "include": [{"class": "cat", "count": 1, "color": "red"}]}
    for num in (2, 16, 300):
        cats = [{**CAT, "score": 0.9 + 0.01 * (k % 2), "color": "blue"} for k in range(num)]
        for place, expected in ((1, num == 2), (num - 1, True)):  # of the odd ones, which are equal
            found = [{**cat, "color": "red"} if k == place else cat for k, cat in enumerate(cats)]
            (verdict,) = scored(tmp_path, {**red, "detections": found})
            assert verdict["correct"] == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"tag": "colors", "include": []}', "lacks 'detections'"),
        ('{"include": [], "detections": [{"class": "cat", "box": [0, 0, 1], "score": 1}]}', "four finite"),
        (
            '{"include": [], "detections": [{"class": "cat", "box": [0, 0, 1, NaN], "score": 1}]}',
            "four finite",
        ),
        ('{"include": [{"class": "cat"}], "detections": []}', "lacks 'count'"),
        ("[]", "can't be judged"),
        ("{", "can't be judged"),
        ("[" * 100_000, "can't be judged"),
        (
            f'{{"include": [], "detections": [{{"class": "cat", "box": [1e{400}], "score": {10**400}}}]}}',
            "too large",
        ),
        ("\xff", "can't be judged: 'utf-8'"),
    ],
    ids=["no detections", "3 sides", "not a number", "no count", "a list", "cut", "deep", "huge", "latin"],
)
def test_a_line_that_cannot_be_judged_is_named(tmp_path: Path, line: str, problem: str) -> None:
    path = tmp_path / "detections.jsonl"
    path.write_text('{"include": [], "detections": []}\n' + line + "\n", encoding="latin-1")
    with pytest.raises(SystemExit, match="line 2 of") as stop:
        main(["score-detections", str(path)])
    assert problem in str(stop.value)
