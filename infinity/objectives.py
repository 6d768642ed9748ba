"""Training objectives: all the mathematics of a step, without any trainer."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from infinity.configs import check_literals
from infinity.quantizers.base import Quantizer
from infinity.randomness import Randomness
from infinity.schedules import ScaleSchedule
from infinity.self_correction import SelfCorrectionConfig, self_correct
from infinity.transformer.model import Infinity
from infinity.types import LossTerms, TextStates

__all__ = ["ARObjectiveConfig", "LossWeighting", "ar_objective", "token_weights"]

LossWeighting = Literal["none", "sqrt_area"]


@dataclass(frozen=True, kw_only=True)
class ARObjectiveConfig:
    """How the transformer is trained.

    Args:
        self_correction: how inputs are corrupted.
        loss_weighting: "none": every token counts the same, so that the finest scales dominate; "sqrt_area":
            tokens of scale k count 1 / sqrt(area), the whole scale sqrt(area) (official
            ``reweight_loss_by_scale``).
    """

    self_correction: SelfCorrectionConfig = field(default_factory=SelfCorrectionConfig)
    loss_weighting: LossWeighting = "none"

    def __post_init__(self) -> None:
        check_literals(self)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a cached tensor may be trained with later
def token_weights(schedule: ScaleSchedule, weighting: LossWeighting, device: torch.device) -> Tensor:
    """Weight of every token's loss (L,), summing to 1."""
    areas = torch.tensor([scale.area for scale in schedule])
    per_scale = torch.ones(len(schedule)) if weighting == "none" else areas.double().rsqrt().float()
    weights_L = per_scale.repeat_interleave(areas)
    return (weights_L / weights_L.sum()).to(device)


def ar_objective(
    model: Infinity,
    features_BDHW: Tensor,
    text: TextStates,
    schedule: ScaleSchedule,
    *,
    config: ARObjectiveConfig,
    generator: Randomness | None,
    patchify: int = 1,
    quantizer: Quantizer | None = None,
    detailed_logs: bool = True,
) -> LossTerms:
    """Cross-entropy of all bits of all scales, with self-correction (paper Eq. 2 and section 3.3).

    Args:
        features_BDHW: un-normalised features of the tokenizer's encoder.
        schedule: in tokens.
        generator: flips and, while the model trains, condition dropout and stochastic depth; None evaluates
            without any of them.
        patchify: latent cells per token side, the tokenizer's.
        quantizer: the tokenizer's, needed only if it is a VQ.
        detailed_logs: also log accuracy per scale and per bit.
    """
    correction = config.self_correction if generator is not None else SelfCorrectionConfig(mode="off")
    forcing = self_correct(
        features_BDHW,
        schedule,
        correction,
        patchify=patchify,
        generator=generator,
        quantizer=quantizer,
    )
    drop_B = keep_N2B = None
    if generator is not None and model.training:
        drops = model.draw_drops(len(features_BDHW), generator)
        drop_B = drops.condition_B.to(features_BDHW.device)
        keep_N2B = None if drops.keep_N2B is None else drops.keep_N2B.to(features_BDHW.device)
    logits = model(forcing.inputs_BLD, text, schedule, drop_condition_B=drop_B, keep_N2B=keep_N2B)
    nll_BL = model.head.loss(logits, forcing.labels_BLD)
    weights_L = token_weights(schedule, config.loss_weighting, nll_BL.device)
    total = (nll_BL.mean(dim=0) * weights_L).sum()
    with torch.no_grad():
        logs = _accuracies(model.head.accuracy(logits, forcing.labels_BLD), schedule, detailed_logs)
        logs["bit_ce"] = nll_BL.mean()
    return LossTerms(total, logs)


def _accuracies(right_BLD: Tensor, schedule: ScaleSchedule, detailed: bool) -> dict[str, Tensor]:
    right_LD = right_BLD.mean(dim=0)
    logs = {"bit_accuracy": right_LD.mean()}
    if detailed:
        right_L = right_LD.mean(dim=1)
        for k, tokens in enumerate(schedule.slices, start=1):
            logs[f"bit_accuracy/scale_{k:02}"] = right_L[tokens].mean()
        for d, accuracy in enumerate(right_LD.mean(dim=0).unbind()):
            logs[f"bit_accuracy/bit_{d:02}"] = accuracy
    return logs
