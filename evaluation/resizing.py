"""Every way in which images are resized before a network sees them: each changes the numbers, so ids name it.

Tensors are RGB (B, 3, H, W); what comes back is float32 in [0, 255] on the same device.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
import torchvision.transforms.v2.functional as TF
from PIL import Image
from torch import Tensor

__all__ = [
    "Filter",
    "centre_square",
    "pil_bicubic",
    "pil_bicubic_unrounded",
    "resize_and_crop",
    "tf1_bilinear",
]

Filter = Literal["bilinear", "bicubic", "lanczos"]

_FILTERS = {
    "bilinear": TF.InterpolationMode.BILINEAR,
    "bicubic": TF.InterpolationMode.BICUBIC,
    "lanczos": TF.InterpolationMode.LANCZOS,
}


def tf1_bilinear(images_B3HW: Tensor, size: int) -> Tensor:
    """As TensorFlow 1 did in the graph of FID's Inception: no antialiasing, pixel corners for coordinates."""
    from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

    return interpolate_bilinear_2d_like_tensorflow1x(images_B3HW.float(), (size, size), align_corners=False)


def pil_bicubic(images_B3HW: Tensor, size: int) -> Tensor:
    """Pillow's bicubic filter, antialiased and rounded to whole values; the aspect ratio is not kept."""
    images = [
        Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC) for image in _rows(images_B3HW)
    ]
    images_BHW3 = torch.from_numpy(np.stack([np.asarray(image) for image in images]))
    return images_BHW3.permute(0, 3, 1, 2).float().to(images_B3HW.device)


def pil_bicubic_unrounded(images_B3HW: Tensor, size: int) -> Tensor:
    """Likewise on float32 values of every channel, which stay unrounded (clean-fid, arXiv 2104.11222)."""
    planes = images_B3HW.float().flatten(0, 1).cpu().numpy()
    resized = [
        np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BICUBIC)) for plane in planes
    ]
    return torch.from_numpy(np.stack(resized)).unflatten(0, (-1, 3)).to(images_B3HW.device)


def centre_square(images_B3HW: Tensor) -> Tensor:
    """The middle of images, as wide as high."""
    height, width = images_B3HW.shape[2:]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return images_B3HW[:, :, top : top + side, left : left + side]


def resize_and_crop(image_HW3: np.ndarray, height: int, width: int, filter: Filter) -> np.ndarray:
    """Scale an image (RGB uint8) until it just covers height x width, then cut out the middle.

    For a square this is torchvision's ``Resize(size)`` (Pillow, antialiased) and ``CenterCrop(size)``.
    """
    if image_HW3.shape[:2] == (height, width):
        return image_HW3
    have_height, have_width, _ = image_HW3.shape
    if height * have_width >= width * have_height:
        size = [height, max(width, int(height * have_width / have_height))]
    else:
        size = [max(height, int(width * have_height / have_width)), width]
    resized = TF.resize(Image.fromarray(image_HW3), size, _FILTERS[filter])
    return np.asarray(TF.center_crop(resized, [height, width]))


def _rows(images_B3HW: Tensor) -> np.ndarray:
    return images_B3HW.permute(0, 2, 3, 1).contiguous().cpu().numpy()
