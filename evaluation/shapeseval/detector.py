"""Find flat coloured shapes on a plain background with classical vision (no learned weights).

Steps: background = median of the border; foreground = far from it in CIELAB; colour seeds = regions that are nearest to one
palette colour; a region with several seeds is split between them; silhouettes = where a pixel is more object than background;
colour = nearest palette colour of the core; shape = best template. The constants below hold for every world and every model:
a score is only comparable if nobody tunes them per run.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.shapeseval.templates import TemplateBank
from evaluation.shapeseval.world import World

__all__ = ["UNKNOWN", "Detection", "ShapeDetector"]

UNKNOWN = "unknown"

WORKING_SIDE = (
    128  # images are resampled to this shorter side, so that all lengths below mean the same at every size
)
MIN_AREA = (
    0.0030  # share of the squared shorter side; the smallest object that ShapesWorld draws covers 0.018
)
FOREGROUND_DISTANCE = (
    12.0  # CIELAB (dE76) from the background; ShapesWorld keeps object colours at least 25 away
)
CORE_DEPTH = 2  # pixels eroded from a region before colours are read: anti-aliased rims are mixtures
SEED_SHARE = 0.06  # of a region's core that one colour must hold to count as an object
RIM_REACH = (
    5.0  # pixels: a band this close to a seed, and a mixture of it with the background, is its soft rim
)
RIM_RESIDUAL = (
    36.0  # sRGB distance from the line between background and seed colour that still counts as a mixture
)
MAX_COLOR_DISTANCE = 28.0  # CIELAB to the nearest palette colour; anchors are at least 42 apart
MIN_SHAPE_SCORE = 0.80  # soft IoU with the best template

_KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, kw_only=True)
class Detection:
    """One object; `box` is (left, top, right, bottom) in pixels of the given image."""

    shape: str  # a name of the world, or "unknown"
    color: str  # a name of the world, or "unknown"
    box: tuple[float, float, float, float]
    area: float  # pixels
    shape_score: float
    shape_margin: float
    color_distance: float


class ShapeDetector:
    """Detector for one world's vocabulary; call it with an RGB uint8 (H, W, 3) image."""

    def __init__(self, world: World) -> None:
        self.color_names = list(world.colors)
        self.anchors_lab = _to_lab(np.array([[world.colors[name] for name in self.color_names]], np.uint8))[0]
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
        rgb = image_HW3.astype(np.float32)
        background = np.median(_border(rgb), axis=0)
        lab = _to_lab(cv2.medianBlur(image_HW3, 3))
        background_lab = _to_lab(background[None, None].astype(np.uint8))[0, 0]
        foreground = (np.linalg.norm(lab - background_lab, axis=2) > FOREGROUND_DISTANCE).astype(np.uint8)
        foreground = cv2.morphologyEx(foreground, cv2.MORPH_OPEN, _KERNEL)
        min_area = MIN_AREA * WORKING_SIDE**2
        detections: list[Detection] = []
        count, regions, stats, _ = cv2.connectedComponentsWithStats(foreground, connectivity=8)
        for region in range(1, count):
            left, top, width, height, area = stats[region]
            if area < min_area:
                continue
            window = np.s_[max(top - 4, 0) : top + height + 4, max(left - 4, 0) : left + width + 4]
            mask = (regions[window] == region).astype(np.uint8)
            for coverage in self._silhouettes(rgb[window], lab[window], mask, background, min_area):
                found = self._describe(coverage, rgb[window], background)
                detections.append(_place(found, window[1].start, window[0].start, zoom))
        return detections

    def _silhouettes(
        self, rgb: np.ndarray, lab: np.ndarray, mask: np.ndarray, background: np.ndarray, min_area: float
    ) -> list[np.ndarray]:
        """Split one foreground region into objects: coverage in [0, 1] of each."""
        core = cv2.erode(mask, _KERNEL, iterations=CORE_DEPTH).astype(bool)
        seeds = self._seeds(rgb, lab, mask, core, background)
        if not seeds:
            return []
        owner = _nearest_seed(seeds)
        reach = cv2.dilate(mask, _KERNEL).astype(bool)
        silhouettes: list[np.ndarray] = []
        for index, seed in enumerate(seeds):
            color = _strongest_color(rgb[seed & core], background)
            towards = color - background
            coverage = np.clip((rgb - background) @ towards / (towards @ towards), 0, 1).astype(np.float32)
            coverage[~(reach & (owner == index))] = 0
            parts, labels, stats, _ = cv2.connectedComponentsWithStats(
                (coverage >= 0.5).astype(np.uint8), connectivity=8
            )
            for part in range(1, parts):
                if stats[part, cv2.CC_STAT_AREA] < min_area:
                    continue
                near = cv2.dilate((labels == part).astype(np.uint8), _KERNEL, iterations=2).astype(bool)
                silhouettes.append(
                    np.where(near & ((labels == part) | (labels == 0)), coverage, 0).astype(np.float32)
                )
        return silhouettes

    def _seeds(
        self, rgb: np.ndarray, lab: np.ndarray, mask: np.ndarray, core: np.ndarray, background: np.ndarray
    ) -> list[np.ndarray]:
        """Regions of one palette colour, strongest first, without the soft rims of stronger ones.

        The regions themselves are not eroded (that would cut thin rings to pieces); they only must hold enough core.
        """
        if not core.any():
            return []
        nearest = np.linalg.norm(lab[:, :, None] - self.anchors_lab, axis=3).argmin(axis=2)
        nearest[mask == 0] = -1
        needed = max(SEED_SHARE * core.sum(), 12)
        candidates: list[tuple[int, np.ndarray]] = []
        for color in np.unique(nearest[core]):
            count, labels = cv2.connectedComponents((nearest == color).astype(np.uint8), connectivity=8)
            strengths = np.bincount(labels[core], minlength=count)
            candidates += [
                (int(strengths[part]), labels == part)
                for part in range(1, count)
                if strengths[part] >= needed
            ]
        seeds: list[np.ndarray] = []
        for _, candidate in sorted(candidates, key=lambda item: -item[0]):
            if not any(_is_rim(candidate, seed, core, rgb, background) for seed in seeds):
                seeds.append(candidate)
        return seeds

    def _describe(self, coverage: np.ndarray, rgb: np.ndarray, background: np.ndarray) -> Detection:
        solid = coverage >= 0.5
        inner = cv2.erode(solid.astype(np.uint8), _KERNEL, iterations=CORE_DEPTH).astype(bool)
        color = _strongest_color(rgb[inner if inner.any() else solid], background)
        distances = np.linalg.norm(
            self.anchors_lab - _to_lab(color[None, None].astype(np.uint8))[0, 0], axis=1
        )
        nearest = int(distances.argmin())
        match = self.bank.match(coverage)
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        return Detection(
            shape=match.shape if match.score >= MIN_SHAPE_SCORE else UNKNOWN,
            color=self.color_names[nearest] if distances[nearest] <= MAX_COLOR_DISTANCE else UNKNOWN,
            box=(float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1)),
            area=float(coverage.sum()),
            shape_score=match.score,
            shape_margin=match.margin,
            color_distance=float(distances[nearest]),
        )


