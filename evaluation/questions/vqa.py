"""What a visual question answering model is to the benchmarks; answers that were recorded elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evaluation.provenance import sha256_of_pixels
from evaluation.questions.weights import VQA_MODEL
from evaluation.tasks.api import EvalContext, EvalSample
from infinity.json_files import read_json_lines

__all__ = ["VQA", "RecordedVQA", "ask_probabilities", "build_vqa", "in_batches", "says_yes"]


class VQA(Protocol):
    """Answers questions about images (RGB uint8, (H, W, 3)), one each."""

    id: str  # goes into metric ids
    follows_instructions: bool  # whether questions may say how to answer

    def answer(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        """Short answers, the likeliest words one by one."""
        ...

    def probability(
        self, images: Sequence[np.ndarray], questions: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[float]:
        """How likely the right answer to each question is, in [0, 1].

        Args:
            answers: forms of the right answer, per question. Of a single form, the geometric mean of its
                tokens' probabilities; of several, the sum over their first tokens, each once.
        """
        ...


class RecordedVQA:
    """Answers from a JSON lines file, of a model that runs only in another environment.

    Each line has "model", "sha256" (of the image's pixels, as in ``manifest.jsonl``), "question", and
    "answer" or "probability" (of the right answer) or both.
    """

    follows_instructions = False

    def __init__(self, path: Path) -> None:
        rows = read_json_lines(path)
        try:
            models = {row["model"] for row in rows}
            self._rows = {(row["sha256"], row["question"]): row for row in rows}
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} needs model, sha256 and question in every line, got none: {error}"
            ) from error
        if len(models) != 1:
            raise ValueError(f"{path} must hold answers of one model, got {sorted(models)}; split the file")
        self.id = f"{models.pop()},recorded"
        self._path = path

    def answer(self, images: Sequence[np.ndarray], questions: Sequence[str]) -> list[str]:
        pairs = zip(images, questions, strict=True)
        return [str(self._value(image, question, "answer")) for image, question in pairs]

    def probability(
        self, images: Sequence[np.ndarray], questions: Sequence[str], answers: Sequence[Sequence[str]]
    ) -> list[float]:
        pairs = zip(images, questions, strict=True)
        return [float(self._value(image, question, "probability")) for image, question in pairs]

    def _value(self, image_HW3: np.ndarray, question: str, name: str) -> Any:
        digest = sha256_of_pixels(image_HW3)
        row = self._rows.get((digest, question), {})
        if name not in row:
            raise ValueError(
                f"{self._path} has no {name} to {question!r} on the image with sha256 {digest[:8]}; record it"
            )
        return row[name]


def build_vqa(context: EvalContext) -> VQA:
    """The model that the user has named, or their file of recorded answers."""
    path = context.weights.require(VQA_MODEL)
    if path.suffix == ".jsonl":
        return RecordedVQA(path)
    from evaluation.questions.transformers_vqa import TransformersVQA

    return TransformersVQA(path, context.device)


def in_batches(
    jobs: Sequence[tuple[EvalSample, str]], size: int
) -> Iterator[tuple[slice, list[np.ndarray], list[str]]]:
    """Images and questions together, with the jobs' numbers; an image is read once for its questions."""
    for start in range(0, len(jobs), size):
        batch = jobs[start : start + size]
        images = {sample.path: sample.image() for sample in {one.path: one for one, _ in batch}.values()}
        yield (
            slice(start, start + len(batch)),
            [images[sample.path] for sample, _ in batch],
            [question for _, question in batch],
        )


def says_yes(answer: str) -> bool:
    """Whether an answer's first word is yes, in any case."""
    return re.match(r"\W*yes\b", answer, re.IGNORECASE) is not None


def ask_probabilities(
    vqa: VQA, jobs: Sequence[tuple[EvalSample, str, Sequence[str]]], batch_size: int
) -> list[float]:
    """Probabilities of the right answers: (image, question, forms of the answer) each."""
    found: list[float] = []
    asked = [(sample, question) for sample, question, _ in jobs]
    for numbers, images, questions in in_batches(asked, batch_size):
        found += vqa.probability(images, questions, [forms for _, _, forms in jobs[numbers]])
    if bad := [value for value in found if not 0 <= value <= 1 + 1e-6]:  # rounding aside
        raise ValueError(f"{vqa.id} gave {bad[0]} for a probability; record it in [0, 1], or use float32")
    return [min(value, 1.0) for value in found]
