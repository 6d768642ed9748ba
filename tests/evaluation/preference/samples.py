"""Images by a formula, and samples of them on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.image_folders import write_image
from evaluation.tasks.api import EvalPrompt, EvalSample

__all__ = ["formula_image", "make_samples"]


def formula_image(number: int, height: int, width: int) -> np.ndarray:
    """RGB uint8 (H, W, 3), the same everywhere."""
    i = np.arange(height * width * 3)
    return ((i * i // 7 + 31 * number * i + 97 * number) % 256).astype(np.uint8).reshape(height, width, 3)


def make_samples(
    folder: Path, texts: list[str], *, num_images: int = 1, metadata: Mapping[str, Any] | None = None
) -> list[EvalSample]:
    samples = []
    for number, text in enumerate(texts):
        prompt = EvalPrompt(id=f"p{number}", text=text, num_images=num_images, metadata=metadata or {})
        for index in range(num_images):
            path = folder / f"{number}-{index}.png"
            write_image(path, formula_image(number + 10 * index, 20, 24))
            samples.append(EvalSample(prompt=prompt, index=index, path=path, sha256="", seed=0))
    return samples
