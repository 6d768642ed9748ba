from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
)

from evaluation.metrics.image_pairs import (
    PSNR_CAP,
    ms_ssim_per_image,
    psnr_per_image,
    ssim_per_image,
)


def images(num: int, seed: int = 0, shape: tuple[int, int] = (24, 20)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num, *shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("offset", [1, 5, 40])
def test_a_constant_offset_has_a_closed_form_psnr(offset: int) -> None:
    x = images(2) // 2
    expected = 20 * np.log10(255 / offset)
    np.testing.assert_allclose(psnr_per_image(x, x + np.uint8(offset)), expected, rtol=1e-12)


def test_psnr_is_taken_per_image_before_any_mean() -> None:
    x = images(2) // 2
    y = np.stack([x[0] + np.uint8(1), x[1] + np.uint8(100)])
    assert psnr_per_image(x, y).tolist() == pytest.approx([20 * np.log10(255), 20 * np.log10(2.55)])


def test_identical_images_get_the_cap() -> None:
    assert psnr_per_image(images(3), images(3)).tolist() == [PSNR_CAP] * 3
    np.testing.assert_allclose(ssim_per_image(images(3), images(3)), 1, rtol=1e-12)


def test_ssim_of_constant_images_has_a_closed_form() -> None:
    a, b = 60.0, 200.0
    x, y = (np.full((1, 16, 16, 3), value, np.uint8) for value in (a, b))
    c1 = (0.01 * 255) ** 2
    expected = (2 * a * b + c1) / (a * a + b * b + c1)
    np.testing.assert_allclose(ssim_per_image(x, y), expected, rtol=1e-10)


def test_ssim_agrees_with_scikit_image_where_windows_fit() -> None:
    x = images(1, shape=(32, 28))
    y = np.clip(x.astype(int) + np.random.default_rng(1).normal(0, 30, x.shape), 0, 255).astype(np.uint8)
    knobs = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, map_HW3 = structural_similarity(x[0], y[0], channel_axis=2, full=True, **knobs)
    np.testing.assert_allclose(ssim_per_image(x, y), map_HW3[5:-5, 5:-5].mean(), rtol=1e-9)


def test_ms_ssim_of_constant_images_is_the_luminance_of_the_coarsest_scale() -> None:
    """Contrast and structure are 1 at all scales, luminance counts at the last one, to the power 0.1333."""
    a, b = 60.0, 200.0
    x, y = (np.full((1, 192, 176, 3), value, np.uint8) for value in (a, b))
    c1 = (0.01 * 255) ** 2
    expected = ((2 * a * b + c1) / (a * a + b * b + c1)) ** 0.1333
    np.testing.assert_allclose(ms_ssim_per_image(x, y), expected, rtol=1e-6)


def test_ms_ssim_agrees_with_torchmetrics_and_scikit_image() -> None:
    """Of every channel: torchmetrics' contrasts of four scales, scikit-image's SSIM of the fifth.

    That where windows fit: torchmetrics lets those of the fifth scale reach over the border, which changes
    the last digits.
    """
    rng = np.random.default_rng(1)
    smooth = np.kron(images(1, shape=(23, 23))[0], np.ones((8, 8, 1))).astype(np.uint8)[None, :, :177]
    noisy = np.clip(smooth + rng.normal(0, (10, 60, 150), smooth.shape), 0, 255).astype(np.uint8)
    x, y = (torch.from_numpy(image).permute(3, 0, 1, 2).float() for image in (smooth, noisy))
    theirs = multiscale_structural_similarity_index_measure(x, y, data_range=255.0, normalize="relu")
    expected_3 = np.ones(3)
    for weight in (0.0448, 0.2856, 0.3001, 0.2363):
        _, contrast = structural_similarity_index_measure(
            x, y, data_range=255.0, reduction="none", return_contrast_sensitivity=True
        )
        expected_3 *= contrast.numpy() ** weight
        x, y = (torch.nn.functional.avg_pool2d(image, 2) for image in (x, y))
    knobs = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    _, map_3HW = structural_similarity(x[:, 0].numpy(), y[:, 0].numpy(), channel_axis=0, full=True, **knobs)
    expected_3 *= map_3HW[:, 5:-5, 5:-5].mean(axis=(1, 2)) ** 0.1333
    assert np.ptp(expected_3) > 0.2, "channels differ"
    np.testing.assert_allclose(ms_ssim_per_image(smooth, noisy), expected_3.mean(), rtol=1e-5)
    np.testing.assert_allclose(ms_ssim_per_image(smooth, noisy), theirs.item(), rtol=2e-3)


def test_opposite_images_have_no_negative_ms_ssim() -> None:
    x = np.kron(images(1, shape=(22, 22))[0], np.ones((8, 8, 1))).astype(np.uint8)[None]
    assert ms_ssim_per_image(x, 255 - x).tolist() == [0]


def test_ms_ssim_needs_images_that_can_be_halved_four_times() -> None:
    with pytest.raises(ValueError, match="at least 176 pixels"):
        ms_ssim_per_image(images(1, shape=(175, 200)), images(1, shape=(175, 200)))


def test_arrays_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        psnr_per_image(images(2), images(3))
    with pytest.raises(ValueError, match="uint8"):
        psnr_per_image(images(2) / 255, images(2) / 255)
    with pytest.raises(ValueError, match="at least 11"):
        ssim_per_image(images(1, shape=(8, 8)), images(1, shape=(8, 8)))
