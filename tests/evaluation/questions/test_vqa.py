from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.questions.vqa import ask_probabilities, build_vqa, in_batches, says_yes
from evaluation.tasks.api import EvalPrompt
from tests.evaluation.questions.recorded import context_of, draw


@pytest.mark.parametrize("answer", ["yes", "Yes.", " YES, there is", '"yes"'])
def test_yes_in_any_dress(answer: str) -> None:
    assert says_yes(answer)


@pytest.mark.parametrize("answer", ["no", "yesterday", "oh yes", ""])
def test_what_is_no_yes(answer: str) -> None:
    assert not says_yes(answer)


def test_batches_pair_images_with_their_questions(tmp_path: Path) -> None:
    samples = draw(tmp_path, [EvalPrompt(id="p", text="t", num_images=3)])
    jobs = [(sample, f"{sample.index}?") for sample in samples for _ in range(2)]
    seen = [
        (number, int(image[0, 0, 0]), question)
        for numbers, images, questions in in_batches(jobs, 4)
        for number, image, question in zip(range(6)[numbers], images, questions, strict=True)
    ]
    assert seen == [(k, k // 2, f"{k // 2}?") for k in range(6)]


def test_an_answer_that_was_not_recorded_fails_the_run(tmp_path: Path) -> None:
    first, second = draw(tmp_path, [EvalPrompt(id="p", text="t", num_images=2)])
    vqa = build_vqa(context_of(tmp_path, [(first, "a?", {"answer": "yes"})]))
    assert vqa.answer([first.image()], ["a?"]) == ["yes"]
    for sample, question in ((first, "b?"), (second, "a?")):
        with pytest.raises(ValueError, match="has no answer to '.*' on the image with sha256"):
            vqa.answer([sample.image()], [question])
    with pytest.raises(ValueError, match="has no probability to 'a\\?'"):
        vqa.probability([first.image()], ["a?"], [("yes",)])


def test_probabilities_are_in_0_to_1(tmp_path: Path) -> None:
    (sample,) = draw(tmp_path, [EvalPrompt(id="p", text="t")])
    vqa = build_vqa(context_of(tmp_path, [(sample, "a?", {"probability": 85})]))
    with pytest.raises(ValueError, match="table,recorded gave 85.0 for a probability"):
        ask_probabilities(vqa, [(sample, "a?", ("yes",))], 1)


def test_answers_of_two_models_are_not_mixed(tmp_path: Path) -> None:
    (sample,) = draw(tmp_path, [EvalPrompt(id="p", text="t")])
    rows = [(sample, "a?", {"answer": "yes"}), (sample, "b?", {"answer": "yes", "model": "another"})]
    context = context_of(tmp_path, rows)
    with pytest.raises(ValueError, match=r"answers of one model, got \['another', 'table'\]"):
        build_vqa(context)
