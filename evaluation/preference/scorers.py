"""Scorers by name, with their weights."""

from __future__ import annotations

from collections.abc import Callable

from evaluation.preference.clip import load_clip
from evaluation.preference.clip_scores import FORMS, AestheticScorer, ClipScorer, load_aesthetic_head
from evaluation.preference.embedded import load_embedded
from evaluation.preference.image_reward import ImageRewardScorer, load_image_reward
from evaluation.preference.scorer import Scorer
from evaluation.preference.weights import (
    AESTHETIC,
    BERT_VOCABULARY,
    CLIP_B_32,
    CLIP_L_14,
    HPS,
    IMAGE_REWARD,
    PICKSCORE,
)
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFile

__all__ = ["SCORERS", "build_scorer"]


def build_scorer(name: str, context: EvalContext) -> Scorer:
    """A scorer on the context's device; what it needs is looked for in the context."""
    if name not in SCORERS:
        raise ValueError(f"unknown scorer {name!r}; there are {', '.join(SCORERS)}")
    return SCORERS[name](context)


def _clip(form: str, architecture: str, weights: WeightFile) -> Callable[[EvalContext], Scorer]:
    def build(context: EvalContext) -> Scorer:
        encoder = load_clip(architecture, context.weights.require(weights), context.device)
        return ClipScorer(FORMS[form], encoder)

    return build


def _image_reward(context: EvalContext) -> Scorer:
    net = load_image_reward(context.weights.require(IMAGE_REWARD))
    return ImageRewardScorer(net, context.weights.require(BERT_VOCABULARY), context.device)


def _aesthetic(context: EvalContext) -> Scorer:
    head = load_aesthetic_head(context.weights.require(AESTHETIC))
    encoder = load_clip("ViT-L-14-quickgelu", context.weights.require(CLIP_L_14), context.device)
    return AestheticScorer(head, encoder, context.device)


SCORERS: dict[str, Callable[[EvalContext], Scorer]] = {
    # OpenAI's models were trained with the quick form of GELU, which the checkpoint does not say
    "clipscore": _clip("clipscore", "ViT-B-32-quickgelu", CLIP_B_32),
    "clipscore_torchmetrics": _clip("clipscore_torchmetrics", "ViT-L-14-quickgelu", CLIP_L_14),
    "clip_cosine": _clip("clip_cosine", "ViT-L-14-quickgelu", CLIP_L_14),
    "imagereward": _image_reward,
    "hpsv2.1": _clip("hpsv2.1", "ViT-H-14", HPS),
    "pickscore": _clip("pickscore", "ViT-H-14", PICKSCORE),
    "aesthetic": _aesthetic,
    "clipscore_embedded": load_embedded,
}
