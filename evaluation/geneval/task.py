"""The task ``geneval``: detect, tell colours where they are asked for, judge, and sum up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evaluation.geneval.colors import ColorClassifier
from evaluation.geneval.detections import Detection, Detector, mask_to_runs
from evaluation.geneval.detector_check import check_detector
from evaluation.geneval.detectors import build_detector, require_packages
from evaluation.geneval.scoring import Detected, GenEvalRule, judge_objects
from evaluation.geneval.summary import Outcome, geneval_metrics, geneval_table
from evaluation.geneval.vocabulary import COLORS, TASKS
from evaluation.preference.clip import load_clip
from evaluation.preference.weights import CLIP_L_14
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["GenEval", "judge_with"]

_OTHER_DETECTOR = "another detector than GenEval's: not to be compared with published numbers"


class GenEval:
    """GenEval (arXiv 2310.11513) as its script scores it.

    Args:
        detector: a name of ``DETECTORS``.
    """

    prompt_set = "geneval"

    def __init__(self, *, detector: str = "mask2former") -> None:
        require_packages(detector)
        self._detector = detector

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        weights = context.weights.require(CLIP_L_14)
        detector = build_detector(self._detector, context.weights, context.device)
        caveats = check_detector(detector)
        # OpenAI's weights go with its approximation of GELU
        classifier = ColorClassifier(load_clip("ViT-L-14-quickgelu", weights, context.device), context.device)
        return judge_with(detector, classifier, samples, caveats)


def judge_with(
    detector: Detector,
    classifier: ColorClassifier,
    samples: Sequence[EvalSample],
    caveats: Sequence[str] = (),
) -> TaskScore:
    """Score images with any detector and classifier; their ids are part of the metrics'."""
    rows = [_judge(sample, detector, classifier) for sample in samples]
    outcomes = [Outcome(row["tag"], row["prompt_id"], row["correct"]) for row in rows]
    return TaskScore(
        metrics=geneval_metrics(
            outcomes,
            knobs=f"det={detector.id},clip={classifier.knobs}",
            note="" if detector.is_official else _OTHER_DETECTOR,
        ),
        rows=tuple(rows),
        tables={"GenEval": geneval_table(outcomes)},
        caveats=(*caveats, *_missing_tasks(outcomes)),
    )


def _missing_tasks(outcomes: Sequence[Outcome]) -> tuple[str, ...]:
    """What to say where a limit has left tasks out, of which `overall` is the mean."""
    tags = {one.tag for one in outcomes}
    if not (missing := [task for task in TASKS if task not in tags]):
        return ()
    return (f"GenEval's overall leaves {len(missing)} of its tasks out: no images of {', '.join(missing)}.",)


def _judge(sample: EvalSample, detector: Detector, classifier: ColorClassifier) -> dict[str, Any]:
    """A row for ``samples.jsonl``, with all that counts for the verdict, best first within a class."""
    image_HW3, metadata, rule = sample.image(), sample.prompt.metadata, GenEvalRule()
    found: dict[str, list[Detection]] = defaultdict(list)
    for one in detector(image_HW3, rule.threshold):
        found[one.name].append(one)
    kept = {name: rule.kept(some, metadata["tag"]) for name, some in found.items()}
    logits = _color_logits(image_HW3, kept, metadata, classifier)
    colors = {place: COLORS[int(row_C.argmax())] for place, row_C in logits.items()}
    objects = {
        name: [Detected(one.box, one.score, colors.get((name, i))) for i, one in enumerate(some)]
        for name, some in kept.items()
    }
    verdict = judge_objects(objects, metadata, rule)
    return {
        "prompt_id": sample.prompt.id,
        "index": sample.index,
        "tag": metadata["tag"],
        "correct": verdict.correct,
        "reason": verdict.reason,
        "detections": [
            _recorded(one, logits.get((name, i))) for name, some in kept.items() for i, one in enumerate(some)
        ],
    }


def _color_logits(
    image_HW3: np.ndarray,
    kept: Mapping[str, Sequence[Detection]],
    metadata: Mapping[str, Any],
    classifier: ColorClassifier,
) -> dict[tuple[str, int], np.ndarray]:
    """Of the best objects of every clause that asks for a colour and has enough of them."""
    logits: dict[tuple[str, int], np.ndarray] = {}
    for clause in metadata.get("include", ()):
        name, count = clause["class"], clause["count"]
        if "color" in clause and len(best := kept.get(name, ())[:count]) == count:
            logits |= {(name, i): row_C for i, row_C in enumerate(classifier(image_HW3, best))}
    return logits


def _recorded(one: Detection, logits_C: np.ndarray | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"class": one.name, "box": [round(side, 2) for side in one.box]}
    fields["score"] = one.score
    if logits_C is not None:
        fields["color"] = COLORS[int(logits_C.argmax())]
        fields["color_logits"] = [round(float(logit), 4) for logit in logits_C]
    if one.mask_HW is not None:
        fields["mask"] = mask_to_runs(one.mask_HW)
    return fields
