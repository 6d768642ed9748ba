"""Guidance and dictated bits."""

from __future__ import annotations

import pytest
import torch

from infinity.sampling.bits import apply_guidance, force_bits
from tests.tolerances import TOL


@pytest.mark.parametrize("guidance", [0.0, 1.0, 3.0])
def test_guidance_extrapolates_from_the_unconditional_logits(guidance: float) -> None:
    conditional, unconditional = torch.randn(2, 2, 3, 4)
    mixed = apply_guidance(torch.cat([conditional, unconditional]), guidance, 2)
    expected = guidance * conditional + (1 - guidance) * unconditional
    torch.testing.assert_close(mixed, expected, **TOL[torch.float32])


def test_without_an_unconditional_half_logits_stay_as_they_are() -> None:
    logits = torch.randn(2, 3, 4)
    assert apply_guidance(logits, 1.0, 2) is logits


def test_bits_are_forced_where_the_mask_says_and_everywhere_without_one() -> None:
    drawn = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    mask = torch.tensor([[True, False], [False, False]])[None, None]
    assert torch.equal(force_bits(drawn, 0, [~drawn], [mask])[:, :, 0, 0], torch.ones(1, 2, dtype=torch.bool))
    assert force_bits(drawn, 0, [~drawn], [mask]).sum() == 2
    assert force_bits(drawn, 0, [~drawn], []).all()
    assert force_bits(drawn, 0, [~drawn], [None]).all()
    assert force_bits(drawn, 0, [None], []) is drawn
    assert force_bits(drawn, 1, [~drawn], []) is drawn


def test_forced_bits_of_another_size_are_refused() -> None:
    drawn = torch.zeros(1, 2, 2, 2, dtype=torch.bool)
    with pytest.raises(ValueError, match=r"scale 1 must be \(1, 2, 2, 2\), got \(1, 2, 3, 3\)"):
        force_bits(drawn, 0, [torch.zeros(1, 2, 3, 3, dtype=torch.bool)], [])
