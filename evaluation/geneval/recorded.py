"""``python -m evaluation score-detections``: verdicts on detections that were recorded elsewhere.

One JSON object a line: ``tag``, ``include`` and ``exclude`` as in GenEval's prompts, and ``detections``,
a list of ``{"class", "box": [x1, y1, x2, y2], "score", "color"}``. ``exclude`` and colours may be missing,
and what is empty may be null; whatever else is there is passed over. Names are compared as they are.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from evaluation.geneval.scoring import Detected, GenEvalRule, judge_image

__all__ = ["add_score_detections_arguments", "score_detections", "score_detections_command"]


def add_score_detections_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", type=Path, metavar="FILE.jsonl", help="tag, include, exclude, detections a line"
    )


def score_detections_command(path: Path) -> str:
    """A verdict a line."""
    return "\n".join(map(json.dumps, score_detections(path)))


def score_detections(path: Path, rule: GenEvalRule | None = None) -> Iterator[dict[str, Any]]:
    """``{"correct", "reason"}`` per line, in order; a line that can't be judged is an error that names it."""
    rule = rule or GenEvalRule()
    with path.open("rb") as file:
        for number, content in enumerate(file, start=1):
            try:
                text = content.decode("utf-8-sig")
                if not text.strip():
                    continue
                line = json.loads(text)
                verdict = judge_image(_by_class(line), line, rule)
            except (
                ArithmeticError,
                AttributeError,
                LookupError,
                RecursionError,
                TypeError,
                ValueError,
            ) as error:
                problem = f"lacks {error}" if isinstance(error, KeyError) else f"can't be judged: {error}"
                raise ValueError(
                    f"line {number} of {path} {problem}; expected an object with tag, include, exclude and "
                    "detections of class, box and score"
                ) from error
            yield {"correct": verdict.correct, "reason": verdict.reason}


def _by_class(line: Mapping[str, Any]) -> dict[str, list[Detected]]:
    found: dict[str, list[Detected]] = defaultdict(list)
    for one in line["detections"] or ():
        box = [float(side) for side in one["box"]]
        score = float(one["score"])
        if len(box) < 4 or not all(map(math.isfinite, [*box, score])):
            raise ValueError(f"a box needs four finite numbers and a score, got {one['box']}, {one['score']}")
        found[one["class"]].append(Detected(box[:4], score, one.get("color")))
    return found
