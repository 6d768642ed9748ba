"""Name the shape of a silhouette: compare it with the world's outlines, whatever place, size and softness."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from evaluation.shapeseval.world import Outline

__all__ = ["ShapeMatch", "TemplateBank"]

CANVAS = 40
CANVAS_RADIUS = 0.28 * CANVAS  # of the disc that has the silhouette's area
NUM_ROTATIONS = 24
SOFTNESS = (
    0.04,
    0.1,
    0.18,
)  # Gaussian sigma in radii: a crisp render, a small render, a blurred reconstruction
_DRAW_SIDE, _DRAW_RADIUS, _SUBPIXEL_BITS = 160, 48.0, 4


class ShapeMatch(NamedTuple):
    shape: str
    score: float  # soft IoU with the best template, in [0, 1]


class TemplateBank:
    """All outlines at all rotations and softness levels; matching is one matrix product."""

    def __init__(self, outlines: Mapping[str, Outline]) -> None:
        self.names = list(outlines)
        templates = [
            normalise(
                cv2.GaussianBlur(
                    draw(outline, 2 * math.pi * turn / NUM_ROTATIONS), (0, 0), softness * _DRAW_RADIUS
                )
            )
            for outline in outlines.values()
            for turn in range(NUM_ROTATIONS)
            for softness in SOFTNESS
        ]
        self._templates = np.stack(templates).reshape(
            len(templates), -1
        )  # (shapes * rotations * softness, CANVAS**2)
        self._squares = (self._templates**2).sum(axis=1)

    def match(self, coverage_HW: np.ndarray) -> ShapeMatch:
        """Best shape for a silhouette given as coverage in [0, 1] (float32)."""
        query = normalise(coverage_HW).reshape(-1)
        overlap = self._templates @ query
        scores = overlap / (self._squares + query @ query - overlap)  # Tanimoto: the IoU when both are binary
        best = int(scores.argmax())
        return ShapeMatch(self.names[best // (NUM_ROTATIONS * len(SOFTNESS))], float(scores[best]))


def draw(outline: Outline, angle: float) -> np.ndarray:
    """Rasterise an outline, rotated, as coverage in [0, 1]: float32 (side, side)."""
    cos, sin = math.cos(angle), math.sin(angle)
    image = np.zeros((_DRAW_SIDE, _DRAW_SIDE), np.uint8)
    polygons = [
        np.round(
            (polygon @ np.array([[cos, sin], [-sin, cos]]) * _DRAW_RADIUS + _DRAW_SIDE / 2)
            * 2**_SUBPIXEL_BITS
        ).astype(np.int32)
        for polygon in outline
    ]
    cv2.fillPoly(image, polygons, 255, lineType=cv2.LINE_AA, shift=_SUBPIXEL_BITS)
    return image.astype(np.float32) / 255


def normalise(coverage_HW: np.ndarray) -> np.ndarray:
    """Move the centroid to the centre of a CANVAS x CANVAS image and scale the area to a fixed one."""
    area = float(coverage_HW.sum())
    rows, columns = coverage_HW.sum(axis=1), coverage_HW.sum(axis=0)
    y = float(rows @ np.arange(len(rows))) / area
    x = float(columns @ np.arange(len(columns))) / area
    scale = CANVAS_RADIUS / math.sqrt(area / math.pi)
    centre = (CANVAS - 1) / 2
    affine = np.array([[scale, 0, centre - scale * x], [0, scale, centre - scale * y]], np.float32)
    return cv2.warpAffine(coverage_HW, affine, (CANVAS, CANVAS), flags=cv2.INTER_LINEAR)
