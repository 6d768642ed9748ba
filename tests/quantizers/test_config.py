from __future__ import annotations

from typing import Any

import pytest
import torch

from infinity.quantizers import BSQ, LFQ, VQ, QuantizerConfig, build_quantizer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "fsq"}, "kind must be 'bsq' or 'lfq' or 'vq', got 'fsq'"),
        ({"num_bits": 0}, r"bsq must be in \[1, 128\], got 0"),
        ({"kind": "vq", "num_bits": 17}, r"vq must be in \[1, 16\], got 17.*use kind bsq"),
        ({"kind": "lfq", "num_bits": 32}, r"lfq must be in \[1, 20\], got 32.*use kind bsq"),
        ({"entropy_weight": -0.1}, "entropy_weight must not be negative, got -0.1"),
        ({"inv_temperature": 0.0}, "inv_temperature must be positive, got 0.0"),
        ({"scale_depth_dropout": 1.0}, r"scale_depth_dropout must be in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        QuantizerConfig(**options)


def test_losses_are_weighed_as_in_the_official_training_code() -> None:
    config = QuantizerConfig(
        entropy_weight=0.2, commitment_weight=0.5, diversity_gamma=3.0, inv_temperature=10.0
    )
    losses = {
        "entropy_sample": torch.tensor(4.0),
        "entropy_batch": torch.tensor(1.0),
        "commitment": torch.tensor(6.0),
    }
    assert config.weigh(losses).item() == pytest.approx(0.5 * 6 + 0.2 * (4 - 3 * 1) / 10)
    assert config.weigh(losses | {"codebook": torch.tensor(7.0)}).item() == pytest.approx(3.02 + 7)


@pytest.mark.parametrize(("kind", "quantizer"), [("bsq", BSQ), ("lfq", LFQ), ("vq", VQ)])
def test_kind_chooses_the_quantizer(kind: Any, quantizer: type) -> None:
    assert type(build_quantizer(QuantizerConfig(kind=kind, num_bits=4)).quantizer) is quantizer
