"""The verifier: images and the prompts they were made for in, verdicts out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from evaluation.shapeseval.detector import ShapeDetector
from evaluation.shapeseval.scorer import Verdict, judge
from evaluation.shapeseval.world import Prompt, World

__all__ = ["verify_images"]


def verify_images(
    images: Iterable[np.ndarray], prompts: Sequence[Prompt], world: World, *, strict: bool = True
) -> list[Verdict]:
    """Judge every image against the prompt at the same place.

    Args:
        images: RGB uint8 (H, W, 3) each, or one array (N, H, W, 3); sizes may differ.
        prompts: one per image.
        strict: refuse extra objects as well (ShapesEval's rule); otherwise GenEval's rule.
    """
    detector = ShapeDetector(world)
    return [
        judge(detector(image), prompt, strict=strict) for image, prompt in zip(images, prompts, strict=True)
    ]
