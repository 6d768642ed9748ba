from __future__ import annotations

import numpy as np
import pytest

from evaluation.features import RandomConvFeatures
from evaluation.reconstruction import bit_table, evaluate_reconstruction


def images(num: int, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(20, 200, (num, size, size, 3), dtype=np.uint8)


def bits(*sides: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((6, 4, side, side)) < 0.5 for side in sides]


def test_ids_carry_size_extractor_and_number() -> None:
    metrics = evaluate_reconstruction(images(6), images(6) + np.uint8(5), bits(1, 2), RandomConvFeatures(8))
    assert [metric.id for metric in metrics] == [
        "psnr[24px]",
        "ssim[gauss11,24px]",
        "rfid[random-conv-8,seed=0,24px,N=6]",
        "bit_usage[min=0.01,24px]/scale_01",
        "bit_entropy[24px]/scale_01",
        "bit_usage[min=0.01,24px]/scale_02",
        "bit_entropy[24px]/scale_02",
    ]
    assert [metric.direction for metric in metrics[:3]] == ["higher", "higher", "lower"]


def test_a_constant_offset_gives_its_psnr_with_no_spread() -> None:
    psnr, *_ = evaluate_reconstruction(images(6), images(6) + np.uint8(5))
    assert psnr.value == pytest.approx(20 * np.log10(255 / 5))
    assert psnr.ci95 == pytest.approx((psnr.value, psnr.value))
    assert psnr.n == 6


def test_identical_images_are_perfect_and_said_to_be_capped() -> None:
    psnr, ssim, rfid = evaluate_reconstruction(images(6), images(6), extractor=RandomConvFeatures(8))
    assert psnr.value == 100
    assert psnr.note == "6 identical images count 100"
    assert ssim.value == pytest.approx(1)
    assert rfid.value == pytest.approx(0, abs=1e-9)


def test_worse_reconstructions_score_worse() -> None:
    rng = np.random.default_rng(1)
    scores = []
    for noise in (5, 40):
        noisy = np.clip(images(12) + rng.normal(0, noise, (12, 24, 24, 3)), 0, 255).astype(np.uint8)
        scores.append(
            [m.value for m in evaluate_reconstruction(images(12), noisy, (), RandomConvFeatures(8))]
        )
    (psnr, ssim, rfid), (worse_psnr, worse_ssim, worse_rfid) = scores
    assert psnr > worse_psnr
    assert ssim > worse_ssim
    assert rfid < worse_rfid


def test_stand_in_features_are_noted() -> None:
    rfid = evaluate_reconstruction(images(4), images(4), extractor=RandomConvFeatures(8))[-1]
    assert "stand-in" in rfid.note


def test_other_shapes_are_named_width_by_height() -> None:
    wide = images(3)[:, :16]
    assert evaluate_reconstruction(wide, wide)[0].id == "psnr[24x16px]"


def test_the_bit_table_has_a_row_per_scale() -> None:
    table = bit_table(bits(1, 2))
    assert [row[:3] for row in table.rows] == [(1, "1 x 1", 4), (2, "2 x 2", 4)]
