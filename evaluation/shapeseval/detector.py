"""Detect flat coloured shapes: silhouettes, then the nearest palette colour and the best shape template."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.shapeseval.segmentation import WORKING_SIDE, Silhouette, background_color, segment, to_lab
from evaluation.shapeseval.templates import TemplateBank
from evaluation.shapeseval.world import World

__all__ = ["UNKNOWN", "Detection", "ShapeDetector"]

UNKNOWN = "unknown"

# CIELAB between an object's colour and the background; anything fainter is a smudge, not an object.
MIN_CONTRAST = 18.0
# CIELAB to the nearest palette colour; ShapesWorld's anchors are at least 42 apart.
MAX_COLOR_DISTANCE = 28.0
# Soft IoU with the best template; the closest two shapes, circle and hexagon, reach 0.93 with each other.
MIN_SHAPE_SCORE = 0.8


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One object; `box` is (left, top, right, bottom) in pixels of the given image."""

    shape: str  # a name of the world, or "unknown"
    color: str  # a name of the world, or "unknown"
    box: tuple[float, float, float, float]
    shape_score: float  # soft IoU with the best template
    color_distance: float  # CIELAB to the nearest palette colour


class ShapeDetector:
    """Detector for one world's vocabulary; call it with an RGB uint8 (H, W, 3) image of any size."""

    def __init__(self, world: World) -> None:
        self.color_names = list(world.colors)
        self.anchors_lab = to_lab(np.array([list(world.colors.values())], np.float32))[0]
        self.bank = TemplateBank(world.shapes)

    def __call__(self, image_HW3: np.ndarray) -> list[Detection]:
        if image_HW3.dtype != np.uint8 or image_HW3.ndim != 3 or image_HW3.shape[2] != 3:
            raise ValueError(
                f"expected an RGB uint8 image (H, W, 3), got {image_HW3.dtype} {image_HW3.shape}"
            )
        zoom = WORKING_SIDE / min(image_HW3.shape[:2])
        if zoom != 1:
            interpolation = cv2.INTER_CUBIC if zoom > 1 else cv2.INTER_AREA
            image_HW3 = cv2.resize(image_HW3, None, fx=zoom, fy=zoom, interpolation=interpolation)
        background = background_color(image_HW3)
        found = (
            self._describe(one, background, zoom) for one in segment(image_HW3, background, self.anchors_lab)
        )
        return [detection for detection in found if detection is not None]

    def _describe(self, silhouette: Silhouette, background: np.ndarray, zoom: float) -> Detection | None:
        color_lab, background_lab = to_lab(np.stack([silhouette.color, background])[None])[0]
        if np.linalg.norm(color_lab - background_lab) < MIN_CONTRAST:
            return None
        distances = np.linalg.norm(self.anchors_lab - color_lab, axis=1)
        nearest = int(distances.argmin())
        match = self.bank.match(silhouette.coverage_HW)
        left, top, right, bottom = (float(side) / zoom for side in silhouette.box)
        return Detection(
            shape=match.shape if match.score >= MIN_SHAPE_SCORE else UNKNOWN,
            color=self.color_names[nearest] if distances[nearest] <= MAX_COLOR_DISTANCE else UNKNOWN,
            box=(left, top, right, bottom),
            shape_score=match.score,
            color_distance=float(distances[nearest]),
        )
