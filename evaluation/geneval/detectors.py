"""Detectors for GenEval by name; a published number needs the first."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import NamedTuple

from evaluation.geneval.detections import Detector
from evaluation.geneval.weight_files import HF_MASK2FORMER, MASK2FORMER, MASK_RCNN
from evaluation.weights import WeightFile, WeightFinder

__all__ = ["DETECTORS", "build_detector", "require_packages"]


class _Entry(NamedTuple):
    weights: WeightFile
    loader: str  # module:function of the weights' path and the device
    packages: tuple[str, ...]


DETECTORS = {
    "mask2former": _Entry(MASK2FORMER, "mask2former:load_mask2former", ("cv2", "transformers")),
    "hf-mask2former": _Entry(HF_MASK2FORMER, "mask2former:load_hf_mask2former", ("cv2", "transformers")),
    "maskrcnn-v2": _Entry(MASK_RCNN, "torchvision_detector:load_mask_rcnn", ()),
}


def require_packages(name: str) -> None:
    """Refuse a detector whose packages are missing, before hours go into drawing images for it."""
    if name not in DETECTORS:
        raise ValueError(f"no detector is called {name!r}; there are {', '.join(DETECTORS)}")
    if missing := [one for one in (*DETECTORS[name].packages, "open_clip") if find_spec(one) is None]:
        raise ValueError(
            f"GenEval needs the packages {', '.join(missing)}: pip install 'infinity-suite[eval]'"
        )


def build_detector(name: str, weights: WeightFinder, device: str = "cpu") -> Detector:
    """A detector with its weights, or an error that says where to put them."""
    path = weights.require(DETECTORS[name].weights)
    module, _, function = DETECTORS[name].loader.partition(":")
    load: Callable[..., Detector] = getattr(import_module(f"evaluation.geneval.{module}"), function)
    return load(path, device)
