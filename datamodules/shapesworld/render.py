"""From a scene to pixels: flat, anti-aliased polygons."""

from __future__ import annotations

import cv2
import numpy as np

from datamodules.shapesworld.scenes import Scene
from datamodules.shapesworld.vocabulary import canvas

__all__ = ["render_scene"]

_SUPERSAMPLING = 4
_SHIFT = 4  # fillPoly takes fixed-point coordinates with this many fractional bits


def render_scene(scene: Scene, size: int) -> np.ndarray:
    """Draw a scene as uint8 RGB (H, W, 3): filled at four times the size, then averaged (area filter).

    Args:
        size: side of a square image; other aspect ratios have about the same area (`canvas`).
    """
    if size < 16 or size % 16:
        raise ValueError(f"size must be a positive multiple of 16, got {size}")
    height, width = (round(side * size) for side in canvas(scene.aspect_ratio))
    large = np.empty((height * _SUPERSAMPLING, width * _SUPERSAMPLING, 3), np.uint8)
    large[:] = scene.background
    for item in scene.objects:
        # OpenCV's integer coordinates are pixel centres: half a pixel less than the continuous ones
        pixels = [polygon * (size * _SUPERSAMPLING) - 0.5 for polygon in item.polygons()]
        contours = [np.rint(polygon * (1 << _SHIFT)).astype(np.int32) for polygon in pixels]
        cv2.fillPoly(large, contours, item.rgb, lineType=cv2.LINE_8, shift=_SHIFT)
    return cv2.resize(large, (width, height), interpolation=cv2.INTER_AREA)
