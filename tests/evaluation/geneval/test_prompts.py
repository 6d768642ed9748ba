"""GenEval's prompts, drawn from its seed."""

from __future__ import annotations

from collections import Counter

import pytest

from evaluation.geneval import prompts
from evaluation.geneval.prompts import geneval_metadata, geneval_prompts
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFinder


def test_the_553_prompts_have_the_published_hash() -> None:
    tags = Counter(line["tag"] for line in geneval_metadata())  # which raises where the hash differs
    assert tags == {
        "single_object": 80,
        "two_object": 99,
        "counting": 80,
        "colors": 94,
        "position": 100,
        "color_attr": 100,
    }


def test_other_prompts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompts, "COLORS", ("red", "green", "blue"))
    with pytest.raises(ValueError, match="draws other numbers"):
        geneval_metadata()


def test_four_images_of_every_prompt_are_drawn_unless_asked_otherwise() -> None:
    context = EvalContext(weights=WeightFinder())
    drawn = geneval_prompts(context)
    assert (len(drawn), {one.num_images for one in drawn}) == (553, {4})
    fewer = geneval_prompts(EvalContext(weights=WeightFinder(), limit=2, images_per_prompt=1))
    assert [(one.id, one.text, one.num_images) for one in fewer] == [
        ("00000", "a photo of a bench", 1),
        ("00001", "a photo of a cow", 1),
    ]
