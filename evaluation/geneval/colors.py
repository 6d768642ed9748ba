"""The colour of detected objects by CLIP, as GenEval asks for it (arXiv 2310.11513, appendix).

What is no part of an object is painted grey, the box is cut out, and CLIP's nearest colour is taken; colours
are described by three phrases each. The official script runs CLIP in half precision, here it is float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from evaluation.geneval.detections import Detection
from evaluation.geneval.vocabulary import COLORS
from infinity.checkpoints.io import hash_weights

__all__ = ["ClipEncoder", "ColorClassifier", "OpenClipEncoder", "crop_of"]

BACKGROUND = "#999"
_SCALE = 100.0
_BATCH = 16


class ClipEncoder(Protocol):
    """A dual encoder; embeddings need not be normalised."""

    id: str

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        """RGB images of any sizes -> (N, D)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """(N, D)."""
        ...


class OpenClipEncoder:
    """OpenAI's ViT-L/14 in open_clip, from a local file."""

    def __init__(self, weights: Path, device: str | torch.device = "cpu", name: str = "ViT-L-14") -> None:
        import open_clip

        # OpenAI's weights go with its approximation of GELU, which open_clip keeps under another name
        net, _, self._prepare = open_clip.create_model_and_transforms(
            f"{name}-quickgelu", pretrained=str(weights), weights_only=True
        )
        self.id = f"{name}-{hash_weights(net.state_dict())[:8]}"
        self._net: Any = net.eval().requires_grad_(False).to(device)
        self._tokenize = open_clip.get_tokenizer(name)
        self._device = device

    def images(self, images: Sequence[Image.Image]) -> Tensor:
        pixels_N3HW: Any = torch.stack([self._prepare(image) for image in images])
        return self._net.encode_image(pixels_N3HW.to(self._device)).float().cpu()

    def texts(self, texts: Sequence[str]) -> Tensor:
        return self._net.encode_text(self._tokenize(list(texts)).to(self._device)).float().cpu()


class ColorClassifier:
    """Tells which of GenEval's ten colours an object has."""

    def __init__(self, encoder: ClipEncoder) -> None:
        self.id = encoder.id
        self._encoder = encoder
        self._colors_of = cache(self._describe)

    @torch.inference_mode()
    def __call__(self, image_HW3: np.ndarray, objects: Sequence[Detection]) -> np.ndarray:
        """Logits (N, 10) of objects of one class, in the order of ``COLORS``.

        Args:
            image_HW3: RGB uint8.
        """
        (name,) = {one.name for one in objects}
        crops = [crop_of(image_HW3, one) for one in objects]
        parts = [self._encoder.images(crops[i : i + _BATCH]) for i in range(0, len(crops), _BATCH)]
        images_ND = F.normalize(torch.cat(parts), dim=-1)
        return (_SCALE * images_ND @ self._colors_of(name).T).numpy()

    def _describe(self, name: str) -> Tensor:
        """(10, D), of length 1."""
        return torch.stack([self._mean(_phrases(color, name)) for color in COLORS])

    def _mean(self, phrases: Sequence[str]) -> Tensor:
        return F.normalize(F.normalize(self._encoder.texts(phrases), dim=-1).mean(dim=0), dim=-1)


def crop_of(image_HW3: np.ndarray, one: Detection) -> Image.Image:
    """The object before a grey background, cut out along its box; without a mask, the box as it is."""
    image = Image.fromarray(image_HW3)
    if one.mask_HW is not None:
        blank = Image.new("RGB", image.size, color=BACKGROUND)
        image = Image.composite(image, blank, Image.fromarray(one.mask_HW))
    return image.crop(one.box)


def _phrases(color: str, name: str) -> tuple[str, ...]:
    return (
        f"a photo of a {color} {name}",
        f"a photo of a {color}-colored {name}",
        f"a photo of a {color} object",
    )
