from __future__ import annotations

import numpy as np
import pytest

from evaluation.features import FeatureExtractor
from evaluation.metrics.bits import BitCounts
from evaluation.reconstruction import ReconstructionScores
from evaluation.results import MetricValue
from tests.evaluation.random_features import RandomConvFeatures


def images(num: int, size: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(20, 200, (num, size, size, 3), dtype=np.uint8)


def bits(num: int, *sides: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.random((num, 4, side, side)) < 0.5 for side in sides]


def scored(
    originals: np.ndarray, recons: np.ndarray, extractor: FeatureExtractor | None = None
) -> list[MetricValue]:
    scores = ReconstructionScores(extractor)
    scores.add(originals, recons)
    return scores.metrics()


def test_ids_carry_size_extractor_and_number() -> None:
    scores = ReconstructionScores(RandomConvFeatures(8))
    scores.add(images(6), images(6) + np.uint8(5))
    scores.add_bits(list(map(BitCounts.of, bits(6, 1, 2))))
    metrics = scores.metrics()
    assert [metric.id for metric in metrics] == [
        "psnr[24px,N=6]",
        "ssim[gauss11,24px,N=6]",
        "rfrechet[random-conv-8,seed=0,24px,N=6]",
        "bit_usage[min=0.01,24px,N=6]/scale_01",
        "bit_entropy[24px,N=6]/scale_01",
        "bit_usage[min=0.01,24px,N=6]/scale_02",
        "bit_entropy[24px,N=6]/scale_02",
    ]
    assert [metric.direction for metric in metrics[:3]] == ["higher", "higher", "lower"]
    assert {metric.n for metric in metrics} == {6}


def test_large_images_are_also_compared_at_several_scales() -> None:
    (metric,) = [m for m in scored(images(2, 176), images(2, 176)) if m.id.startswith("ms_ssim")]
    assert (metric.id, metric.value, metric.n) == ("ms_ssim[gauss11,5 scales,176px,N=2]", pytest.approx(1), 2)


@pytest.mark.parametrize("num", [7, 40], ids=["fewer images than features", "more"])
def test_scores_of_batches_are_those_of_all_images_at_once(num: int) -> None:
    recons, per_scale = images(num)[::-1], bits(num, 1, 2)
    whole, parts = (ReconstructionScores(RandomConvFeatures(8), num_shown=5) for _ in range(2))
    whole.add(images(num), recons)
    whole.add_bits(list(map(BitCounts.of, per_scale)))
    for batch in np.split(np.arange(num), [3, 4]):
        parts.add(images(num)[batch], recons[batch])
        parts.add_bits([BitCounts.of(scale[batch]) for scale in per_scale])
    for one, other in zip(whole.metrics(), parts.metrics(), strict=True):
        assert (one.id, one.n) == (other.id, other.n)
        assert one.value == pytest.approx(other.value, rel=1e-6)  # of convolutions over other batches
        assert one.ci95 == other.ci95
    assert whole.tables() == parts.tables()
    np.testing.assert_array_equal(whole.shown, parts.shown)
    np.testing.assert_array_equal(whole.shown, list(zip(images(num)[:5], recons[:5], strict=True)))


def test_a_constant_offset_gives_its_psnr_with_no_spread() -> None:
    psnr, *_ = scored(images(6), images(6) + np.uint8(5))
    assert psnr.value == pytest.approx(20 * np.log10(255 / 5))
    assert psnr.ci95 == pytest.approx((psnr.value, psnr.value))
    assert psnr.n == 6


def test_one_image_gives_no_interval_and_no_distance() -> None:
    metrics = scored(images(1), images(1) + np.uint8(5), RandomConvFeatures(8))
    assert [metric.id for metric in metrics] == ["psnr[24px,N=1]", "ssim[gauss11,24px,N=1]"]
    assert [metric.ci95 for metric in metrics] == [None, None]


def test_identical_images_are_perfect_and_said_to_be_capped() -> None:
    psnr, ssim, rfid = scored(images(6), images(6), RandomConvFeatures(8))
    assert psnr.value == 100
    assert psnr.note == "6 identical images count 100"
    assert ssim.value == pytest.approx(1)
    assert rfid.value == pytest.approx(0, abs=1e-9)


def test_worse_reconstructions_score_worse() -> None:
    rng = np.random.default_rng(1)
    scores = []
    for noise in (5, 40):
        noisy = np.clip(images(12) + rng.normal(0, noise, (12, 24, 24, 3)), 0, 255).astype(np.uint8)
        scores.append([metric.value for metric in scored(images(12), noisy, RandomConvFeatures(8))])
    (psnr, ssim, rfid), (worse_psnr, worse_ssim, worse_rfid) = scores
    assert psnr > worse_psnr
    assert ssim > worse_ssim
    assert rfid < worse_rfid


def test_stand_in_features_are_noted() -> None:
    assert "stand-in" in scored(images(4), images(4), RandomConvFeatures(8))[-1].note


def test_other_shapes_are_named_width_by_height() -> None:
    wide = images(3)[:, :16]
    assert scored(wide, wide)[0].id == "psnr[24x16px,N=3]"


def test_images_of_another_size_are_scored_apart() -> None:
    scores = ReconstructionScores()
    scores.add(images(3), images(3))
    with pytest.raises(ValueError, match=r"one size, got \(24, 24, 3\) and \(16, 24, 3\)"):
        scores.add(images(3)[:, :16], images(3)[:, :16])


def test_the_table_of_bits_has_a_row_per_scale() -> None:
    scores = ReconstructionScores()
    scores.add(images(6), images(6))
    assert scores.tables() == {}
    scores.add_bits(list(map(BitCounts.of, bits(6, 1, 2))))
    (table,) = scores.tables().values()
    assert [row[:3] for row in table.rows] == [(1, "1 x 1", 4), (2, "2 x 2", 4)]
