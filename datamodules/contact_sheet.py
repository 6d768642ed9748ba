"""Contact sheets: many small images with captions on one page, as a PNG."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from PIL import Image, ImageDraw, ImageFont, ImageOps

__all__ = ["TILE_SIDE", "Band", "Tile", "contact_sheet", "thumbnail"]

TILE_SIDE = 136
"""What an image has to fit into."""

_GAP, _COLUMNS, _LINE = 12, 8, 14
_CAPTION_LINES, _CAPTION_WIDTH = 2, 23
_PAPER, _INK, _SOFT, _MISSING = "#fbfaf7", "#22272e", "#6a7280", "#e6e3dc"


class Tile(NamedTuple):
    image: Image.Image | None  # at most TILE_SIDE large; None where it can't be decoded
    label: str
    caption: str


class Band(NamedTuple):
    title: str
    tiles: Sequence[Tile]


def thumbnail(image: Image.Image, side: int) -> Image.Image:
    """Shrink to fit into a square; small images are enlarged by whole numbers, with sharp pixels."""
    if max(image.size) <= side // 2:
        factor = side // max(image.size)
        return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
    return ImageOps.contain(image, (side, side), Image.Resampling.LANCZOS)


def contact_sheet(title: str, bands: Sequence[Band]) -> bytes:
    """Draw bands of tiles below each other."""
    heading, tile_height = 26, TILE_SIDE + (1 + _CAPTION_LINES) * _LINE + _GAP
    rows = [-(-len(band.tiles) // _COLUMNS) for band in bands]
    width = _COLUMNS * (TILE_SIDE + _GAP) + _GAP
    height = 2 * _GAP + heading + sum(heading + row * tile_height + _GAP for row in rows)
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, _INK, _font(16))
    top = _GAP + heading + _GAP
    for band, num_rows in zip(bands, rows, strict=True):
        draw.text((_GAP, top), band.title, _SOFT, _font(13))
        for place, tile in enumerate(band.tiles):
            row, column = divmod(place, _COLUMNS)
            _draw_tile(
                sheet, draw, tile, _GAP + column * (TILE_SIDE + _GAP), top + heading + row * tile_height
            )
        top += heading + num_rows * tile_height + _GAP
    buffer = io.BytesIO()
    sheet.save(buffer, "png")
    return buffer.getvalue()


def _draw_tile(sheet: Image.Image, draw: ImageDraw.ImageDraw, tile: Tile, x: int, y: int) -> None:
    if tile.image is None:
        draw.rectangle((x, y, x + TILE_SIDE, y + TILE_SIDE), _MISSING)
    else:
        sheet.paste(tile.image, (x, y + TILE_SIDE - tile.image.height))
    caption = textwrap.wrap(tile.caption, _CAPTION_WIDTH, max_lines=_CAPTION_LINES, placeholder="…")
    for number, line in enumerate([tile.label, *caption]):
        draw.text((x, y + TILE_SIDE + 2 + number * _LINE), line, _SOFT if number else _INK, _font(10))


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which knows Latin, Greek, Cyrillic, Arabic and more, from matplotlib."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)
