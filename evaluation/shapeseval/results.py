"""Scores of a set of images: per task, level and split, with intervals, failures and one row per image."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from evaluation.intervals import Estimate, clustered_share, mean_of_estimates
from evaluation.results import MetricValue
from evaluation.shapeseval.detector import Detection
from evaluation.shapeseval.scorer import FAILURES, Verdict
from evaluation.shapeseval.world import Prompt

__all__ = ["LENIENT", "TASKS", "VERIFIER_VERSION", "Score", "ScoredImage", "ShapesEvalResult"]

TASKS = ("single_object", "two_object", "counting", "colors", "position", "color_attr")

LENIENT = "lenient"
"""Knob of results under GenEval's rule, which allows extra objects."""

VERIFIER_VERSION = 1
"""Part of every metric id: to be raised whenever a change of detector or scorer can change a verdict."""


@dataclass(frozen=True, kw_only=True)
class ScoredImage:
    """One image, the prompt it was judged against, and the verdict."""

    prompt: Prompt
    index: int  # which of the prompt's images
    sha256: str  # of the pixels
    verdict: Verdict


@dataclass(frozen=True, kw_only=True)
class Score:
    """Share of correct images in one group; the interval is clustered by prompt text."""

    name: str
    accuracy: Estimate
    num_images: int
    num_prompts: int  # distinct texts


@dataclass(frozen=True, kw_only=True)
class ShapesEvalResult:
    """Every image's verdict, and the scores that follow.

    Args:
        knobs: what else changes the numbers, for metric ids, e.g. ``basic,64px``.
        arm: what was judged: "samples", "ground truth", "reconstructions", or a baseline such as "shuffled
            prompts".
    """

    knobs: str
    arm: str
    images: tuple[ScoredImage, ...]

    @property
    def is_strict(self) -> bool:
        return LENIENT not in self.knobs.split(",")

    @property
    def prefix(self) -> str:
        """What all its metric ids begin with."""
        arm = "" if self.arm == "samples" else f",{self.arm.replace(' ', '_')}"
        return f"shapeseval[{self.knobs},verifier={VERIFIER_VERSION}{arm}]"

    @cached_property
    def splits(self) -> tuple[str, ...]:
        found = {image.prompt.split for image in self.images}
        return tuple(split for split in ("id", "ood") if split in found) + tuple(
            sorted(found - {"id", "ood"})
        )

    def tasks(self, split: str) -> list[Score]:
        """Scores of the tasks of a split, in GenEval's order."""
        tags = {image.prompt.tag for image in self.images if image.prompt.split == split}
        order = [task for task in TASKS if task in tags] + sorted(tags - set(TASKS))
        return [self._score(tag, [i for i in self._of(split) if i.prompt.tag == tag]) for tag in order]

    def levels(self, split: str) -> list[Score]:
        """Scores by what is held out."""
        levels = dict.fromkeys(image.prompt.level for image in self._of(split))
        return [
            self._score(level, [i for i in self._of(split) if i.prompt.level == level]) for level in levels
        ]

    def overall(self, split: str) -> Score:
        """Unweighted mean of the task means (GenEval's rule)."""
        images, tasks = self._of(split), self.tasks(split)
        return Score(
            name="overall",
            accuracy=mean_of_estimates([task.accuracy for task in tasks]),
            num_images=len(images),
            num_prompts=sum(task.num_prompts for task in tasks),
        )

    def failures(self, split: str) -> dict[str, int]:
        """Number of images with each kind of failure (an image may have several), and of binding errors."""
        counts = Counter(kind for image in self._of(split) for kind in image.verdict.failures)
        binding = sum(image.verdict.binding_error for image in self._of(split))
        return {**{kind: counts[kind] for kind in FAILURES}, "binding_error": binding}

    def metrics(self) -> list[MetricValue]:
        """All scores under ids such as ``shapeseval[basic,64px,verifier=1]/id/overall``."""
        metrics = []
        for split in self.splits:
            scores = {"overall": self.overall(split)} | {score.name: score for score in self.tasks(split)}
            if split != "id":
                scores |= {f"level/{score.name}": score for score in self.levels(split)}
            for name, score in scores.items():
                value, *ci95 = score.accuracy
                metrics.append(
                    MetricValue(
                        id=f"{self.prefix}/{split}/{name}",
                        value=value,
                        direction="higher",
                        n=score.num_images,
                        ci95=(ci95[0], ci95[1]),
                    )
                )
        return metrics

    def rows(self) -> list[dict[str, Any]]:
        """One row per image for ``samples.jsonl``; :meth:`from_rows` reads them back."""
        return [
            {
                "arm": self.arm,
                "knobs": self.knobs,
                "prompt_id": image.prompt.id,
                "image": image.index,
                "sha256": image.sha256,
                "metadata": image.prompt.to_dict(),
                "correct": image.verdict.correct,
                "failures": list(image.verdict.failures),
                "reason": image.verdict.reason,
                "binding_error": image.verdict.binding_error,
                "detections": [_rounded(detection) for detection in image.verdict.detections],
            }
            for image in self.images
        ]

    @classmethod
    def from_rows(cls, rows: Iterable[Mapping[str, Any]]) -> dict[str, ShapesEvalResult]:
        """Results by arm; a report shows one benchmark, so an arm has the same knobs in all rows."""
        arms: dict[tuple[str, str], list[ScoredImage]] = {}
        for row in rows:
            verdict = Verdict(
                correct=row["correct"],
                failures=tuple(row["failures"]),
                reason=row["reason"],
                binding_error=row["binding_error"],
                detections=tuple(Detection(**{**d, "box": tuple(d["box"])}) for d in row["detections"]),
            )
            prompt = Prompt.from_dict(row["metadata"])
            image = ScoredImage(prompt=prompt, index=row["image"], sha256=row["sha256"], verdict=verdict)
            arms.setdefault((row["arm"], row["knobs"]), []).append(image)
        if len({arm for arm, _ in arms}) < len(arms):
            listed = " and ".join(sorted({knobs for _, knobs in arms}))
            raise ValueError(f"one report shows one ShapesEval, got {listed}; report these runs one by one")
        return {arm: cls(arm=arm, knobs=knobs, images=tuple(images)) for (arm, knobs), images in arms.items()}

    def _of(self, split: str) -> list[ScoredImage]:
        return [image for image in self.images if image.prompt.split == split]

    @staticmethod
    def _score(name: str, images: Sequence[ScoredImage]) -> Score:
        texts = [image.prompt.text for image in images]
        accuracy = clustered_share([image.verdict.correct for image in images], texts)
        return Score(name=name, accuracy=accuracy, num_images=len(images), num_prompts=len(set(texts)))


def _rounded(detection: Detection) -> dict[str, Any]:
    fields = asdict(detection)
    fields["box"] = [round(side, 2) for side in detection.box]
    return {k: round(value, 4) if isinstance(value, float) else value for k, value in fields.items()}
