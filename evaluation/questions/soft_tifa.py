"""GenEval 2's Soft-TIFA (arXiv 2512.16853): how likely a VQA model finds every atom of a prompt."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from scipy.stats import gmean

from evaluation.questions.summary import mean_over_prompts
from evaluation.questions.vqa import ask_probabilities, build_vqa
from evaluation.results import Table
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["SoftTIFA", "answer_forms"]

_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_INSTRUCTION = "Answer in one word."
_NOTE = "Published Soft-TIFA scores ask Qwen3-VL-8B-Instruct; other models give other numbers."


def answer_forms(question: str, answer: str) -> tuple[str, ...]:
    """Forms of the right answer, whose first tokens are added up: of yes, or of a number."""
    if not question.startswith("How many"):
        return "Yes", "yes", " yes", " Yes"
    digits = str(_NUMBERS.index(answer) + 1) if answer in _NUMBERS else answer
    return answer, answer.capitalize(), f" {answer}", f" {answer.capitalize()}", digits, f" {digits}"


class SoftTIFA:
    """Arithmetic and geometric means of an image's probabilities, x 100: AM for atoms, GM for prompts.

    Models that follow instructions are asked in GenEval 2's words, which tell them to use one.
    """

    prompt_set: str | None = "geneval2"

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        vqa = build_vqa(context)
        suffix = f" {_INSTRUCTION}" if vqa.follows_instructions else ""
        jobs = [
            (sample, question + suffix, answer_forms(question, answer))
            for sample in samples
            for question, answer in sample.prompt.metadata["vqa_list"]
        ]
        answered = iter(ask_probabilities(vqa, jobs, context.batch_size))
        atoms = [[next(answered) for _ in sample.prompt.metadata["vqa_list"]] for sample in samples]
        means = {
            "am": [100 * float(np.mean(values)) for values in atoms],
            "gm": [100 * float(gmean(values)) for values in atoms],
        }
        knobs = f"vqa={vqa.id}" + (f",instruction={_INSTRUCTION}" if suffix else "")
        metrics = [
            mean_over_prompts(f"soft_tifa_{name}", knobs, samples, scores, seed=context.seed, note=_NOTE)
            for name, scores in means.items()
        ]
        return TaskScore(
            metrics=tuple(metrics),
            rows=tuple(
                _row(sample, values, am, gm)
                for sample, values, am, gm in zip(samples, atoms, means["am"], means["gm"], strict=True)
            ),
            tables={
                "Soft-TIFA AM by skill": _by_skill(samples, atoms),
                "Soft-TIFA GM by atoms": _by_atoms(samples, means["gm"]),
            },
        )


def _row(sample: EvalSample, values: Sequence[float], am: float, gm: float) -> dict[str, object]:
    worst = int(np.argmin(values))
    question, answer = sample.prompt.metadata["vqa_list"][worst]
    return {
        "prompt_id": sample.prompt.id,
        "index": sample.index,
        "score": gm,
        "am": am,
        "reason": f"least likely: {question} {answer} ({values[worst]:.2f})",
    }


def _by_skill(samples: Sequence[EvalSample], atoms: Sequence[Sequence[float]]) -> Table:
    skills: dict[str, list[float]] = defaultdict(list)
    for sample, values in zip(samples, atoms, strict=True):
        for skill, value in zip(sample.prompt.metadata["skills"], values, strict=True):
            skills[skill].append(100 * value)
    rows = tuple((skill, float(np.mean(skills[skill])), len(skills[skill])) for skill in sorted(skills))
    return Table(columns=("skill", "AM", "questions"), rows=rows)


def _by_atoms(samples: Sequence[EvalSample], scores: Sequence[float]) -> Table:
    counts: dict[int, list[float]] = defaultdict(list)
    for sample, score in zip(samples, scores, strict=True):
        counts[sample.prompt.metadata["atom_count"]].append(score)
    rows = tuple((count, float(np.mean(counts[count])), len(counts[count])) for count in sorted(counts))
    return Table(columns=("atoms", "GM", "images"), rows=rows)
