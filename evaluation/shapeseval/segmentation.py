"""Cut an image of flat coloured shapes on a plain background into silhouettes (no learned weights).

Background = median of the border. Foreground = far from it in CIELAB. Colour seeds = regions nearest to one
palette colour; a foreground region with several seeds is split between them. Silhouette = how much of a
pixel is object.

The constants here and in ``detector.py`` hold for every world and every model: scores compare only if nobody
tunes them per run. Lengths are pixels of the working image, whose shorter side is WORKING_SIDE.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

__all__ = ["WORKING_SIDE", "Silhouette", "background_color", "segment", "strongest_color", "to_lab"]

WORKING_SIDE = 128
# Share of the squared shorter side; the smallest object that ShapesWorld draws covers 0.018.
MIN_AREA = 0.003
# CIELAB (dE76) from the background; ShapesWorld keeps its objects' colours at least 25 away.
FOREGROUND_DISTANCE = 12.0
# Eroded from a region before its colours are read: anti-aliased rims are mixtures, not colours.
CORE_DEPTH = 2
# Share of a region's core that one colour must hold to be an object of its own.
SEED_SHARE = 0.06
# A band within this distance of a seed (90 % of it), whose colour is a mixture of the seed's with the
# background (sRGB distance from the line through them; it may overshoot), is the seed's soft rim or ringing.
RIM_REACH = 8.0
RIM_RESIDUAL = 36.0
# From an object's inmost point to its edge: thinner things are halos. ShapesWorld's thinnest ring has 2.9.
MIN_HALF_WIDTH = 2.0

_KERNEL = np.ones((3, 3), np.uint8)
_PAD = 4


class Silhouette:
    """One object: its coverage in a window of the working image, and its colour."""

    def __init__(
        self, coverage_HW: np.ndarray, rgb_HW3: np.ndarray, background: np.ndarray, corner: tuple[int, int]
    ):
        solid = coverage_HW >= 0.5
        core = _erode(solid)
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        left, top = corner
        self.coverage_HW = coverage_HW  # float32 in [0, 1]
        self.color = strongest_color(rgb_HW3[core if core.any() else solid], background)  # sRGB, 0..255
        self.half_width = float(cv2.distanceTransform(solid.astype(np.uint8), cv2.DIST_L2, 3).max())
        self.box = (left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)


def segment(image_HW3: np.ndarray, background: np.ndarray, anchors_lab: np.ndarray) -> Iterator[Silhouette]:
    """All objects of a working image.

    Args:
        image_HW3: RGB uint8.
        background: sRGB colour, float (3,).
        anchors_lab: the palette in CIELAB, float (num_colors, 3).
    """
    rgb, lab = image_HW3.astype(np.float32), to_lab(cv2.medianBlur(image_HW3, 3))
    far = np.linalg.norm(lab - to_lab(background[None, None])[0, 0], axis=2) > FOREGROUND_DISTANCE
    foreground = cv2.morphologyEx(far.astype(np.uint8), cv2.MORPH_OPEN, _KERNEL)
    count, regions, stats, _ = cv2.connectedComponentsWithStats(foreground, connectivity=8)
    for region in range(1, count):
        left, top, width, height, area = stats[region]
        if area < MIN_AREA * WORKING_SIDE**2:
            continue
        left, top, width, height = (
            max(left - _PAD, 0),
            max(top - _PAD, 0),
            width + 2 * _PAD,
            height + 2 * _PAD,
        )
        window = np.s_[top : top + height, left : left + width]
        for coverage_HW in _split(
            rgb[window], lab[window], regions[window] == region, background, anchors_lab
        ):
            silhouette = Silhouette(coverage_HW, rgb[window], background, (left, top))
            if silhouette.half_width >= MIN_HALF_WIDTH:
                yield silhouette


def background_color(image_HW3: np.ndarray, border: int = 4) -> np.ndarray:
    """Median colour of the image's border: float32 (3,)."""
    sides = (image_HW3[:border], image_HW3[-border:], image_HW3[:, :border], image_HW3[:, -border:])
    return np.median(np.concatenate([side.reshape(-1, 3) for side in sides]), axis=0).astype(np.float32)


