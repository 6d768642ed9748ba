"""PSNR, SSIM and MS-SSIM of image pairs, per image, on uint8 pixels as they would be saved."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import correlate1d

__all__ = ["MS_SSIM_SIDE", "PSNR_CAP", "ms_ssim_per_image", "psnr_per_image", "ssim_per_image"]

PSNR_CAP = 100.0
"""Decibels given to identical images, whose PSNR is infinite."""

SSIM_SIDE, SSIM_SIGMA = 11, 1.5

MS_SSIM_SIDE = 16 * SSIM_SIDE
"""MS-SSIM needs sides from this on: halved four times, the window has to fit."""

_MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def psnr_per_image(images_NHW3: np.ndarray, others_NHW3: np.ndarray) -> np.ndarray:
    """``20 log10(255 / RMSE)`` over all pixels and channels of each image: float64 (N,), at most PSNR_CAP."""
    _check(images_NHW3, others_NHW3)
    errors = [
        np.square(a.astype(np.float64) - b).mean() for a, b in zip(images_NHW3, others_NHW3, strict=True)
    ]
    with np.errstate(divide="ignore"):
        return np.minimum(10 * np.log10(255.0**2 / np.array(errors)), PSNR_CAP)


def ssim_per_image(images_NHW3: np.ndarray, others_NHW3: np.ndarray) -> np.ndarray:
    """Structural similarity of each image: float64 (N,), the mean over RGB channels and pixels.

    11 x 11 Gaussian window of sigma 1.5, only where it fits, K = (0.01, 0.03), range 255: the convention
    of Wang et al. and pytorch_msssim. scikit-image's default (7 x 7 uniform) gives other numbers.
    """
    _check(images_NHW3, others_NHW3)
    if min(images_NHW3.shape[1:3]) < SSIM_SIDE:
        raise ValueError(f"SSIM needs images of at least {SSIM_SIDE} pixels a side, got {images_NHW3.shape}")
    values = []
    for image, other in zip(images_NHW3, others_NHW3, strict=True):
        luminance, contrast = _similarity(image.astype(np.float64), other.astype(np.float64))
        values.append((luminance * contrast).mean())
    return np.array(values)


def ms_ssim_per_image(images_NHW3: np.ndarray, others_NHW3: np.ndarray) -> np.ndarray:
    """Multi-scale structural similarity of each image (Wang et al. 2003): float64 (N,).

    Contrast and structure at five scales (2 x 2 pixels averaged for the next one), luminance at the last one,
    with the windows of :func:`ssim_per_image`; means are over pixels, and negative ones count 0. Channels are
    images of their own until the end, as in pytorch_msssim.
    """
    _check(images_NHW3, others_NHW3)
    if min(images_NHW3.shape[1:3]) < MS_SSIM_SIDE:
        raise ValueError(
            f"MS-SSIM needs images of at least {MS_SSIM_SIDE} pixels a side, got {images_NHW3.shape}"
        )
    values = []
    for image, other in zip(images_NHW3, others_NHW3, strict=True):
        x, y, value_3 = image.astype(np.float64), other.astype(np.float64), np.ones(3)
        for scale, weight in enumerate(_MS_SSIM_WEIGHTS, start=1):
            luminance, contrast = _similarity(x, y)
            if scale == len(_MS_SSIM_WEIGHTS):
                contrast = luminance * contrast
            value_3 *= np.maximum(contrast.mean(axis=(0, 1)), 0) ** weight
            x, y = _halved(x), _halved(y)
        values.append(value_3.mean())
    return np.array(values)


def _similarity(x_HW3: np.ndarray, y_HW3: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Similarity of luminance, and of contrast and structure, where the window fits."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    mean_x, mean_y = _window(x_HW3), _window(y_HW3)
    var_x, var_y = _window(x_HW3 * x_HW3) - mean_x**2, _window(y_HW3 * y_HW3) - mean_y**2
    covariance = _window(x_HW3 * y_HW3) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    return luminance, (2 * covariance + c2) / (var_x + var_y + c2)


def _halved(image_HW3: np.ndarray) -> np.ndarray:
    height, width = (side // 2 for side in image_HW3.shape[:2])
    even = image_HW3[: 2 * height, : 2 * width]
    return even.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))


def _window(image_HW3: np.ndarray) -> np.ndarray:
    offsets = np.arange(SSIM_SIDE) - SSIM_SIDE // 2
    weights = np.exp(-(offsets**2) / (2 * SSIM_SIGMA**2))
    weights /= weights.sum()
    inner = np.s_[SSIM_SIDE // 2 : -(SSIM_SIDE // 2)]
    return correlate1d(correlate1d(image_HW3, weights, axis=0)[inner], weights, axis=1)[:, inner]


def _check(images: np.ndarray, others: np.ndarray) -> None:
    if images.shape != others.shape or images.ndim != 4 or images.shape[3] != 3:
        raise ValueError(
            f"expected two arrays (N, H, W, 3) of one shape, got {images.shape} and {others.shape}"
        )
    if images.dtype != np.uint8 or others.dtype != np.uint8:
        raise ValueError(
            f"expected uint8 images, got {images.dtype} and {others.dtype}; quantise as for saving"
        )
