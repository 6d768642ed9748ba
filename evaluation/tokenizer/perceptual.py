"""LPIPS of reconstructions (arXiv 1801.03924, version 0.1), the trunk named: distances of trunks differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch

from evaluation.provenance import sha256_of
from evaluation.reconstruction import mean_metric
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore
from evaluation.tokenizer.reconstruct import reconstructions
from evaluation.tokenizer.weights import LPIPS_TRUNKS
from infinity.losses.perceptual import LPIPS, LpipsNet, load_lpips

__all__ = ["Lpips", "lpips_per_image"]


class Lpips:
    """Mean LPIPS between held-out images and their reconstructions.

    Args:
        net: of the trunk.
    """

    prompt_set: str | None = None

    def __init__(self, *, net: LpipsNet = "alex") -> None:
        self._net: LpipsNet = net

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        trunk = context.weights.require(LPIPS_TRUNKS[self._net])
        lpips = load_lpips(self._net, trunk).to(context.device)
        knobs = f"{self._net}-{sha256_of(trunk)[:8]},v0.1"
        by_size: dict[str, list[np.ndarray]] = defaultdict(list)
        for batch in reconstructions(context):
            by_size[batch.size].append(lpips_per_image(lpips, batch.originals_NHW3, batch.recons_NHW3))
        values = {size: np.concatenate(batches) for size, batches in by_size.items()}
        return TaskScore(
            metrics=tuple(
                mean_metric(f"lpips[{knobs},{size},N={len(found)}]", found, direction="lower")
                for size, found in values.items()
            )
        )


@torch.inference_mode()
def lpips_per_image(lpips: LPIPS, images_NHW3: np.ndarray, others_NHW3: np.ndarray) -> np.ndarray:
    """Distances (N,) of pairs of images (RGB uint8)."""
    device = lpips.shift.device
    x, y = (
        torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div(127.5).sub(1)
        for images in (images_NHW3, others_NHW3)
    )
    return lpips(x, y).double().cpu().numpy()
