"""A picture with an alpha channel on flat colours that have names."""

from __future__ import annotations

import random

import numpy as np
from PIL import Image

__all__ = ["BACKGROUNDS", "background_order", "canvas_size", "composite", "hidden_on"]

BACKGROUNDS = {
    "white": (250, 250, 250),
    "light gray": (200, 200, 204),
    "dark gray": (70, 72, 78),
    "black": (15, 15, 18),
    "red": (200, 40, 45),
    "orange": (240, 140, 40),
    "yellow": (250, 220, 70),
    "green": (50, 150, 70),
    "light green": (180, 225, 175),
    "blue": (40, 90, 200),
    "light blue": (170, 210, 245),
    "purple": (120, 60, 160),
    "pink": (245, 175, 200),
    "brown": (115, 75, 45),
}
_CLOSE = 48.0  # RGB distance below which a pixel can't be told from the background
_MAX_HIDDEN = 0.2  # largest share of a picture's pixels that may be so close


def hidden_on(picture: Image.Image) -> dict[str, float]:
    """By background, the share of an RGBA picture's opaque pixels that can't be told from it."""
    pixels = np.asarray(picture.resize((64, 64)), np.float32)
    opaque = pixels[pixels[..., 3] > 127][:, :3]
    colors = np.array(list(BACKGROUNDS.values()), np.float32)
    close = np.linalg.norm(opaque[:, None] - colors, axis=2) < _CLOSE
    return dict(zip(BACKGROUNDS, close.sum(0) / max(1, len(opaque)), strict=True))


def background_order(hidden: dict[str, float], num: int, rng: random.Random) -> list[str]:
    """Names of backgrounds in a drawn order: of those that hide little, if there are `num` of them."""
    names = rng.sample(list(hidden), len(hidden))
    visible = [name for name in names if hidden[name] <= _MAX_HIDDEN]
    return visible if len(visible) >= num else names


def canvas_size(picture: tuple[int, int], size: int, max_ratio: float) -> tuple[int, int]:
    """Width and height of a canvas of the picture's ratio, which is kept within [1 / max_ratio, max_ratio].

    The longest side is `size`, or the picture's: nothing is enlarged.
    """
    ratio = min(max(picture[0] / picture[1], 1 / max_ratio), max_ratio)
    longest = min(size, max(picture))
    return max(1, round(longest * min(ratio, 1))), max(1, round(longest / max(ratio, 1)))


def composite(
    picture: Image.Image, canvas: tuple[int, int], background: str, rng: random.Random
) -> Image.Image:
    """The picture in the middle, at 0.8 to 0.95 of the size that would fit; the colour varies by a shade."""
    share = rng.uniform(0.8, 0.95)
    scale = share * min(canvas[0] / picture.width, canvas[1] / picture.height)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    # resized with premultiplied alpha: the hidden colour of transparent pixels must not bleed into the rim,
    # and with a filter that doesn't overshoot, which would fringe it
    small = picture.convert("RGBa").resize((width, height), Image.Resampling.HAMMING).convert("RGBA")
    red, green, blue = (min(max(value + rng.randint(-6, 6), 0), 255) for value in BACKGROUNDS[background])
    result = Image.new("RGB", canvas, (red, green, blue))
    result.paste(small, ((canvas[0] - width) // 2, (canvas[1] - height) // 2), small)
    return result
