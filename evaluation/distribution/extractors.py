"""The networks whose features are compared, by the names that tasks use, and how their metrics are called."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.distribution.weights import CLIP, DINOV2, INCEPTION
from evaluation.features import EfficientNetLite0Features, FeatureExtractor, InceptionFeatures
from evaluation.tasks.api import EvalContext

__all__ = ["EXTRACTORS", "build_features", "metric_name"]


def _inception(context: EvalContext) -> FeatureExtractor:
    return InceptionFeatures(context.weights.require(INCEPTION), context.device)


def _inception_clean(context: EvalContext) -> FeatureExtractor:
    return InceptionFeatures(context.weights.require(INCEPTION), context.device, "pil-bicubic")


def _inception_infinity(context: EvalContext) -> FeatureExtractor:
    return InceptionFeatures(context.weights.require(INCEPTION), context.device, "infinity-legacy")


def _dinov2(context: EvalContext) -> FeatureExtractor:
    from evaluation.transformer_features import DinoV2Features

    return DinoV2Features(context.weights.require(DINOV2), context.device)


def _clip(context: EvalContext) -> FeatureExtractor:
    from evaluation.transformer_features import ClipFeatures

    return ClipFeatures(context.weights.require(CLIP), context.device)


def _effnet(context: EvalContext) -> FeatureExtractor:
    return EfficientNetLite0Features(device=context.device)


EXTRACTORS: dict[str, Callable[[EvalContext], FeatureExtractor]] = {
    "inception": _inception,
    "inception-clean": _inception_clean,
    "inception-infinity": _inception_infinity,
    "dinov2": _dinov2,
    "clip": _clip,
    "effnet": _effnet,
}

_PUBLISHED = {
    "inception-clean": {"fid": "clean_fid"},
    "inception-infinity": {"fid": "fid_infinity_legacy"},
    "dinov2": {"fid": "fd_dinov2", "fid_inf": "fd_inf_dinov2"},
}
_STAND_INS = {
    "fid": "frechet",
    "fid_inf": "frechet_inf",
    "kid": "cubic_mmd",
    "is": "class_score",
    "cmmd": "gaussian_mmd",
    "precision": "features_precision",
    "recall": "features_recall",
    "density": "features_density",
    "coverage": "features_coverage",
}


def build_features(name: str, context: EvalContext) -> FeatureExtractor:
    """The network of this name, from local weights."""
    if name not in EXTRACTORS:
        raise ValueError(f"unknown features {name!r}; take one of {', '.join(EXTRACTORS)}")
    return EXTRACTORS[name](context)


def metric_name(metric: str, name: str, extractor: FeatureExtractor) -> str:
    """What a metric on these features is called; a stand-in's has a name of its own."""
    if extractor.is_stand_in:
        return _STAND_INS[metric]
    return _PUBLISHED.get(name, {}).get(metric, metric)
