"""ShapesEval: GenEval's six tasks on rendered shapes, judged by a classical-vision verifier."""

from __future__ import annotations

from evaluation.shapeseval.baselines import ground_truth_images, shuffled_prompts
from evaluation.shapeseval.detector import Detection, ShapeDetector
from evaluation.shapeseval.results import ScoredImage, ShapesEvalResult
from evaluation.shapeseval.runner import run_shapeseval, select_prompts
from evaluation.shapeseval.scorer import FAILURES, Verdict, judge
from evaluation.shapeseval.verify import verify_images
from evaluation.shapeseval.world import Prompt, Query, World, load_prompts

__all__ = [
    "FAILURES",
    "Detection",
    "Prompt",
    "Query",
    "ScoredImage",
    "ShapeDetector",
    "ShapesEvalResult",
    "Verdict",
    "World",
    "ground_truth_images",
    "judge",
    "load_prompts",
    "run_shapeseval",
    "select_prompts",
    "shuffled_prompts",
    "verify_images",
]
