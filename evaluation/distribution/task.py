"""The task that compares generated images with references by the features of one network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from evaluation.distribution.extractors import build_features, metric_name
from evaluation.distribution.feature_sets import (
    FeatureSet,
    extract_features,
    features_once,
    published_statistics,
)
from evaluation.distribution.measures import MEASURES, Comparison, Measured
from evaluation.distribution.weights import statistics_of
from evaluation.features import FeatureExtractor
from evaluation.metrics.frechet_infinity import FEWEST_IMAGES
from evaluation.provenance import sha256_of
from evaluation.resizing import Filter, resize_and_crop
from evaluation.results import MetricValue
from evaluation.stored_images import StoredImages
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["DistributionTask", "crop"]

_FRECHET = frozenset({"fid", "fid_inf"})
_STAND_IN = "stand-in features: compare it only under this very id"


class DistributionTask:
    """Distances between the images of a prompt set and references, on the features of one network.

    References are the data's images, scaled and cropped to the generated images' size (of several sizes, to
    that of the nearest aspect ratio) by one filter; data, sizes and filter make the hash ``ref`` of ids. For
    Fréchet distances ``--weights NAME-statistics=FILE.npz`` (NAME as in `features`) takes their place.

    Args:
        features: a name of :data:`evaluation.distribution.extractors.EXTRACTORS`.
        metrics: names of :data:`evaluation.distribution.measures.MEASURES`.
        filter: that scales references.
    """

    prompt_set: str | None = "captions"

    def __init__(self, *, features: str, metrics: Sequence[str], filter: Filter = "bicubic") -> None:
        if unknown := set(metrics) - set(MEASURES):
            raise ValueError(f"unknown metrics {', '.join(sorted(unknown))}; there are {', '.join(MEASURES)}")
        self._features = features
        self._metrics = tuple(metrics)
        self._filter: Filter = filter

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        """Score images; two at the least."""
        if len(samples) < 2:
            raise ValueError(f"a set of images to compare needs at least 2 of them, got {len(samples)}")
        extractor = build_features(self._features, context)
        about = {"features": extractor.id, "images": [sample.sha256 for sample in samples]}
        generated = features_once(
            None, about, lambda: extract_features(extractor, (sample.image() for sample in samples))
        )
        references, digest, caveats = None, "", ()
        if self._metrics != ("is",):
            width = generated.kept().shape[1]
            references, digest, caveats = self._references(samples, extractor, width, context)
        comparison = Comparison(
            generated=generated,
            references=references,
            prompts=[sample.prompt.id for sample in samples],
            classifier=extractor if hasattr(extractor, "logits") else None,
            device=context.device,
            seed=context.seed,
        )
        values = []
        for metric in self._metrics:
            if metric == "fid_inf" and len(samples) < FEWEST_IMAGES:
                caveats += (f"The limit of infinite images needs {FEWEST_IMAGES}, got {len(samples)}.",)
                continue
            found = MEASURES[metric](comparison)
            name = metric_name(metric, self._features, extractor)
            values.append(_value(name, found, extractor, len(samples), digest))
        return TaskScore(metrics=tuple(values), caveats=caveats)

    def _references(
        self, samples: Sequence[EvalSample], extractor: FeatureExtractor, width: int, context: EvalContext
    ) -> tuple[FeatureSet, str, tuple[str, ...]]:
        """References, the hash of all that they depend on, and what to say about them."""
        published = statistics_of(self._features)
        if published.name in context.weights.given and _FRECHET.issuperset(self._metrics):
            path = context.weights.require(published)
            caveat = f"References of {self._features}: the published statistics {path.name}."
            return published_statistics(path, width), sha256_of(path)[:8], (caveat,)
        if context.data is None:
            raise ValueError("there are no references; name a data set with --data")
        sizes = sorted({_size(sample.path) for sample in samples})
        images = StoredImages(data=context.data, limit=context.limit)
        about = {"data": images.sha256(), "sizes": sizes, "filter": self._filter}
        digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:8]
        found = features_once(
            context.cache,
            {"features": extractor.id, **about},
            lambda: extract_features(extractor, images.each(lambda image: crop(image, sizes, self._filter))),
        )
        shapes = ", ".join(f"{width}x{height}" for height, width in sizes)
        caveat = (
            f"References of {self._features} ({digest}): {found.moments.num} images of {context.data.name}, "
            f"{self._filter} and centre crop to {shapes}."
        )
        return found, digest, (caveat,)


def crop(image_HW3: np.ndarray, sizes: Sequence[tuple[int, int]], filter: Filter) -> np.ndarray:
    """An image (RGB uint8), scaled and cropped to the one of the sizes (height, width) nearest in ratio."""
    ratios = np.log([height / width for height, width in sizes])
    ratio = np.log(image_HW3.shape[0] / image_HW3.shape[1])
    return resize_and_crop(image_HW3, *sizes[int(np.abs(ratios - ratio).argmin())], filter)


def _value(name: str, found: Measured, extractor: FeatureExtractor, num: int, digest: str) -> MetricValue:
    reference = () if found.without_reference else (f"ref={digest}",)
    knobs = (extractor.id, "uint8", *found.knobs, f"N={num}", *reference)
    notes = (_STAND_IN if extractor.is_stand_in else "", found.note)
    return MetricValue(
        id=f"{name}[{','.join(knobs)}]",
        value=found.value,
        direction=found.direction,
        n=num,
        ci95=found.ci95,
        note="; ".join(note for note in notes if note),
    )


def _size(path: Path) -> tuple[int, int]:
    """(height, width) of an image file."""
    with Image.open(path, formats=("PNG", "JPEG", "WEBP")) as image:
        return image.height, image.width
