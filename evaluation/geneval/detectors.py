"""Detectors for GenEval by name; a published number needs the first."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

from evaluation.geneval.detections import Detector
from evaluation.geneval.weight_files import HF_MASK2FORMER, MASK2FORMER, MASK_RCNN
from evaluation.weights import WeightFile, WeightFinder

__all__ = ["DETECTORS", "build_detector"]


class _Entry(NamedTuple):
    weights: WeightFile
    loader: str  # module:function of the weights' path and the device


DETECTORS = {
    "mask2former": _Entry(MASK2FORMER, "mask2former:load_mask2former"),
    "hf-mask2former": _Entry(HF_MASK2FORMER, "mask2former:load_hf_mask2former"),
    "maskrcnn-v2": _Entry(MASK_RCNN, "torchvision_detector:load_mask_rcnn"),
}


def build_detector(name: str, weights: WeightFinder, device: str = "cpu") -> Detector:
    """A detector with its weights, or an error that says where to put them."""
    if name not in DETECTORS:
        raise ValueError(f"no detector is called {name!r}; there are {', '.join(DETECTORS)}")
    path = weights.require(DETECTORS[name].weights)
    module, _, function = DETECTORS[name].loader.partition(":")
    load: Callable[..., Detector] = getattr(import_module(f"evaluation.geneval.{module}"), function)
    return load(path, device)