def strongest_color(pixels: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Median of the half of the pixels that is farthest from the background: soft edges pull towards it."""
    distance = np.linalg.norm(pixels - background, axis=1)
    return np.median(pixels[distance >= np.median(distance)], axis=0)


def to_lab(rgb_HW3: np.ndarray) -> np.ndarray:
    """sRGB in 0..255 -> CIELAB, float32 (H, W, 3)."""
    return cv2.cvtColor(rgb_HW3.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)


def _split(
    rgb: np.ndarray, lab: np.ndarray, region: np.ndarray, background: np.ndarray, anchors_lab: np.ndarray
) -> Iterator[np.ndarray]:
    """Split one foreground region into objects: the coverage of each."""
    core = _erode(region)
    seeds = _color_seeds(rgb, lab, region, core, background, anchors_lab)
    if not seeds:
        return
    owner = np.argmin([_distance_to(seed) for seed in seeds], axis=0)
    reach = cv2.dilate(region.astype(np.uint8), _KERNEL).astype(bool)
    for index, seed in enumerate(seeds):
        share, _ = _mixture(rgb, strongest_color(rgb[seed & core], background), background)
        coverage = np.where(reach & (owner == index), np.clip(share, 0, 1), 0).astype(np.float32)
        solid = (coverage >= 0.5).astype(np.uint8)
        count, parts, stats, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
        for part in range(1, count):  # one seed may hold two objects of one colour that nearly touch
            if stats[part, cv2.CC_STAT_AREA] >= MIN_AREA * WORKING_SIDE**2:
                near = cv2.dilate((parts == part).astype(np.uint8), _KERNEL, iterations=2).astype(bool)
                yield np.where(near & ((parts == part) | (parts == 0)), coverage, 0)


def _color_seeds(
    rgb: np.ndarray,
    lab: np.ndarray,
    region: np.ndarray,
    core: np.ndarray,
    background: np.ndarray,
    anchors_lab: np.ndarray,
) -> list[np.ndarray]:
    """Parts of a region that have one palette colour, strongest first, without soft rims of stronger ones.

    A part must hold enough of the region's core but is not eroded itself: that would cut thin rings up.
    """
    nearest = (np.square(anchors_lab).sum(axis=1) - 2 * lab @ anchors_lab.T).argmin(axis=2)
    nearest[~region] = -1
    candidates: list[tuple[int, np.ndarray]] = []
    for color in np.unique(nearest[core]):
        count, parts = cv2.connectedComponents((nearest == color).astype(np.uint8), connectivity=8)
        strengths = np.bincount(parts[core], minlength=count)
        enough = np.flatnonzero(strengths >= max(SEED_SHARE * core.sum(), 12))
        candidates += [(int(strengths[part]), parts == part) for part in enough if part > 0]
    seeds: list[np.ndarray] = []
    for _, candidate in sorted(candidates, key=lambda item: -item[0]):
        if not any(_is_rim(candidate, seed, core, rgb, background) for seed in seeds):
            seeds.append(candidate)
    return seeds


def _is_rim(
    candidate: np.ndarray, seed: np.ndarray, core: np.ndarray, rgb: np.ndarray, background: np.ndarray
) -> bool:
    """Whether a part is only the passage from `seed` to the background, which meets other colours."""
    if np.quantile(_distance_to(seed)[candidate], 0.9) > RIM_REACH:
        return False
    color = strongest_color(rgb[seed & core], background)
    share, residual = _mixture(np.median(rgb[candidate], axis=0), color, background)
    return bool(share < 0.95 and residual < RIM_RESIDUAL)


def _mixture(rgb: np.ndarray, color: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest point of the line from background (share 0) to colour (share 1), and the distance from it."""
    towards = color - background
    share = (rgb - background) @ towards / max(float(towards @ towards), 1e-6)
    return share, np.linalg.norm(rgb - background - share[..., None] * towards, axis=-1)


def _erode(mask: np.ndarray) -> np.ndarray:
    return cv2.erode(mask.astype(np.uint8), _KERNEL, iterations=CORE_DEPTH).astype(bool)


def _distance_to(mask: np.ndarray) -> np.ndarray:
    return cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, 3)
