"""Steps that look for text in images, by the OCR models that rapidocr-onnxruntime ships."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from datamodules.curation.step import BoundedStep, register
from datamodules.sample_files import StoredSample

__all__ = ["TextArea", "WatermarkText"]

_MAX_RATIO = 16
_AGENCIES = (
    "123rf",
    "adobestock",
    "alamy",
    "bigstock",
    "depositphotos",
    "dreamstime",
    "fotolia",
    "freepik",
    "gettyimage",
    "istock",
    "pngtree",
    "shutterstock",
    "vectorstock",
)


@dataclass(frozen=True, kw_only=True)
class _OcrStep(BoundedStep):
    """A step that finds text (DBNet and SVTR of PP-OCRv4).

    Args:
        side: larger images are shrunk to this longer side before text is looked for.
    """

    side: int = 736

    packages: ClassVar[tuple[str, ...]] = ("rapidocr-onnxruntime",)
    # its own dependency opencv-python would take the place of opencv-python-headless
    install: ClassVar[str] = "pip install -e '.[curate]' && pip install --no-deps rapidocr-onnxruntime"

    def _found(self, sample: StoredSample, *, read: bool) -> list[Any]:
        image = sample.image
        least = -(-max(image.size) // _MAX_RATIO)
        if min(image.size) < least:  # the detector can't shrink thinner ones
            image = Image.new("RGB", (max(image.width, least), max(image.height, least)), "gray")
            image.paste(sample.image)
        pixels = np.ascontiguousarray(np.asarray(image)[..., ::-1])  # blue first, as the models were trained
        found, _ = _engine(self.side)(pixels, use_det=True, use_cls=False, use_rec=read)
        return found or []


@register("text_area")
@dataclass(frozen=True, kw_only=True)
class TextArea(_OcrStep):
    """Drop images that are full of text: the sum of the areas of the boxes that were found."""

    score_is: ClassVar[str] = "share of the image's area in boxes of text"

    def score(self, sample: StoredSample) -> float:
        corners = np.array(self._found(sample, read=False), np.float64).reshape(-1, 4, 2)
        x, y = corners[..., 0], corners[..., 1]
        areas = np.abs((x * np.roll(y, -1, 1) - y * np.roll(x, -1, 1)).sum(1)) / 2
        return float(areas.sum() / (sample.image.width * sample.image.height))


@register("watermark_text")
@dataclass(frozen=True, kw_only=True)
class WatermarkText(_OcrStep):
    """Drop images on which one can read a picture agency's name or one of `words`.

    It reads, it doesn't look: logos without letters pass. `watermark` is the trained classifier.

    Args:
        words: what gives a watermark away; case, spaces and punctuation don't count.
    """

    max: float = 0.0
    words: tuple[str, ...] = (*_AGENCIES, "watermark", "copyright", "allrightsreserved", "stockphoto", "©")

    score_is: ClassVar[str] = "pieces of text in the image with one of `words`"

    def score(self, sample: StoredSample) -> float:
        texts = [_letters(text) for _, text, _ in self._found(sample, read=True)]
        words = [_letters(word) for word in self.words]
        return float(sum(any(word in text for word in words) for text in texts))


def _letters(text: str) -> str:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == "©")


@cache
def _engine(side: int) -> Any:
    from rapidocr_onnxruntime import RapidOCR

    return RapidOCR(det_limit_side_len=side, det_limit_type="max", intra_op_num_threads=1)
