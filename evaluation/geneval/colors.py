"""The colour of detected objects by CLIP, as GenEval asks for it (arXiv 2310.11513).

What is no part of an object is painted grey, the box is cut out, and CLIP's nearest colour is taken; colours
are described by three phrases each. The official script runs CLIP in half precision, here it is float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation.geneval.detections import Detection
from evaluation.geneval.vocabulary import COLORS
from evaluation.preference.pixels import pillow_pixels

__all__ = ["ColorClassifier", "ColorEncoder", "crop_of"]

BACKGROUND = "#999"
_SCALE = 100.0


class ColorEncoder(Protocol):
    """A dual encoder, as :class:`evaluation.preference.clip.ClipEncoder` is; both give unit vectors."""

    knobs: str
    image_size: int

    def encode_images(self, pixels_B3HW: Tensor) -> Tensor: ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor: ...


class ColorClassifier:
    """Tells which of GenEval's ten colours an object has."""

    def __init__(self, encoder: ColorEncoder, device: str = "cpu") -> None:
        self.knobs = encoder.knobs
        self._encoder = encoder
        self._device = device
        self._colors_of = cache(self._describe)

    @torch.inference_mode()
    def __call__(self, image_HW3: np.ndarray, objects: Sequence[Detection]) -> np.ndarray:
        """Logits (N, 10) of objects of one class, in the order of ``COLORS``.

        Args:
            image_HW3: RGB uint8.
        """
        (name,) = {one.name for one in objects}
        crops = [np.asarray(crop_of(image_HW3, one)) for one in objects]
        pixels_N3HW = torch.stack([pillow_pixels(crop, self._encoder.image_size) for crop in crops])
        images_ND = self._encoder.encode_images(pixels_N3HW.to(self._device))
        return (_SCALE * images_ND @ self._colors_of(name).T).cpu().numpy()

    def _describe(self, name: str) -> Tensor:
        """(10, D), of length 1."""
        phrases = [phrase for color in COLORS for phrase in _phrases(color, name)]
        return F.normalize(
            self._encoder.encode_texts(phrases).unflatten(0, (len(COLORS), -1)).mean(1), dim=-1
        )


def crop_of(image_HW3: np.ndarray, one: Detection) -> Image.Image:
    """The object before a grey background, cut out along its box; without a mask, the box as it is."""
    image = Image.fromarray(image_HW3)
    if one.mask_HW is not None:
        blank = Image.new("RGB", image.size, color=BACKGROUND)
        image = Image.composite(image, blank, Image.fromarray(one.mask_HW))
    left, top, right, bottom = map(round, one.box)
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def _phrases(color: str, name: str) -> tuple[str, ...]:
    return (
        f"a photo of a {color} {name}",
        f"a photo of a {color}-colored {name}",
        f"a photo of a {color} object",
    )
