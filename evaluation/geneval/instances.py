"""From Mask2Former's logits to instances, as MMDetection 2 does it (``MaskFormerFusionHead``)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

__all__ = ["Instance", "box_of_mask", "instances_of"]


class Instance(NamedTuple):
    """An instance; `label` counts from 0."""

    label: int
    box: tuple[float, float, float, float]
    score: float
    mask_HW: np.ndarray


def instances_of(
    class_logits_QC: Tensor,
    mask_logits_of: Callable[[int], Tensor],
    *,
    max_per_image: int = 100,
    min_score: float = 0.0,
) -> list[Instance]:
    """The best pairs of query and class; the score is the class's probability times the mask's mean one.

    Args:
        class_logits_QC: the last class is "nothing".
        mask_logits_of: a query's mask logits (H, W) at the image's size, asked for once per query.
        min_score: instances at or below it are left out, most of them before their mask is made.
    """
    num_classes = class_logits_QC.shape[1] - 1
    probabilities = class_logits_QC.float().softmax(-1)[:, :-1].flatten()
    best = probabilities.topk(min(max_per_image, len(probabilities)))
    masks: dict[int, tuple[np.ndarray, float]] = {}
    found = []
    for probability, index in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        if probability <= min_score:  # a mask's mean is at most 1
            break
        query, label = divmod(index, num_classes)
        if query not in masks:
            masks[query] = _mask_and_mean(mask_logits_of(query))
        mask_HW, mean = masks[query]
        if (score := probability * mean) > min_score:
            found.append(Instance(label, box_of_mask(mask_HW), score, mask_HW))
    return found


def box_of_mask(mask_HW: np.ndarray) -> tuple[float, float, float, float]:
    """The tightest box around a mask, with its last pixel inside; zeros for an empty mask."""
    rows, columns = (np.flatnonzero(mask_HW.any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return (0.0, 0.0, 0.0, 0.0)
    return (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))


def _mask_and_mean(logits_HW: Tensor) -> tuple[np.ndarray, float]:
    """Where the logits are positive, and the mean probability there."""
    mask_HW = logits_HW > 0
    total = (logits_HW.sigmoid() * mask_HW).sum(dtype=torch.float32)
    return mask_HW.cpu().numpy(), float(total / (mask_HW.sum() + 1e-6))
