"""From scores of images to numbers of a model: means over prompts, and HPSv2's means by style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from evaluation.intervals import bootstrap_mean
from evaluation.preference.scorer import Scorer
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalPrompt, EvalSample, TaskScore

__all__ = ["chunk_means", "summarise"]

_CHUNK = 80  # prompts, in HPSv2's benchmark


def summarise(
    scorer: Scorer, samples: Sequence[EvalSample], scores_N: np.ndarray, *, knobs: str, seed: int = 0
) -> TaskScore:
    """Means over prompts of the means over a prompt's images; intervals by a bootstrap of prompts.

    Where prompts have styles: also by style, as HPSv2 does it.
    """
    prompts = {sample.prompt.id: sample.prompt for sample in samples}
    lists: dict[str, list[float]] = {name: [] for name in prompts}
    for sample, score in zip(samples, scores_N, strict=True):
        lists[sample.prompt.id].append(float(score))
    means = {name: float(np.mean(scores)) for name, scores in lists.items()}
    knobs = f"{knobs},images={len(samples)}"
    mean = bootstrap_mean(list(means.values()), seed=seed)
    total = MetricValue(
        id=f"{scorer.name}[{knobs}]",
        value=max(mean.value, scorer.lowest_mean),
        direction="higher",
        n=len(samples),
        ci95=(max(mean.low, scorer.lowest_mean), max(mean.high, scorer.lowest_mean)),
    )
    by_style, tables = _styles(scorer, prompts, means, knobs, seed)
    cut = {name for name, prompt in prompts.items() if scorer.is_cut(prompt.text)}
    caveats = list(scorer.caveats)
    if cut:
        caveats.append(
            f"{scorer.name}: {len(cut)} of {len(prompts)} prompts are longer than {scorer.max_tokens} "
            "tokens; it saw their beginnings"
        )
    rows = [
        {
            "prompt_id": sample.prompt.id,
            "index": sample.index,
            "score": float(score),
            "truncated": sample.prompt.id in cut,
        }
        for sample, score in zip(samples, scores_N, strict=True)
    ]
    return TaskScore(metrics=(total, *by_style), rows=tuple(rows), tables=tables, caveats=tuple(caveats))


def chunk_means(means_P: Sequence[float]) -> tuple[float, float]:
    """Mean and standard deviation of the means of 80 prompts each; the last ones may be fewer.

    What HPSv2 prints for a style: ten means of 80, and their deviation without Bessel's correction.
    """
    chunks = [np.mean(means_P[start : start + _CHUNK]) for start in range(0, len(means_P), _CHUNK)]
    return float(np.mean(chunks)), float(np.std(chunks))


def _styles(
    scorer: Scorer, prompts: Mapping[str, EvalPrompt], means: Mapping[str, float], knobs: str, seed: int
) -> tuple[list[MetricValue], dict[str, Table]]:
    styles: dict[str, list[str]] = {}
    for name, prompt in prompts.items():
        if "style" in prompt.metadata:
            styles.setdefault(prompt.metadata["style"], []).append(name)
    metrics, rows = [], []
    for style, names in styles.items():
        scores = [means[name] for name in names]
        value, deviation = chunk_means(scores)
        interval = bootstrap_mean(scores, seed=seed)
        rows.append((style, value, deviation, len(scores)))
        metrics.append(
            MetricValue(
                id=f"{scorer.name}[{knobs},style={style}]",
                value=value,
                direction="higher",
                n=len(scores),
                ci95=(interval.low, interval.high),
            )
        )
    columns = ("style", "mean", f"deviation of means of {_CHUNK}", "prompts")
    tables = {f"{scorer.name} by style": Table(columns=columns, rows=tuple(rows))} if rows else {}
    return metrics, tables
