"""Images as files, as PIL images and as tensors."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from infinity.atomic import write_atomically

__all__ = ["fit_image", "image_grid", "open_image", "save_png", "to_pil", "to_tensor", "to_uint8"]

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")  # none that Pillow runs another program for


def to_uint8(images_B3HW: Tensor) -> Any:
    """Images in [0, 1] as a numpy array (B, H, W, 3) of uint8, rounded to the nearest."""
    return images_B3HW.mul(255).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def to_pil(images_B3HW: Tensor) -> list[Image.Image]:
    """Images in [0, 1] as PIL images."""
    return [Image.fromarray(array) for array in to_uint8(images_B3HW)]


def to_tensor(images: Sequence[Image.Image]) -> Tensor:
    """PIL images of one size as a tensor (B, 3, H, W) in [-1, 1]."""
    if len({image.size for image in images}) != 1:
        sizes = sorted({f"{image.height}x{image.width}" for image in images})
        raise ValueError(f"images of one batch must have one size, got {' and '.join(sizes) or 'no image'}")
    images_BHW3 = np.stack([np.asarray(image.convert("RGB")) for image in images])
    return torch.from_numpy(images_BHW3).permute(0, 3, 1, 2).float().div(127.5).sub(1).contiguous()


def open_image(path: Path) -> Image.Image:
    """Read an image file as RGB, turned upright by its EXIF tag, with transparency on white."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no image {path}")
    try:
        image = ImageOps.exif_transpose(Image.open(path, formats=_FORMATS))
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} cannot be read as an image ({error})") from error
    if image.mode in ("I", "F"):
        raise ValueError(f"{path} has pixels of 32 bits, expected 8 or 16; save it as such")
    if image.mode.startswith("I;16"):  # whose upper byte Pillow would drop
        image = Image.fromarray(((np.asarray(image, np.uint32) + 128) // 257).astype(np.uint8))
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def fit_image(image: Image.Image, height: int, width: int) -> Image.Image:
    """Scale an image to cover height x width and crop it at the centre."""
    return ImageOps.fit(image, (width, height), Image.Resampling.BICUBIC)


def image_grid(images: Sequence[Image.Image], columns: int = 8) -> Image.Image:
    """Images side by side, on white; all of the size of the first one."""
    columns = min(columns, len(images))
    width, height = images[0].size
    grid = Image.new("RGB", (columns * (width + 2), -(-len(images) // columns) * (height + 2)), "white")
    for i, image in enumerate(images):
        grid.paste(image, (i % columns * (width + 2) + 1, i // columns * (height + 2) + 1))
    return grid


def save_png(image: Image.Image, path: Path, texts: Mapping[str, str] | None = None) -> str:
    """Write a PNG, with `texts` in it, atomically, and return its SHA-256."""
    info = PngInfo()
    for name, text in (texts or {}).items():
        info.add_itxt(name, text)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", pnginfo=info)
    write_atomically(path, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()
