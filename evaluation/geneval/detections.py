"""What an object detector finds in an image, and masks as run lengths for files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

__all__ = ["Detection", "Detector", "mask_to_runs"]


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One object.

    Args:
        name: one of GenEval's classes.
        box: x1, y1, x2, y2 in pixels of the image.
        mask_HW: bool, of the image's size; None where the detector gives boxes alone.
    """

    name: str
    box: tuple[float, float, float, float]
    score: float
    mask_HW: np.ndarray | None = None


class Detector(Protocol):
    """Finds objects of GenEval's 80 classes."""

    id: str  # goes into metric ids, with the hash of the weights
    is_official: bool  # whether scores are the published benchmark's

    def __call__(self, image_HW3: np.ndarray, min_score: float = 0.0) -> list[Detection]:
        """Detections in an RGB uint8 image with scores above `min_score`."""
        ...


def mask_to_runs(mask_HW: np.ndarray) -> dict[str, Any]:
    """A mask in COCO's uncompressed form: lengths of runs down the columns, the first one of zeros."""
    flat = np.concatenate([[False], mask_HW.astype(bool).ravel(order="F"), [False]])
    changes = np.flatnonzero(np.diff(flat.astype(np.int8)))
    ends = np.concatenate([[0], changes, [mask_HW.size]])
    counts = np.diff(ends).tolist()
    return {"size": list(mask_HW.shape), "counts": counts if counts[-1] else counts[:-1]}
