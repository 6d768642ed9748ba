"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.geneval.weight_files import HF_MASK2FORMER, MASK2FORMER, MASK_RCNN
from evaluation.preference.weights import CLIP_L_14
from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_TARGET = "evaluation.geneval.task:GenEval"


def _metrics(detector: str) -> tuple[str, ...]:
    knobs = f"det={detector}-<hash>,clip=ViT-L-14-quickgelu,weights=<hash>,prompts=<P>,images=<N>"
    return (f"geneval[{knobs}]/{{overall,<task>,images,prompts}}",)


TASKS: dict[str, TaskEntry] = {
    "geneval": TaskEntry(
        summary="GenEval: objects, counts, colours, positions; its detector without MMDetection",
        target=_TARGET,
        metrics=_metrics("mask2former"),
        weights=(MASK2FORMER, CLIP_L_14),
    ),
    "geneval-hf-mask2former": TaskEntry(
        summary="GenEval with Hugging Face's Mask2Former: the same network, another training run",
        target=_TARGET,
        metrics=_metrics("hf-mask2former"),
        weights=(HF_MASK2FORMER, CLIP_L_14),
        options={"detector": "hf-mask2former"},
        stand_in_for="geneval",
    ),
    "geneval-maskrcnn-v2": TaskEntry(
        summary="GenEval with torchvision's Mask R-CNN v2",
        target=_TARGET,
        metrics=_metrics("maskrcnn-v2"),
        weights=(MASK_RCNN, CLIP_L_14),
        options={"detector": "maskrcnn-v2"},
        stand_in_for="geneval",
    ),
}

PROMPT_SETS: dict[str, str] = {"geneval": "evaluation.geneval.prompts:geneval_prompts"}
