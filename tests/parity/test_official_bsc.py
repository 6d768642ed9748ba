"""Self-correction against the official one, with the recorded flips."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.schedules import ScaleSchedule
from infinity.self_correction import SelfCorrectionConfig, self_correct

CASES = ["d16_sq", "d16_sq_norequant", "d32_r1.5_all", "d14_patchify", "d16_off"]


def masks_of(tensors: dict[str, Tensor], num_scales: int) -> list[Tensor]:
    names = [f"s{k}.flip_mask" for k in range(num_scales)]
    return [tensors[name].squeeze(1).movedim(-1, 1).bool() for name in names if name in tensors]


@pytest.mark.parametrize("case", CASES)
def test_inputs_and_labels_match(recordings: Any, case: str) -> None:
    recording = recordings["bsc"]
    facts, tensors = recording.meta["cases"][case], recording.under(f"{case}.")
    schedule = ScaleSchedule(tuple((h, w) for _, h, w in facts["scale_schedule"]))
    # the official code without re-quantisation leaves its inputs alone: that is teacher forcing
    mode = "full" if facts["noise_apply_requant"] and facts["noise_apply_layers"] > 0 else "off"
    forcing = self_correct(
        tensors["features"],
        schedule,
        SelfCorrectionConfig(mode=mode),
        patchify=2 if facts["patchify"] else 1,
        flip_masks=masks_of(tensors, len(schedule)),
    )
    labels = torch.cat([tensors[f"s{k}.gt_bits"] for k in range(len(schedule))], dim=1)
    torch.testing.assert_close(forcing.inputs_BLD, tensors["x_BLC_wo_prefix"], rtol=0, atol=1e-5)
    assert torch.equal(forcing.labels_BLD, labels.bool())
