"""Drawn images on disk, and answers about them that were recorded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.image_folders import write_image
from evaluation.provenance import sha256_of_pixels
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.weights import WeightFinder

__all__ = ["context_of", "draw"]


def draw(folder: Path, prompts: Sequence[EvalPrompt]) -> list[EvalSample]:
    """All images of the prompts, each of another colour."""
    samples = []
    for prompt in prompts:
        for index in range(prompt.num_images):
            image = np.full((4, 6, 3), len(samples), np.uint8)
            path = folder / f"{prompt.id}-{index}.png"
            write_image(path, image)
            digest = sha256_of_pixels(image)
            samples.append(EvalSample(prompt=prompt, index=index, path=path, sha256=digest, seed=0))
    return samples


def context_of(
    folder: Path, answers: Iterable[tuple[EvalSample, str, Mapping[str, Any]]], **weights: Path
) -> EvalContext:
    """A context whose model are these answers: image, question, and "answer" or "probability"."""
    rows = [
        {"model": "table", "sha256": sample.sha256, "question": question, **answer}
        for sample, question, answer in answers
    ]
    path = folder / "answers.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return EvalContext(weights=WeightFinder({"vqa": path, **weights}), batch_size=3)
