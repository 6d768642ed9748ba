from __future__ import annotations

import pytest

from evaluation.reports.verdicts import read_verdicts

BOX = [1, 2, 3, 4]


def test_rows_of_several_tasks_give_a_verdict_each() -> None:
    row = {
        "prompt_set": "geneval",
        "prompt_id": "p",
        "index": 1,
        "prompt": "a dog",
        "aspect_ratio": 0.5,
        "metadata": {"tag": "counting"},
        "file": "a.png",
        "tasks": {"geneval": {"correct": False, "reason": "expected dog>=1, found 0"}, "ir": {"score": 0.3}},
    }
    judged, scored = read_verdicts([row])
    assert (judged.task, judged.correct, judged.score) == ("geneval", False, 0.0)
    assert (scored.task, scored.correct, scored.score) == ("ir", None, 0.3)
    assert judged.image == scored.image == ("geneval", "p", 1)
    assert judged.groups == {"kind of prompt": "counting", "aspect ratio": "0.5"}


def test_rows_of_one_task_need_no_nesting() -> None:
    row = {"task": "vqa", "prompt_id": "p", "index": 0, "score": 0.5, "file": "a.png", "aspect_ratio": 2.0}
    (one,) = read_verdicts([row])
    assert (one.task, one.prompt_set, one.score, one.file) == ("vqa", "vqa", 0.5, "a.png")


def test_of_shapeseval_only_the_models_own_images_count(report) -> None:
    rows = [row for arm in report.content.shapeseval.values() for row in arm.rows()]
    verdicts = read_verdicts(rows)
    assert len(verdicts) == len(report.content.shapeseval["samples"].images)
    assert {one.task for one in verdicts} == {"shapeseval"}
    kinds = {one.groups["kind of prompt"] for one in verdicts}
    assert {"single object, as in training", "color attribution, held out"} <= kinds


def test_rows_without_a_verdict_are_passed_over() -> None:
    assert read_verdicts([{"prompt_set": "s", "prompt_id": "p", "index": 0, "tasks": {"fid": {}}}]) == []


@pytest.mark.parametrize(
    ("reason", "kinds"),
    [
        ("expected dog>=2, found 1", ("missing or too few",)),
        ("expected dog<3, found 3", ("too many",)),
        ("expected red dog>=1, found 0 red; and 1 blue", ("wrong color",)),
        ("expected red dog>=1, found 0 red; and ", ("wrong color",)),
        ("expected dog left of target, found  target", ("wrong position",)),
        ("no target for dog to be above", ("nothing to be placed beside",)),
        ("expected cat>=1, found 0\nexpected dog<4, found 4", ("missing or too few", "too many")),
        ("12 words", ("## words",)),
        ("read: helo", ("other words read",)),
        ("no: Is there a dog? Is it red?", ("a question answered with no",)),
        ("", ("no reason given",)),
    ],
)
def test_failures_are_told_by_the_words_of_their_reason(reason: str, kinds: tuple[str, ...]) -> None:
    row = {"task": "t", "prompt_id": "p", "index": 0, "correct": False, "reason": reason}
    assert read_verdicts([row])[0].failures == kinds


def test_named_kinds_of_failures_are_taken_as_they_are() -> None:
    row = {"task": "t", "prompt_id": "p", "index": 0, "correct": False, "failures": ["wrong_count"]}
    assert read_verdicts([row])[0].failures == ("wrong_count",)


@pytest.mark.parametrize(
    "detections",
    [
        [{"class": "dog", "box": BOX, "score": 0.5, "color": "red"}],
        [{"class": "dog", "box": [*BOX, 0.5], "score": 0.5, "color": "red"}],
        [{"shape": "dog", "box": BOX, "shape_score": 0.5, "color": "red"}],
        {"dog": [{"box": BOX, "score": 0.5, "color": "red"}]},
    ],
)
def test_boxes_of_every_detector_are_read(detections) -> None:
    row = {"task": "t", "prompt_id": "p", "index": 0, "correct": True, "detections": detections}
    (box,) = read_verdicts([row])[0].boxes
    assert (box.sides, box.label, box.score) == ((1, 2, 3, 4), "red dog", 0.5)


def test_a_score_that_is_none_is_refused() -> None:
    row = {"task": "t", "prompt_id": "p", "index": 2, "score": float("nan")}
    with pytest.raises(ValueError, match="image 2 of prompt p has no finite score by t; score it again"):
        read_verdicts([row])
