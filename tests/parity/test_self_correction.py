"""Self-correction against the official one, with the recorded flips."""

from __future__ import annotations

import pytest
import torch

from infinity.schedules import ScaleSchedule
from infinity.self_correction import SelfCorrectionConfig, self_correct
from tests.parity.ledger import Ledger
from tests.parity.official import bits_of


@pytest.mark.recorded("self_correction")
def test_inputs_and_labels_match(ledger: Ledger) -> None:
    facts = ledger.meta["cases"][ledger.part.prefix.removesuffix(".")]
    schedule = ScaleSchedule(tuple((h, w) for _, h, w in facts["scale_schedule"]))
    masks = [f"s{k}.flip_mask" for k in range(len(schedule))]
    # the official code without re-quantisation leaves its inputs alone: that is teacher forcing
    mode = "full" if facts["noise_apply_requant"] and facts["noise_apply_layers"] > 0 else "off"
    forcing = self_correct(
        ledger["features"],
        schedule,
        SelfCorrectionConfig(mode=mode),
        patchify=2 if facts["patchify"] else 1,
        flip_masks=[bits_of(ledger[name]) for name in masks if name in ledger],
    )
    ledger.absolute("x_BLC_wo_prefix", forcing.inputs_BLD, 1e-5)
    for k, tokens in enumerate(schedule.slices):
        labels = forcing.labels_BLD[:, tokens]
        ledger.equal(f"s{k}.gt_bits", labels.to(torch.uint8))
    ledger.settle()
