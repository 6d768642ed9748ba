from __future__ import annotations

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from evaluation.metrics.image_pairs import PSNR_CAP, psnr_per_image, ssim_per_image


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


def test_arrays_that_do_not_pair_are_refused() -> None:
    with pytest.raises(ValueError, match="one shape"):
        psnr_per_image(images(2), images(3))
    with pytest.raises(ValueError, match="uint8"):
        psnr_per_image(images(2) / 255, images(2) / 255)
    with pytest.raises(ValueError, match="at least 11"):
        ssim_per_image(images(1, shape=(8, 8)), images(1, shape=(8, 8)))
