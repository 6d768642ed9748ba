"""Self-correction against the official one, with the recorded flips."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from infinity.schedules import Scale, ScaleSchedule
from infinity.self_correction import SelfCorrectionConfig, TeacherForcing, self_correct
from tests.parity.ledger import Ledger
from tests.parity.official import bits_of


@pytest.mark.recorded("self_correction")
def test_inputs_and_labels_match(ledger: Ledger) -> None:
    facts = ledger.meta.get("cases", {}).get(ledger.part.prefix.removesuffix("."), {})
    schedule = schedule_of(ledger, facts)
    forcing = forced(ledger, schedule, requantise(ledger, schedule, facts))
    ledger.absolute("x_BLC_wo_prefix", forcing.inputs_BLD, 1e-5)
    for k, tokens in enumerate(schedule.slices):
        labels = forcing.labels_BLD[:, tokens]
        ledger.equal(f"s{k}.gt_bits", labels.to(torch.uint8))
    ledger.settle()


def forced(ledger: Ledger, schedule: ScaleSchedule, full: bool) -> TeacherForcing:
    """Our inputs and labels, by the recorded flips.

    The official code without re-quantisation leaves its inputs alone: that is teacher forcing.
    """
    masks = [f"s{k}.flip_mask" for k in range(len(schedule))]
    return self_correct(
        ledger["features"],
        schedule,
        SelfCorrectionConfig(mode="full" if full else "off"),
        patchify=patchify_of(ledger),
        flip_masks=[bits_of(ledger[name]) for name in masks if name in ledger],
    )


def patchify_of(ledger: Ledger) -> int:
    """Latent cells per token side, as a token has the bits of so many cells."""
    return math.isqrt(ledger["s0.gt_bits"].shape[-1] // ledger["features"].shape[1])


def schedule_of(ledger: Ledger, facts: dict[str, Any]) -> ScaleSchedule:
    """The schedule in tokens: of the manifest, or of the image's shape and the number of tokens per scale."""
    if "scale_schedule" in facts:
        return ScaleSchedule(tuple((h, w) for _, h, w in facts["scale_schedule"]))
    height, width = ledger["features"].shape[-2:]

    def shape(area: int) -> Scale:
        sides = [h for h in range(1, area + 1) if area % h == 0]
        h = min(sides, key=lambda h: abs(math.log(h * h / area * width / height)))
        return Scale(h, area // h)

    labels = [name for name in ledger.names("s") if name.endswith(".gt_bits")]
    return ScaleSchedule(tuple(shape(ledger[f"s{k}.gt_bits"].shape[1]) for k in range(len(labels))))


def requantise(ledger: Ledger, schedule: ScaleSchedule, facts: dict[str, Any]) -> bool:
    """Whether flips were re-quantised: as the manifest says, or as the labels do."""
    if {"noise_apply_requant", "noise_apply_layers"} <= facts.keys():
        return bool(facts["noise_apply_requant"]) and facts["noise_apply_layers"] > 0
    labels = torch.cat([ledger[f"s{k}.gt_bits"] for k in range(len(schedule))], dim=1)
    return not torch.equal(forced(ledger, schedule, False).labels_BLD, labels != 0)
