"""Scores that are a cosine of CLIP's: CLIPScore in three forms, HPSv2.1, PickScore; and LAION's aesthetics.

The published numbers differ in scale, in what stands before the prompt, and in what becomes of negative
cosines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from evaluation.preference.linear_stack import LinearStack
from evaluation.preference.pixels import pillow_pixels, tensor_pixels
from evaluation.preference.published import load_published, read_published
from infinity.checkpoints.io import hash_weights

__all__ = ["FORMS", "AestheticScorer", "ClipForm", "ClipScorer", "Encoder", "load_aesthetic_head"]


class Encoder(Protocol):
    """What these scores need of CLIP; see :class:`evaluation.preference.clip.ClipEncoder`."""

    knobs: str
    image_size: int
    max_tokens: int
    logit_scale: float

    def encode_images(self, pixels_B3HW: Tensor) -> Tensor: ...

    def encode_texts(self, texts: Sequence[str]) -> Tensor: ...

    def is_cut(self, text: str) -> bool: ...


@dataclass(frozen=True, kw_only=True)
class ClipForm:
    """How a cosine becomes a score.

    Args:
        factor: of the cosine; None for the factor that CLIP has learnt (``exp(logit_scale)``).
        clamp: whether "each" negative score is made 0, or their "mean" is.
        prefix: before every prompt.
        pixels: how images are resized.
    """

    name: str
    factor: float | None
    clamp: Literal["each", "mean", "none"] = "none"
    prefix: str = ""
    pixels: Callable[[np.ndarray, int], Tensor] = pillow_pixels

    @property
    def formula(self) -> str:
        factor = "exp(scale)*" if self.factor is None else "" if self.factor == 1 else f"{self.factor:g}*"
        return f"{factor}relu(cos)" if self.clamp == "each" else f"{factor}cos"


FORMS = {
    form.name: form
    for form in (
        # Hessel et al., arXiv 2104.08718, equation 1
        ClipForm(name="clipscore", factor=2.5, clamp="each", prefix="A photo depicts "),
        ClipForm(name="clipscore_torchmetrics", factor=100.0, clamp="mean"),
        # the "CLIP" of ImageReward's and Infinity's evaluation code
        ClipForm(name="clip_cosine", factor=1.0),
        # Wu et al., arXiv 2306.09341, as its `evaluate` gives it
        ClipForm(name="hpsv2.1", factor=100.0, pixels=tensor_pixels),
        # Kirstain et al., arXiv 2305.01569, equation 1
        ClipForm(name="pickscore", factor=None),
    )
}


class ClipScorer:
    """One of these forms with a CLIP."""

    caveats = ()

    def __init__(self, form: ClipForm, encoder: Encoder) -> None:
        self.name = form.name
        self.max_tokens: int | None = encoder.max_tokens
        self.lowest_mean = 0.0 if form.clamp == "mean" else -math.inf
        prefix = f",prefix={form.prefix.strip()}" if form.prefix else ""
        resize = ",resize=floats" if form.pixels is tensor_pixels else ""
        self.knobs = f"{form.formula},{encoder.knobs}{prefix}{resize}"
        self._form, self._encoder = form, encoder
        self._factor = encoder.logit_scale if form.factor is None else form.factor

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        return self._form.pixels(image_HW3, self._encoder.image_size)

    def is_cut(self, text: str) -> bool:
        return self._encoder.is_cut(self._form.prefix + text)

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        images_BC = self._encoder.encode_images(pixels_B3HW)
        texts_BC = self._encoder.encode_texts([self._form.prefix + text for text in texts])
        scores_B = self._factor * (images_BC * texts_BC).sum(dim=-1)
        return scores_B.relu() if self._form.clamp == "each" else scores_B


class AestheticScorer:
    """LAION's aesthetic predictor: how well an image was liked, from about 1 to 10, whatever its prompt."""

    name = "aesthetic"
    max_tokens = None
    lowest_mean = -math.inf
    caveats = ()

    def __init__(self, head: LinearStack, encoder: Encoder, device: str = "cpu") -> None:
        self._encoder = encoder
        self._head = head.eval().requires_grad_(False).to(device)
        self.knobs = f"{encoder.knobs},head={hash_weights(head.state_dict())[:8]}"

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        return pillow_pixels(image_HW3, self._encoder.image_size)

    def is_cut(self, text: str) -> bool:
        return False

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        images_BC = self._encoder.encode_images(pixels_B3HW)
        with torch.autocast(pixels_B3HW.device.type, enabled=False):
            return self._head(images_BC)


def load_aesthetic_head(weights: Path) -> LinearStack:
    """The published head for embeddings of ViT-L/14."""
    with torch.device("meta"):
        head = LinearStack()
    load_published(head, read_published(weights), weights)
    return head
