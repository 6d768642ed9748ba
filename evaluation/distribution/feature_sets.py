"""Features of a whole set of images, kept on disk under the hash of everything they depend on."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.features import FeatureExtractor
from evaluation.metrics.frechet import FeatureStatistics, frechet_distance, frechet_distance_to
from infinity.atomic import replacing

__all__ = ["FeatureSet", "extract_features", "features_once", "published_statistics"]

_BATCH = 64
_RECENT: dict[str, FeatureSet] = {}


@dataclass(frozen=True, kw_only=True)
class FeatureSet:
    """Features of a set of images.

    Args:
        features: float32 (N, D); None where moments are all there is.
        known_moments: taken from the features when asked for, if None.
    """

    features: np.ndarray | None = None
    known_moments: FeatureStatistics | None = None

    @cached_property
    def moments(self) -> FeatureStatistics:
        return self.known_moments or FeatureStatistics.of(self.kept())

    def distance(self, other: FeatureSet) -> float:
        """Fréchet distance of these features from the other set, by the route that suits their number."""
        features = self.kept()
        if other.features is not None and len(other.features) < features.shape[1]:
            return frechet_distance(features, other.features)
        return frechet_distance_to(other.moments, features)

    def kept(self) -> np.ndarray:
        """The features, where a metric can't do without."""
        if self.features is None:
            raise ValueError(
                "published statistics serve Fréchet distances alone; give reference images (--data) as well"
            )
        return self.features


def extract_features(extractor: FeatureExtractor, images: Iterable[np.ndarray]) -> np.ndarray:
    """Features (float32 (N, D)) in the images' order; images (RGB uint8) may differ in size."""
    found: dict[int, np.ndarray] = {}
    waiting: dict[tuple[int, ...], list[tuple[int, np.ndarray]]] = defaultdict(list)

    def work_off(shape: tuple[int, ...]) -> None:
        numbers, batch = zip(*waiting.pop(shape), strict=True)
        found.update(zip(numbers, extractor(np.stack(batch)).astype(np.float32), strict=True))

    for number, image in enumerate(images):
        waiting[image.shape].append((number, image))
        if len(waiting[image.shape]) == _BATCH:
            work_off(image.shape)
    for shape in list(waiting):
        work_off(shape)
    return np.stack([found[number] for number in range(len(found))])


def features_once(cache: Path | None, about: Mapping[str, Any], make: Callable[[], np.ndarray]) -> FeatureSet:
    """Features from the cache, or made and put there.

    Args:
        cache: directory; None for memory, which keeps the sets of the last two calls, for tasks in a row.
        about: all that the features depend on. A file about anything else, or a damaged one, is made anew.
        make: features (N, D).
    """
    key = json.dumps(about, sort_keys=True)
    if cache is None:
        found = _RECENT.pop(key, None) or FeatureSet(features=make())
        _RECENT[key] = found
        while len(_RECENT) > 2:
            del _RECENT[next(iter(_RECENT))]
        return found
    path = cache / "features" / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if (found := _read(path, key)) is None:
        found = FeatureSet(features=make())
        _write(path, key, found)
    return found


def published_statistics(path: Path, width: int) -> FeatureSet:
    """Moments from an ``.npz`` with ``mu`` and ``sigma``, as ADM, clean-fid and pytorch-fid publish them.

    Args:
        width: of the features that they will be compared with.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            mean, covariance = (np.asarray(arrays[name], np.float64) for name in ("mu", "sigma"))
    except (KeyError, OSError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} is no .npz with the arrays mu and sigma ({error}); download it again"
        ) from error
    if mean.shape != (width,) or covariance.shape != (width, width):
        raise ValueError(
            f"{path} has mu {mean.shape} and sigma {covariance.shape}, expected {width} features; "
            "take statistics of the same network"
        )
    if not (np.isfinite(mean).all() and np.allclose(covariance, covariance.T, rtol=1e-4, atol=1e-6)):
        raise ValueError(f"the covariances of {path} are not symmetric and finite; download it again")
    # a covariance is a scatter over num - 1; the file does not tell of how many images
    return FeatureSet(known_moments=FeatureStatistics(2, mean, covariance))


def _read(path: Path, key: str) -> FeatureSet | None:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if str(arrays["about"]) != key:
                return None
            moments = FeatureStatistics(int(arrays["num"]), arrays["mean"], arrays["scatter"])
            return FeatureSet(features=arrays["features"], known_moments=moments)
    except (KeyError, OSError, ValueError, zipfile.BadZipFile):
        return None


def _write(path: Path, key: str, found: FeatureSet) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    moments = found.moments
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            about=key,
            num=moments.num,
            mean=moments.mean,
            scatter=moments.scatter,
            features=found.kept(),
        )
