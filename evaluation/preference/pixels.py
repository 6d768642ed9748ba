"""How scorers make their input of an image: two ways, which give different numbers."""

from __future__ import annotations

import numpy as np
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor

__all__ = ["pillow_pixels", "tensor_pixels"]

_MEAN, _STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]  # CLIP's
_BICUBIC = TF.InterpolationMode.BICUBIC


def pillow_pixels(image_HW3: np.ndarray, size: int) -> Tensor:
    """The middle of an image (RGB uint8), (3, size, size), as CLIP has it: by Pillow's bicubic filter."""
    resized = TF.resize(Image.fromarray(image_HW3), [size], _BICUBIC)
    return TF.normalize(TF.to_tensor(TF.center_crop(resized, [size])), _MEAN, _STD)


def tensor_pixels(image_HW3: np.ndarray, size: int) -> Tensor:
    """Likewise, as HPSv2 does it: floats resized by torch's bicubic filter, neither rounded nor clipped.

    Antialiased, as torchvision has it since 0.17; before, tensors were not.
    """
    resized = TF.resize(TF.to_tensor(Image.fromarray(image_HW3)), [size], _BICUBIC, antialias=True)
    return TF.normalize(TF.center_crop(resized, [size]), _MEAN, _STD)
