"""ShapesEval: GenEval's six tasks on rendered shapes, judged by a classical-vision verifier."""

from __future__ import annotations

from evaluation.shapeseval.detector import Detection, ShapeDetector
from evaluation.shapeseval.scorer import FAILURES, Verdict, judge
from evaluation.shapeseval.verify import verify_images
from evaluation.shapeseval.world import Prompt, Query, World, load_prompts

__all__ = [
    "FAILURES",
    "Detection",
    "Prompt",
    "Query",
    "ShapeDetector",
    "Verdict",
    "World",
    "judge",
    "load_prompts",
    "verify_images",
]
