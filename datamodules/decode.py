"""From the bytes of a sample to RGB pixels of one bucket's size, and to a clean caption.

Images are resized to cover the target with Pillow's antialiased bicubic filter and cropped at the centre;
an image that has the target's size keeps its pixels. Nothing here is random: no flips, as captions know
left from right.
"""

from __future__ import annotations

import io
import json
import re
from typing import IO

import numpy as np
from PIL import Image, ImageOps

__all__ = ["BrokenSampleError", "caption_of", "cover_crop", "decode_rgb", "image_size"]

# read by Pillow itself: its EPS reader, say, would run another program on the bytes
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
_EXIF_ORIENTATION = 0x0112
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\ufeff]+")


class BrokenSampleError(ValueError):
    """A sample that can't be used; the message says why."""


def image_size(file: IO[bytes]) -> tuple[int, int]:
    """Width and height, as shown (EXIF orientation applied), from an image's header."""
    try:
        with Image.open(file, formats=_FORMATS) as image:
            width, height = image.size
            # without EXIF in its header, a PNG would be decoded to look behind its pixels
            exif = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            turned = exif.get(_EXIF_ORIENTATION, 1) in (5, 6, 7, 8)
    except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
        raise BrokenSampleError(f"unreadable image header ({type(error).__name__})") from error
    return (height, width) if turned else (width, height)


def decode_rgb(data: bytes, max_pixels: int) -> Image.Image:
    """Decode to 8-bit RGB: orientation applied, transparency on white, 16-bit greys scaled.

    Images of more than `max_pixels` are refused by their header, before any pixel is decoded.
    """
    try:
        image = Image.open(io.BytesIO(data), formats=_FORMATS)
        if image.width * image.height > max_pixels:
            raise BrokenSampleError(f"{image.width}x{image.height} is more than max_pixels = {max_pixels}")
        return _to_rgb(ImageOps.exif_transpose(image))
    except BrokenSampleError:
        raise
    except Exception as error:  # as above
        raise BrokenSampleError(f"undecodable image ({type(error).__name__})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):
        greys = np.asarray(image, dtype=np.float64) / 257.0
        image = Image.fromarray(np.clip(np.rint(greys), 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def cover_crop(image: Image.Image, height: int, width: int) -> np.ndarray:
    """Resize so that the target is covered, and cut the centre out: uint8 (height, width, 3)."""
    if image.size != (width, height):
        scale = min(image.width / width, image.height / height)
        # rounding must not make the box larger than the image
        crop_w, crop_h = min(width * scale, image.width), min(height * scale, image.height)
        left, top = (image.width - crop_w) / 2, (image.height - crop_h) / 2
        box = (left, top, left + crop_w, top + crop_h)
        image = image.resize((width, height), Image.Resampling.BICUBIC, box=box)
    return np.array(image)


def caption_of(text: bytes | None, metadata: bytes | None) -> str:
    """A sample's caption: its `.txt`, else `caption` in its `.json`; control characters become spaces.

    Half surrogate pairs, which JSON can hold but UTF-8 can't, become question marks.
    """
    if text is not None:
        caption = text.decode("utf-8", errors="replace")
    else:
        try:
            caption = json.loads(metadata or b"{}").get("caption")
        except (ValueError, AttributeError, RecursionError) as error:
            raise BrokenSampleError("its .json is no JSON object") from error
    if not isinstance(caption, str):
        raise BrokenSampleError("no caption")
    caption = caption.encode("utf-8", "replace").decode()
    caption = " ".join(_CONTROL_CHARACTERS.sub(" ", caption).split())
    if not caption:
        raise BrokenSampleError("empty caption")
    return caption
