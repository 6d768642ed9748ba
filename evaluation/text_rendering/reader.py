"""Text in images, read by the models that rapidocr-onnxruntime ships (PP-OCRv4)."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Protocol

import numpy as np

__all__ = ["RapidOCRReader", "TextReader"]

_PACKAGE = "rapidocr_onnxruntime"
_SIDE = 736  # larger images are shrunk to it before text is looked for


class TextReader(Protocol):
    """Finds lines of text."""

    id: str  # goes into metric ids

    def read(self, image_HW3: np.ndarray) -> list[str]:
        """Lines of text in an RGB uint8 image, from top to bottom and left to right."""
        ...


class RapidOCRReader:
    """Implements :class:`TextReader`, for Latin and Chinese letters; weights come with the package."""

    def __init__(self) -> None:
        self.check_installed()
        from rapidocr_onnxruntime import RapidOCR

        self.id = f"rapidocr-{version(_PACKAGE)}@{_SIDE}"
        self._engine = RapidOCR(det_limit_side_len=_SIDE, det_limit_type="max")

    @staticmethod
    def check_installed() -> None:
        if find_spec(_PACKAGE) is None:
            raise ValueError(
                "reading text needs rapidocr-onnxruntime: pip install -e '.[curate]' && "
                "pip install --no-deps rapidocr-onnxruntime"  # by itself it brings another OpenCV
            )

    def read(self, image_HW3: np.ndarray) -> list[str]:
        blue_first = np.ascontiguousarray(image_HW3[..., ::-1])  # as the models were trained
        found, _ = self._engine(blue_first, use_det=True, use_cls=False, use_rec=True)
        return [text for _, text, _ in found or []]
