"""Pictures of several images at once, for Markdown and TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from evaluation.reports.content import Grid, ReportContent, Tile

__all__ = ["contact_sheets", "write_pictures"]

_GAP = 4
_COLUMNS = 6
_SMALLEST, _LARGEST = 128, 256  # pixels; smaller images are enlarged to be seen
_BOX = (255, 79, 163)


def contact_sheets(content: ReportContent) -> dict[str, np.ndarray]:
    """Reconstructions, samples and strips (RGB uint8), by title."""
    sheets: dict[str, np.ndarray] = {}
    if content.reconstructions:
        originals, others = zip(*content.reconstructions, strict=True)
        sheets["Originals (above) and reconstructions"] = _sheet([originals, others])
    for grid in content.grids:
        sheets[f"Samples: {grid.title.lower()}"] = _sheet(_rows(grid))
    if content.strips:
        sheets["Coarse to fine"] = _sheet([strip.images for strip in content.strips])
    return sheets


def write_pictures(folder: Path, content: ReportContent) -> dict[str, Path]:
    """Write the contact sheets: paths by title."""
    paths = {}
    for title, sheet in contact_sheets(content).items():
        name = "".join(letter if letter.isalnum() else "-" for letter in title.lower())
        paths[title] = folder / f"{'-'.join(filter(None, name.split('-')))}.png"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sheet).save(paths[title])
    return paths


def _rows(grid: Grid) -> list[list[np.ndarray]]:
    columns = grid.columns or _COLUMNS
    images = [_with_boxes(tile) for tile in grid.tiles]
    return [images[start : start + columns] for start in range(0, len(images), columns)]


def _with_boxes(tile: Tile) -> np.ndarray:
    """The image, large enough to be seen, with what was found in it."""
    image = Image.fromarray(_sized(tile.image))
    draw = ImageDraw.Draw(image)
    scale_x, scale_y = (side / own for side, own in zip(image.size, tile.canvas, strict=True))
    for box in tile.boxes:
        x1, y1, x2, y2 = box.sides
        corners = (sorted((x1 * scale_x, x2 * scale_x)), sorted((y1 * scale_y, y2 * scale_y)))
        draw.rectangle([(corners[0][0], corners[1][0]), (corners[0][1], corners[1][1])], outline=_BOX)
    return np.asarray(image)


def _sheet(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of images on white."""
    rows = [[_sized(image) for image in row] for row in rows]
    cell_h = max(image.shape[0] for row in rows for image in row) + _GAP
    cell_w = max(image.shape[1] for row in rows for image in row) + _GAP
    columns = max(len(row) for row in rows)
    sheet = np.full((cell_h * len(rows) + _GAP, cell_w * columns + _GAP, 3), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = _GAP + y * cell_h, _GAP + x * cell_w
            sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def _sized(image: np.ndarray) -> np.ndarray:
    zoom = max(1, _SMALLEST // max(image.shape[:2]))
    if max(image.shape[:2]) <= _LARGEST:
        return image.repeat(zoom, axis=0).repeat(zoom, axis=1)
    small = Image.fromarray(image)
    small.thumbnail((_LARGEST, _LARGEST), Image.Resampling.LANCZOS)
    return np.asarray(small)
