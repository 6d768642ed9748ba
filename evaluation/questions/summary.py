"""From scores of images to a number of a model: the mean over prompts of the means over their images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from evaluation.intervals import bootstrap_mean
from evaluation.results import MetricValue
from evaluation.tasks.api import EvalSample

__all__ = ["mean_over_prompts"]


def mean_over_prompts(
    name: str,
    knobs: str,
    samples: Sequence[EvalSample],
    scores: Sequence[float],
    *,
    seed: int,
    note: str,
) -> MetricValue:
    """A metric in which higher is better; the interval is a bootstrap of prompts."""
    by_prompt: dict[str, list[float]] = {}
    for sample, score in zip(samples, scores, strict=True):
        by_prompt.setdefault(sample.prompt.id, []).append(score)
    mean = bootstrap_mean([float(np.mean(values)) for values in by_prompt.values()], seed=seed)
    return MetricValue(
        id=f"{name}[{knobs},prompts={len(by_prompt)},images={len(samples)}]",
        value=mean.value,
        direction="higher",
        n=len(samples),
        ci95=(mean.low, mean.high),
        note=note,
    )
