"""Steps that need no more than the image sizes in the index."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from datamodules.curation.step import BoundedStep, register
from datamodules.index import ShardIndex

__all__ = ["AspectRatio", "ImageResolution"]


@register("resolution")
class ImageResolution(BoundedStep):
    """Drop small images."""

    score_is: ClassVar[str] = "shorter side in pixels"

    def header_scores(self, index: ShardIndex, numbers: np.ndarray) -> np.ndarray:
        return np.minimum(index.widths[numbers], index.heights[numbers]).astype(np.float64)


@register("aspect_ratio")
class AspectRatio(BoundedStep):
    """Drop long, thin images, which no bucket could hold without cutting most of them away."""

    score_is: ClassVar[str] = "longer side / shorter side"

    def header_scores(self, index: ShardIndex, numbers: np.ndarray) -> np.ndarray:
        widths, heights = index.widths[numbers], index.heights[numbers]
        return np.maximum(widths, heights) / np.minimum(widths, heights).astype(np.float64)
