"""What a step of curation is: a score per sample, and a rule which scores stay."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex
from datamodules.sample_files import StoredSample

__all__ = ["STEPS", "BoundedStep", "Scored", "Step", "Verdict", "register"]

STEPS: dict[str, type[Step]] = {}
"""All steps by the name that config files give them."""


class Scored(NamedTuple):
    """Some samples of a split with their scores."""

    index: ShardIndex
    numbers: np.ndarray  # (N,) ascending
    scores: np.ndarray  # (N,) of the step's type


class Verdict(NamedTuple):
    """A step's decision about N samples."""

    keep: np.ndarray  # bool (N,)
    values: np.ndarray  # float (N,): what the log and the contact sheets show
    margins: np.ndarray  # float (N,): how far from being decided otherwise
    reason: Callable[[int], str]  # why the sample at a position is dropped
    twin: Callable[[int], tuple[ShardIndex, int]] | None = None  # for whose sake a sample is dropped


def register(name: str) -> Callable[[type[Step]], type[Step]]:
    """Make a step known under a name."""

    def add(step: type[Step]) -> type[Step]:
        step.name = name
        STEPS[name] = step
        return step

    return add


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step; its fields are its settings in the config file."""

    name: ClassVar[str]
    score_is: ClassVar[str]  # what the score means, for people
    packages: ClassVar[tuple[str, ...]] = ()  # distributions that it needs
    install: ClassVar[str] = "pip install -e '.[curate]'"  # how to get them
    decides_by: ClassVar[tuple[str, ...]]  # settings that scores don't depend on
    score_type: ClassVar[np.dtype] = np.dtype("f8")
    in_processes: ClassVar[bool] = True  # False: one process, as the model uses all cores or a GPU
    compares: ClassVar[bool] = False  # whether samples are compared with those of other splits

    def score(self, sample: StoredSample) -> Any:
        """The score of one sample; raises BrokenSampleError if it can't be read."""
        raise NotImplementedError

    def scores(self, samples: Iterable[StoredSample]) -> list[Any]:
        """Scores of some samples, with the error itself for those that can't be read.

        Samples are let go one by one, as their decoded images are large.
        """
        results: list[Any] = []
        for sample in samples:
            try:
                results.append(self.score(sample))
            except BrokenSampleError as error:
                results.append(error)
        return results

    def header_scores(self, index: ShardIndex, numbers: np.ndarray) -> np.ndarray | None:
        """Scores that follow from the index alone, else None."""
        return None

    def decide(self, samples: Scored, others: Sequence[Scored]) -> Verdict:
        """Which samples stay.

        Args:
            others: what stayed of the splits before this one, for a step that `compares`.
        """
        raise NotImplementedError

    @property
    def weights(self) -> dict[str, str]:
        """Files of weights by setting, each with where it comes from."""
        return {}

    def missing(self) -> str:
        """One sentence about what isn't installed or in its place; empty if all is there."""
        absent = [name for name in self.packages if not _installed(name)]
        if absent:
            return f"{self.name} needs {', '.join(absent)}: {self.install}"
        for setting, source in self.weights.items():
            path = getattr(self, setting)
            if not path or not Path(path).is_file():
                found = f"no file {path}" if path else "no path is given"
                return f"{self.name} needs local weights in `{setting}` ({found}): {source}"
        return ""

    @cached_property
    def versions(self) -> dict[str, str]:
        """Versions of the packages, hashes of the weights: what scores depend on beside the settings."""
        packages = {name: importlib.metadata.version(name) for name in self.packages}
        return packages | {setting: _sha256_of(Path(getattr(self, setting))) for setting in self.weights}

    @property
    def fingerprint(self) -> str:
        """Changes whenever the scores could."""
        settings = {
            setting: value
            for setting, value in self.settings().items()
            if setting not in self.decides_by and setting not in self.weights  # their contents count
        }
        text = json.dumps([self.name, settings, self.versions], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def bounds(self) -> str:
        """The settings that decide, for people."""
        settings = self.settings()
        return ", ".join(
            f"{name} {settings[name]:g}" for name in self.decides_by if settings[name] is not None
        )

    def settings(self) -> dict[str, Any]:
        """All settings, as JSON can hold them: no bound is None."""
        values = dataclasses.asdict(self)
        return {key: None if value in (math.inf, -math.inf) else value for key, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class BoundedStep(Step):
    """A step whose scores are numbers and stay within bounds.

    Args:
        min: smallest score that stays.
        max: largest score that stays.
    """

    min: float = -math.inf
    max: float = math.inf

    decides_by: ClassVar[tuple[str, ...]] = ("min", "max")

    def __post_init__(self) -> None:
        if not self.min <= self.max:
            raise ValueError(f"min must not be above max, got {self.min} and {self.max}")

    def decide(self, samples: Scored, others: Sequence[Scored]) -> Verdict:
        """Keep what lies within the bounds."""
        scores = samples.scores
        too_low, too_high = scores < self.min, scores > self.max

        def reason(place: int) -> str:
            bound = f"< min {self.min:g}" if too_low[place] else f"> max {self.max:g}"
            return f"{scores[place]:.4g} {bound}"

        margins = np.minimum(np.abs(scores - self.min), np.abs(scores - self.max))
        return Verdict(~(too_low | too_high), scores, margins, reason)


def _installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
