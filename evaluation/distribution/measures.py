"""Every metric of two sets of features, with the knobs that its id carries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from evaluation.distribution.feature_sets import FeatureSet
from evaluation.features import Classifier
from evaluation.intervals import Estimate, bootstrap_mean, clustered_share
from evaluation.metrics.class_score import class_score
from evaluation.metrics.frechet_infinity import frechet_infinity, smallest_subset
from evaluation.metrics.kernel_distances import clip_mmd, kernel_distance
from evaluation.metrics.manifolds import Manifolds, compare_manifolds
from evaluation.results import Direction

__all__ = ["MEASURES", "Comparison", "Measured"]

_SPLITS = 10
_SEED = 2020  # torch-fidelity's, of shuffles and subsets
_K, _DENSITY_K = 3, 5


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One value; `knobs` go into its id."""

    value: float
    direction: Direction
    knobs: tuple[str, ...] = ()
    ci95: tuple[float, float] | None = None
    note: str = ""
    without_reference: bool = False


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Generated images and references, as features.

    Args:
        prompts: of every generated image, as images of one prompt are alike.
        seed: of what no other implementation fixes.
    """

    generated: FeatureSet
    references: FeatureSet | None
    prompts: Sequence[str]
    classifier: Classifier | None = None
    device: str = "cpu"
    seed: int = 0

    def reference(self) -> FeatureSet:
        assert self.references is not None, "only class scores do without references"
        return self.references

    @cached_property
    def manifolds(self) -> Manifolds:
        return compare_manifolds(
            self.generated.kept(),
            self.reference().kept(),
            k=_K,
            density_k=_DENSITY_K,
            device=self.device,
        )


def _fid(one: Comparison) -> Measured:
    num, width = one.generated.kept().shape
    note = f"{num} images of {width} features: most of it is bias" if num < width else ""
    return Measured(value=one.generated.distance(one.reference()), direction="lower", note=note)


def _fid_inf(one: Comparison) -> Measured:
    reference = one.reference()
    num, width = one.generated.kept().shape
    smallest = smallest_subset(num)
    bent = f"; not straight, as subsets of {smallest} images are fewer than {width} features"
    found = frechet_infinity(
        one.generated.kept(), lambda subset: FeatureSet(features=subset).distance(reference), seed=one.seed
    )
    return Measured(
        value=found.value,
        direction="lower",
        knobs=(f"seed={one.seed}",),
        ci95=(found.low, found.high),
        note="the interval is that of the line's fit" + (bent if smallest < width else ""),
    )


def _kid(one: Comparison) -> Measured:
    found = kernel_distance(one.generated.kept(), one.reference().kept(), seed=_SEED)
    return Measured(
        value=found.value,
        direction="lower",
        knobs=(f"subsets={found.num_subsets}x{found.subset_size}", f"seed={_SEED}"),
        ci95=found.ci95,
        note=f"standard deviation over subsets {found.std:.3g}" if found.num_subsets > 1 else "",
    )


def _is(one: Comparison) -> Measured:
    if one.classifier is None:
        raise ValueError("these features have no classes; take those of inception or effnet")
    features = one.generated.kept()
    splits = min(_SPLITS, len(features))
    found = class_score(one.classifier.logits(features), num_splits=splits, seed=_SEED)
    return Measured(
        value=found.value,
        direction="higher",
        knobs=(f"splits={splits}", f"seed={_SEED}"),
        ci95=(found.low, found.high) if splits > 1 else None,
        without_reference=True,
    )


def _cmmd(one: Comparison) -> Measured:
    found = clip_mmd(one.generated.kept(), one.reference().kept(), device=one.device)
    return Measured(value=found.value, direction="lower", knobs=("sigma=10",), ci95=(found.low, found.high))


def _precision(one: Comparison) -> Measured:
    return _of_generated(clustered_share(one.manifolds.precise.tolist(), one.prompts), _K)


def _density(one: Comparison) -> Measured:
    by_prompt: dict[str, list[float]] = defaultdict(list)
    for prompt, density in zip(one.prompts, one.manifolds.density, strict=True):
        by_prompt[prompt].append(density)
    means = [float(np.mean(values)) for values in by_prompt.values()]
    return _of_generated(bootstrap_mean(means, seed=one.seed), _DENSITY_K)


def _recall(one: Comparison) -> Measured:
    return Measured(value=float(one.manifolds.recalled.mean()), direction="higher", knobs=(f"k={_K}",))


def _coverage(one: Comparison) -> Measured:
    return Measured(value=float(one.manifolds.covered.mean()), direction="higher", knobs=(f"k={_DENSITY_K}",))


def _of_generated(found: Estimate, k: int) -> Measured:
    return Measured(
        value=found.value,
        direction="higher",
        knobs=(f"k={k}",),
        ci95=(found.low, found.high) if found.low < found.high else None,
        note="the interval takes the references as given",
    )


MEASURES: dict[str, Callable[[Comparison], Measured]] = {
    "fid": _fid,
    "fid_inf": _fid_inf,
    "kid": _kid,
    "is": _is,
    "cmmd": _cmmd,
    "precision": _precision,
    "recall": _recall,
    "density": _density,
    "coverage": _coverage,
}
