"""What a benchmark is to the runner: a set of prompts to draw images of, and a score of those images.

Several tasks may share a prompt set: its images are drawn once. A task that needs no drawn images (a
tokenizer's reconstructions, timings) has no prompt set and works on the context's pipeline and data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from evaluation.image_folders import read_image
from evaluation.results import MetricValue, Table
from evaluation.weights import WeightFinder
from infinity.pipeline import InfinityPipeline

__all__ = ["EvalContext", "EvalPrompt", "EvalSample", "Task", "TaskScore"]


@dataclass(frozen=True, kw_only=True)
class EvalPrompt:
    """A prompt of a benchmark.

    Args:
        id: unique in its prompt set.
        text: the benchmark's own words; what metrics judge images against, also where a rewriter changed what
            the model was given.
        num_images: how many images of it to draw.
        aspect_ratio: height / width of these images.
        metadata: whatever the task scores by, e.g. GenEval's ``include``.
    """

    id: str
    text: str
    num_images: int = 1
    aspect_ratio: float = 1.0
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class EvalSample:
    """One drawn image.

    Args:
        index: from 0, among the images of its prompt.
        sha256: of its pixels.
        rewritten: what the model was given instead of the prompt's text; empty if the text itself.
    """

    prompt: EvalPrompt
    index: int
    path: Path
    sha256: str
    seed: int
    rewritten: str = ""

    def image(self) -> np.ndarray:
        """RGB uint8 (H, W, 3)."""
        return read_image(self.path)


@dataclass(frozen=True, kw_only=True)
class TaskScore:
    """What a task found.

    Args:
        rows: one per image for ``samples.jsonl``: "prompt_id", "index" and the verdict with its reason, or
            the score.
        tables: for the report, by name.
        caveats: sentences that a reader must know, e.g. how many captions were cut.
    """

    metrics: tuple[MetricValue, ...]
    rows: tuple[Mapping[str, Any], ...] = ()
    tables: Mapping[str, Table] = field(default_factory=dict)
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class EvalContext:
    """What tasks may need beside images.

    Args:
        weights: finds weight files, or says in one sentence where to put them.
        pipeline: the model; None where recorded images are scored.
        data: data set directory with references (``<split>/index.json``); None if there is none.
        cache: where statistics of references are kept; None for nowhere.
        limit: only the first so many prompts, or references.
        images_per_prompt: in place of the benchmark's own number.
        sampling: settings of the pipeline's calls in this run, but for the aspect ratio.
        seed: of whatever a metric draws (subsets, bootstrap).
    """

    weights: WeightFinder
    pipeline: InfinityPipeline | None = None
    data: Path | None = None
    cache: Path | None = None
    limit: int | None = None
    images_per_prompt: int | None = None
    sampling: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    batch_size: int = 16
    seed: int = 0


class Task(Protocol):
    """A benchmark. Constructors take keyword arguments only, each of which appears in metric ids."""

    prompt_set: str | None  # name in the registry of prompt sets; None if no image is drawn

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        """Score the prompt set's images (none without one); in the order of prompts, all there."""
        ...
