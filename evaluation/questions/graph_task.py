"""DPG-Bench and DSG: share of a prompt's questions that its images answer with yes, where these count."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from evaluation.intervals import bootstrap_mean, clustered_share
from evaluation.questions.graphs import (
    Graph,
    Question,
    count_answers,
    count_in_order,
    count_next_to_parents,
)
from evaluation.questions.vqa import VQA, build_vqa, in_batches, says_yes
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["AnsweredImage", "GraphTask", "fixed_scores", "official_scores"]

Benchmark = Literal["dpg_bench", "dsg"]

_INSTRUCTION = "Answer yes or no."
_NOTES: dict[Benchmark, str] = {
    "dpg_bench": "Published DPG-Bench scores ask mPLUG-large (ModelScope); other models give other numbers.",
    "dsg": "Published DSG scores ask PaLI-17B, mPLUG-large or InstructBLIP; other models give other numbers.",
}
_RULES: dict[Benchmark, Callable[[Sequence[Question], Mapping[int, bool]], dict[int, bool]]] = {
    "dpg_bench": count_in_order,
    "dsg": count_next_to_parents,
}


@dataclass(frozen=True, kw_only=True)
class AnsweredImage:
    """An image of a prompt, and which questions it answers with yes, whatever they depend on."""

    graph: Graph
    index: int
    truths: Mapping[int, bool]


class GraphTask:
    """Mean over prompts of the mean over their images, in percent, in two modes from the same answers.

    `fixed`: everything counts. `official`, of DPG-Bench: the first row of the file is dropped, prompts on
    which that makes the script fail are left out (their number is a caveat), categories are scored by each
    prompt's last image and without regard to dependencies. Of DSG: a question is zeroed by its own parents
    alone.
    """

    def __init__(self, *, benchmark: Benchmark) -> None:
        self.prompt_set = benchmark
        self._benchmark: Benchmark = benchmark

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        vqa = build_vqa(context)
        images = _ask(vqa, samples, context.batch_size)
        fixed = fixed_scores(images)
        official, failed = official_scores(images, self._benchmark)
        knobs = f"vqa={vqa.id}" + (f",instruction={_INSTRUCTION}" if vqa.follows_instructions else "")
        metrics = []
        for mode, scores in (("fixed", fixed), ("official", official)):
            if scores:
                mean = bootstrap_mean([100 * score for score in scores.values()], seed=context.seed)
                metrics.append(
                    MetricValue(
                        id=f"{self._benchmark}[{knobs},mode={mode},prompts={len(fixed)},images={len(images)}]",
                        value=mean.value,
                        direction="higher",
                        n=sum(image.graph.id in scores for image in images),
                        ci95=(mean.low, mean.high),
                        note=_NOTES[self._benchmark],
                    )
                )
        return TaskScore(
            metrics=tuple(metrics),
            rows=tuple(_row(image) for image in images),
            tables={
                f"{self._benchmark} by category": _categories(images, self._benchmark, failed),
                **({"dsg by source": _by_source(fixed, official)} if self._benchmark == "dsg" else {}),
            },
            caveats=tuple(_caveats(images, self._benchmark, failed)),
        )


def fixed_scores(images: Sequence[AnsweredImage]) -> dict[str, float]:
    """By prompt, in [0, 1]: the mean over its images of the share of questions that count."""
    return _prompt_means(images, lambda image: count_answers(image.graph.questions, image.truths))


def official_scores(
    images: Sequence[AnsweredImage], benchmark: Benchmark
) -> tuple[dict[str, float], list[str]]:
    """The same as the published script has it, and the prompts on which it fails."""
    failed = {image.graph.id for image in images if _fails(image, benchmark)}
    passed = [image for image in images if image.graph.id not in failed]
    means = _prompt_means(passed, lambda image: _RULES[benchmark](_seen(image, benchmark), image.truths))
    return means, sorted(failed)


def _seen(image: AnsweredImage, benchmark: Benchmark) -> tuple[Question, ...]:
    """The questions that the published script reads."""
    return tuple(one for one in image.graph.questions if not (benchmark == "dpg_bench" and one.is_first))


def _fails(image: AnsweredImage, benchmark: Benchmark) -> bool:
    seen = _seen(image, benchmark)
    try:
        _RULES[benchmark](seen, {one.id: image.truths[one.id] for one in seen})
    except KeyError:
        return True
    return not seen


def _prompt_means(
    images: Sequence[AnsweredImage], count: Callable[[AnsweredImage], Mapping[int, bool]]
) -> dict[str, float]:
    shares: dict[str, list[float]] = defaultdict(list)
    for image in images:
        shares[image.graph.id].append(float(np.mean(list(count(image).values()))))
    return {name: float(np.mean(values)) for name, values in shares.items()}


def _ask(vqa: VQA, samples: Sequence[EvalSample], batch_size: int) -> list[AnsweredImage]:
    graphs = {
        one.prompt.id: Graph.from_metadata(one.prompt.id, one.prompt.text, one.prompt.metadata)
        for one in samples
    }
    suffix = f" {_INSTRUCTION}" if vqa.follows_instructions else ""
    jobs = [(sample, one) for sample in samples for one in graphs[sample.prompt.id].questions]
    asked = [(sample, question.text + suffix) for sample, question in jobs]
    truths: dict[tuple[str, int], dict[int, bool]] = defaultdict(dict)
    for numbers, images, questions in in_batches(asked, batch_size):
        for (sample, question), answer in zip(jobs[numbers], vqa.answer(images, questions), strict=True):
            truths[sample.prompt.id, sample.index][question.id] = says_yes(answer)
    return [
        AnsweredImage(graph=graphs[one.prompt.id], index=one.index, truths=truths[one.prompt.id, one.index])
        for one in samples
    ]


def _row(image: AnsweredImage) -> dict[str, object]:
    counted = count_answers(image.graph.questions, image.truths)
    denied = [one.text for one in image.graph.questions if not image.truths[one.id]]
    zeroed = [one.text for one in image.graph.questions if image.truths[one.id] and not counted[one.id]]
    reasons = [("no", denied), ("yes, but depends on a no", zeroed)]
    return {
        "prompt_id": image.graph.id,
        "index": image.index,
        "score": float(np.mean(list(counted.values()))),
        "correct": all(counted.values()),
        "reason": "; ".join(f"{why}: {' '.join(texts)}" for why, texts in reasons if texts),
    }


def _categories(images: Sequence[AnsweredImage], benchmark: Benchmark, failed: Sequence[str]) -> Table:
    """Level 1 ("entity"), then level 2 ("entity - whole")."""
    fixed: dict[str, list[tuple[bool, str]]] = defaultdict(list)
    official: dict[str, list[bool]] = defaultdict(list)
    last = {image.graph.id: image for image in images if image.graph.id not in failed}
    for image in images:
        counted = count_answers(image.graph.questions, image.truths)
        for one in image.graph.questions:
            for name in _levels(one):
                fixed[name].append((counted[one.id], image.graph.id))
    for image in last.values() if benchmark == "dpg_bench" else ():
        for one in _seen(image, benchmark):
            for name in _levels(one):
                official[name].append(image.truths[one.id])
    rows = []
    for name in sorted(fixed, key=lambda name: (" - " in name, name)):
        outcomes, clusters = zip(*fixed[name], strict=True)
        share = clustered_share(outcomes, clusters)
        by_script = 100 * float(np.mean(official[name])) if official[name] else None
        rows.append((name, 100 * share.value, 100 * share.low, 100 * share.high, by_script, len(outcomes)))
    columns = ("category", "fixed", "95% from", "to", "official (last images)", "answers")
    return Table(columns=columns, rows=tuple(rows))


def _by_source(fixed: Mapping[str, float], official: Mapping[str, float]) -> Table:
    """The ten data sets that DSG-1k's prompts are taken from, which its ids begin with."""
    sources: dict[str, list[str]] = defaultdict(list)
    for name in fixed:
        sources[name.rpartition("_")[0] or name].append(name)
    rows = []
    for source, names in sorted(sources.items()):
        passed = [official[name] for name in names if name in official]
        by_script = 100 * float(np.mean(passed)) if passed else None
        rows.append((source, 100 * float(np.mean([fixed[name] for name in names])), by_script, len(names)))
    return Table(columns=("source", "fixed", "official", "prompts"), rows=tuple(rows))


def _levels(question: Question) -> tuple[str, ...]:
    return tuple(dict.fromkeys((question.category.split("-")[0].strip(), question.category)))


def _caveats(images: Sequence[AnsweredImage], benchmark: Benchmark, failed: Sequence[str]) -> list[str]:
    graphs = {image.graph.id: image.graph for image in images}
    caveats = []
    if gaps := [name for name, graph in graphs.items() if graph.has_gaps]:
        caveats.append(
            f"{benchmark}: {len(gaps)} of {len(graphs)} prompts have dependencies that the file does not "
            f"spell out, e.g. {gaps[0]}; mode fixed takes what can be read"
        )
    if failed:
        caveats.append(
            f"{benchmark}: mode official leaves out {len(failed)} of {len(graphs)} prompts on which the "
            f"published script fails, e.g. {failed[0]}; mode fixed counts them"
        )
    return caveats
