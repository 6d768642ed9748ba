"""What a scorer is, and how many images go through one: each read once, while the ones before are scored."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from evaluation.tasks.api import EvalSample

__all__ = ["PRECISIONS", "Precision", "Scorer", "score_samples"]

Precision = Literal["fp32", "bf16", "fp16"]

PRECISIONS: dict[Precision, torch.dtype] = {
    "fp32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
"""Of matrix products; weights and scores are float32 in any case."""


class Scorer(Protocol):
    """Judges images by their prompts, one number each."""

    name: str  # of the metric
    knobs: str  # whatever changes its number, for ids
    max_tokens: int | None  # longer prompts are cut; None if it reads none, or cuts none
    lowest_mean: float  # what the published mean of all images is at least
    caveats: tuple[str, ...]  # what readers of its numbers must know

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        """What it looks at (3, H, W), of an RGB uint8 image."""
        ...

    def is_cut(self, text: str) -> bool:
        """Whether a prompt is too long for it."""
        ...

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        """Scores (B,), float32, of images on the scorer's device."""
        ...


@torch.inference_mode()
def score_samples(
    scorer: Scorer,
    samples: Sequence[EvalSample],
    *,
    device: str = "cpu",
    batch_size: int = 16,
    precision: Precision = "fp32",
) -> np.ndarray:
    """Scores (N,), float64, in the order of `samples`."""
    scores = []
    kind = torch.device(device).type
    with torch.autocast(kind, PRECISIONS[precision], enabled=precision != "fp32"):
        for batch, pixels_B3HW in _read_ahead(scorer, samples, batch_size):
            texts = [sample.prompt.text for sample in batch]
            scores.append(scorer(pixels_B3HW.to(device), texts).double().cpu().numpy())
    return np.concatenate(scores)


def _read_ahead(
    scorer: Scorer, samples: Sequence[EvalSample], batch_size: int
) -> Iterator[tuple[Sequence[EvalSample], Tensor]]:
    batches = [samples[start : start + batch_size] for start in range(0, len(samples), batch_size)]
    with ThreadPoolExecutor() as pool:  # decoders and filters let go of the interpreter

        def submit(batch: Sequence[EvalSample]) -> Iterator[Tensor]:
            return pool.map(lambda sample: scorer.pixels(sample.image()), batch)

        coming = submit(batches[0])
        for batch, after in pairwise([*batches, ()]):
            ready, coming = coming, submit(after)
            yield batch, torch.stack(list(ready))
