"""Means over prompts and by style."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from evaluation.preference.summary import chunk_means, summarise
from evaluation.tasks.api import EvalPrompt, EvalSample


class Named:
    """A scorer as far as summaries go."""

    name = "hps"
    knobs = ""
    max_tokens = 5
    lowest_mean = -math.inf
    caveats = ("a stand-in",)

    def is_cut(self, text: str) -> bool:
        return len(text) > self.max_tokens


def sample(prompt: EvalPrompt, index: int = 0) -> EvalSample:
    return EvalSample(prompt=prompt, index=index, path=Path("none"), sha256="", seed=0)


STYLES = ("anime", "concept-art", "paintings", "photo")


def test_hpsv2s_3200_prompts_give_means_and_deviations_of_ten_times_80_by_style() -> None:
    scores = np.random.default_rng(0).normal([[30.0], [29.0], [28.0], [26.0]], 1.5, (4, 800))
    samples, values = [], []
    for number in range(800):  # styles take turns
        for style, row in zip(STYLES, scores, strict=True):
            samples.append(sample(EvalPrompt(id=f"{style}-{number}", text="", metadata={"style": style})))
            values.append(row[number])
    score = summarise(Named(), samples, np.array(values), knobs="x")
    total, *by_style = score.metrics
    assert (total.id, total.n) == ("hps[x,images=3200]", 3200)
    assert total.value == pytest.approx(scores.mean())
    assert total.ci95 is not None
    assert total.ci95[0] < total.value < total.ci95[1]
    table = score.tables["hps by style"]
    for style, row, metric, cells in zip(STYLES, scores, by_style, table.rows, strict=True):
        means = row.reshape(10, 80).mean(axis=1)
        assert metric.id == f"hps[x,images=3200,style={style}]"
        assert metric.value == pytest.approx(means.mean())
        assert cells == (style, pytest.approx(means.mean()), pytest.approx(means.std()), 800)


def test_a_last_chunk_may_be_smaller() -> None:
    assert chunk_means([1.0] * 80 + [4.0] * 20) == (2.5, 1.5)  # as HPSv2's script has it


def test_prompts_count_alike_however_many_images_they_have() -> None:
    one, two = EvalPrompt(id="1", text=""), EvalPrompt(id="2", text="")
    score = summarise(
        Named(), [sample(one), sample(two), sample(two, 1)], np.array([0.0, 1.0, 3.0]), knobs="x"
    )
    assert score.metrics[0].value == 1.0
    assert score.metrics[0].n == 3
    assert not score.tables


def test_cut_prompts_are_counted_and_marked() -> None:
    samples = [sample(EvalPrompt(id=text, text=text)) for text in ("short", "longer")]
    score = summarise(Named(), samples, np.zeros(2), knobs="x")
    assert [row["truncated"] for row in score.rows] == [False, True]
    assert score.caveats == (
        "a stand-in",
        "hps: 1 of 2 prompts are longer than 5 tokens; it saw their beginnings",
    )


def test_a_mean_that_may_not_be_negative_is_not() -> None:
    scorer = Named()
    scorer.lowest_mean = 0.0
    score = summarise(scorer, [sample(EvalPrompt(id="1", text=""))], np.array([-2.0]), knobs="x")
    assert (score.metrics[0].value, score.metrics[0].ci95) == (0.0, (0.0, 0.0))
    assert score.rows[0]["score"] == -2.0
