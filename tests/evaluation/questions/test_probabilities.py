"""Soft-TIFA, VQAScore and attribute binding, on probabilities that were recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.questions.soft_tifa import answer_forms
from evaluation.tasks.api import EvalContext, EvalPrompt
from evaluation.tasks.registry import build_prompts, build_task
from evaluation.weights import WeightFinder
from tests.evaluation.questions.recorded import context_of, draw

PIGS = {
    "prompt": "two pigs",
    "atom_count": 3,
    "vqa_list": [["How many pigs are in the image?", "two"], ["Are there any pigs in the image?", "Yes"]],
    "skills": ["count", "object"],
}


def prompts_of(tmp_path: Path, name: str, prompt_set: str, *rows: object) -> list[EvalPrompt]:
    path = tmp_path / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return list(build_prompts(prompt_set, EvalContext(weights=WeightFinder({name: path}))))


def test_forms_are_those_of_yes_or_of_the_number() -> None:
    assert answer_forms("Is the pig green?", "Yes") == ("Yes", "yes", " yes", " Yes")
    assert answer_forms("How many pigs are there?", "seven") == (
        "seven",
        "Seven",
        " seven",
        " Seven",
        "7",
        " 7",
    )


def test_soft_tifa_means(tmp_path: Path) -> None:
    prompts = prompts_of(
        tmp_path, "geneval2", "geneval2", PIGS, {**PIGS, "prompt": "2 pigs", "atom_count": 4}
    )
    samples = draw(tmp_path, prompts)
    values = [(0.9, 0.4), (0.0, 1.0)]
    answers = [
        (sample, question, {"probability": value})
        for sample, pair in zip(samples, values, strict=True)
        for (question, _), value in zip(PIGS["vqa_list"], pair, strict=True)
    ]
    score = build_task("soft_tifa").score(samples, context_of(tmp_path, answers))
    am, gm = score.metrics
    assert am.id == "soft_tifa_am[vqa=table,recorded,prompts=2,images=2]"
    assert am.value == pytest.approx(100 * (0.65 + 0.5) / 2)
    assert gm.value == pytest.approx(100 * (0.6 + 0.0) / 2)
    assert score.rows[1]["score"] == 0
    assert score.rows[1]["reason"] == "least likely: How many pigs are in the image? two (0.00)"
    assert score.tables["Soft-TIFA AM by skill"].rows == (
        ("count", pytest.approx(45), 2),
        ("object", pytest.approx(70), 2),
    )
    assert score.tables["Soft-TIFA GM by atoms"].rows == ((3, pytest.approx(60), 1), (4, 0, 1))


@pytest.mark.parametrize("broken", [{"skills": ["count"]}, {"vqa_list": [], "skills": []}, {"prompt": None}])
def test_a_prompt_that_is_not_complete_is_refused(tmp_path: Path, broken: dict[str, object]) -> None:
    row = {name: value for name, value in {**PIGS, **broken}.items() if value is not None}
    with pytest.raises(ValueError, match="prompt 1 of .* is not complete"):
        prompts_of(tmp_path, "geneval2", "geneval2", row)


def test_vqascore_is_the_mean_over_prompts(tmp_path: Path) -> None:
    prompts = [EvalPrompt(id="a", text="a {cube}", num_images=2), EvalPrompt(id="b", text="a ring")]
    samples = draw(tmp_path, prompts)
    asked = 'Does this figure show "{}"? Please answer yes or no.'
    answers = [
        (sample, asked.replace("{}", sample.prompt.text), {"probability": value})
        for sample, value in zip(samples, (0.2, 0.4, 0.9), strict=True)
    ]
    score = build_task("vqascore").score(samples, context_of(tmp_path, answers))
    (metric,) = score.metrics
    assert metric.id == "vqascore[vqa=table,recorded,template=paper,set=captions,prompts=2,images=3]"
    assert metric.value == pytest.approx((0.3 + 0.9) / 2)
    assert [row["score"] for row in score.rows] == [0.2, 0.4, 0.9]


def test_vqascore_knows_its_templates() -> None:
    with pytest.raises(ValueError, match="template must be one of paper"):
        build_task("vqascore", template="own")


def test_attribute_binding_is_the_product_over_noun_phrases(tmp_path: Path) -> None:
    row = {"prompt": "a green bench and a red car", "noun_phrases": ["a green bench", "a red car"]}
    (prompt,) = prompts_of(tmp_path, "t2i-compbench", "t2i_compbench", row)
    assert prompt.num_images == 10
    samples = draw(tmp_path, [prompt])
    answers = [
        (sample, f"{phrase}?", {"probability": value})
        for sample in samples
        for phrase, value in zip(row["noun_phrases"], (0.5, sample.index / 10), strict=True)
    ]
    score = build_task("attribute_binding").score(samples, context_of(tmp_path, answers))
    assert score.metrics[0].value == pytest.approx(0.5 * 0.45)
    assert score.rows[3]["reason"] == "a green bench 0.50; a red car 0.30"