def _to_lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB uint8 (H, W, 3) -> CIELAB float32."""
    return cv2.cvtColor(rgb.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _border(image: np.ndarray, width: int = 4) -> np.ndarray:
    sides = [image[:width], image[-width:], image[:, :width], image[:, -width:]]
    return np.concatenate([side.reshape(-1, image.shape[2]) for side in sides])


def _strongest_color(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Median of the half of the pixels that is farthest from the background: soft edges pull towards it."""
    distance = np.linalg.norm(pixels - background, axis=1)
    return np.median(pixels[distance >= np.median(distance)], axis=0)


def _is_rim(
    candidate: np.ndarray, seed: np.ndarray, core: np.ndarray, rgb: np.ndarray, background: np.ndarray
) -> bool:
    """Whether a region is only the transition from `seed` to the background (softly drawn edges pass other colours)."""
    distance_to_seed = cv2.distanceTransform((~seed).astype(np.uint8), cv2.DIST_L2, 3)
    if np.quantile(distance_to_seed[candidate], 0.9) > RIM_REACH:
        return False
    strong, weak = _strongest_color(rgb[seed & core], background), np.median(rgb[candidate], axis=0)
    towards = strong - background
    share = float((weak - background) @ towards / (towards @ towards))
    residual = np.linalg.norm(weak - background - share * towards)
    return bool(0 < share < 0.95 and residual < RIM_RESIDUAL)


def _nearest_seed(seeds: list[np.ndarray]) -> np.ndarray:
    if len(seeds) == 1:
        return np.zeros(seeds[0].shape, np.int64)
    distances = [cv2.distanceTransform((~seed).astype(np.uint8), cv2.DIST_L2, 3) for seed in seeds]
    return np.argmin(distances, axis=0)


def _place(detection: Detection, left: int, top: int, zoom: float) -> Detection:
    x0, y0, x1, y1 = detection.box
    box = ((x0 + left) / zoom, (y0 + top) / zoom, (x1 + left) / zoom, (y1 + top) / zoom)
    return Detection(**{**detection.__dict__, "box": box, "area": detection.area / zoom**2})
