"""The bytes of an image as a shard holds them: the file's own, or made smaller where that is asked for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from datamodules.decode import BrokenSampleError, check_pixels, decode_rgb, image_size

__all__ = ["StoredImage", "read_image", "stored_image"]

_MAX_BYTES = 2**28
_MAX_PIXELS = 2**28  # of an image that has to be decoded
_QUALITY = 95


class StoredImage(NamedTuple):
    data: bytes  # encoded
    extension: str  # png, jpg or webp: what the bytes are, whatever the file was called
    width: int  # as shown
    height: int


def read_image(path: Path) -> bytes:
    """The bytes of an image file; devices, pipes and huge files are refused."""
    if not path.is_file():
        raise BrokenSampleError("there is no such file")
    if path.stat().st_size > _MAX_BYTES:
        raise BrokenSampleError(f"a file of {path.stat().st_size} bytes is no image to train on")
    return path.read_bytes()


def stored_image(data: bytes, max_side: int | None = None) -> StoredImage:
    """What to store of an encoded image.

    Args:
        max_side: larger images are resized to this longer side (antialiased, bicubic) and encoded again in
            their format at quality 95; the others keep their bytes.
    """
    extension = _extension(data)
    width, height = image_size(io.BytesIO(data))
    if max_side is None or max(width, height) <= max_side:
        check_pixels(data)
        return StoredImage(data, extension, width, height)
    scale = max_side / max(width, height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = decode_rgb(data, _MAX_PIXELS).resize(size, Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, {"jpg": "JPEG"}.get(extension, extension), quality=_QUALITY)
    return StoredImage(buffer.getvalue(), extension, *size)


def _extension(data: bytes) -> str:
    if data.startswith(b"\x89PNG"):
        return "png"
    if data.startswith(b"\xff\xd8"):
        return "jpg"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    raise BrokenSampleError("neither a PNG, nor a JPEG, nor a WebP file")
