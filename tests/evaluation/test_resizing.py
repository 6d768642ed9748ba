"""Each way of resizing is what it says: sampled points, filters, rounding, crops."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch
import torchvision.transforms as T
from PIL import Image

from evaluation.resizing import (
    Filter,
    centre_square,
    pil_bicubic,
    pil_bicubic_unrounded,
    resize_and_crop,
    tf1_bilinear,
)


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def as_tensor(image_HW3: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image_HW3).permute(2, 0, 1)[None].contiguous()


def zone_plate(side: int) -> np.ndarray:
    """Circles that get finer outwards, up to the finest that pixels can show."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    gray = np.rint(127.5 + 127.5 * np.cos(np.pi * side / 4 * (x**2 + y**2))).astype(np.uint8)
    return np.repeat(gray[..., None], 3, axis=2)


def test_tensorflow_1_takes_pixels_at_multiples_of_the_scale() -> None:
    """Output i lies at i * 5 / 299 of the input: no half pixels, no antialiasing, edges repeated."""
    source = image(5, 7).astype(np.float64)

    def axis(size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        place = np.arange(299) * (size / 299)
        low = np.floor(place).astype(int)
        return low, np.minimum(low + 1, size - 1), place - low

    (y0, y1, v), (x0, x1, u) = axis(5), axis(7)
    u, v = u[None, :, None], v[:, None, None]
    top = source[y0][:, x0] * (1 - u) + source[y0][:, x1] * u
    bottom = source[y1][:, x0] * (1 - u) + source[y1][:, x1] * u
    expected = top * (1 - v) + bottom * v
    actual = tf1_bilinear(as_tensor(image(5, 7)), 299)[0].permute(1, 2, 0).double().numpy()
    np.testing.assert_allclose(actual, expected, atol=1e-2)  # 8-bit values in float32


def test_tensorflow_1_leaves_299_pixels_alone() -> None:
    pixels = as_tensor(image(299, 299))
    torch.testing.assert_close(tf1_bilinear(pixels, 299), pixels.float(), rtol=0, atol=0)


def test_antialiased_filters_grey_fine_patterns_out_and_tensorflow_folds_them() -> None:
    """Of a checkerboard of single pixels halved: the mean, or one of the two colours everywhere."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    pixels = as_tensor(np.repeat(board[..., None], 3, axis=2))
    middle = slice(4, -4)
    assert (tf1_bilinear(pixels, 32) == 0).all()
    for resized in (pil_bicubic(pixels, 32), pil_bicubic_unrounded(pixels, 32)):
        np.testing.assert_allclose(resized[..., middle, middle], 127.5, atol=1)


def test_antialiased_filters_lose_the_energy_that_pixels_cannot_show() -> None:
    pixels = as_tensor(zone_plate(128))
    energies = [
        float(resize(pixels, 32).var()) for resize in (tf1_bilinear, pil_bicubic, pil_bicubic_unrounded)
    ]
    assert energies[0] > 3 * max(energies[1:])


def test_rounded_and_unrounded_differ_by_rounding_alone() -> None:
    pixels = as_tensor(image(40, 60) // 4 + 90)  # a range without clipping
    rounded, exact = pil_bicubic(pixels, 57), pil_bicubic_unrounded(pixels, 57)
    assert (rounded == rounded.round()).all()
    assert not (exact == exact.round()).all()
    torch.testing.assert_close(rounded, exact, rtol=0, atol=1.3)  # every axis is rounded once


def test_unrounded_values_may_overshoot() -> None:
    exact = pil_bicubic_unrounded(as_tensor(image(40, 60) // 128 * 255), 57)
    assert exact.min() < 0
    assert exact.max() > 255


@pytest.mark.parametrize("filter", ["bilinear", "bicubic", "lanczos"])
@pytest.mark.parametrize(("height", "width"), [(100, 163), (163, 100), (70, 70), (31, 500)])
def test_square_crops_are_torchvisions(filter: Filter, height: int, width: int) -> None:
    source = image(height, width)
    mode = {"bilinear": 2, "bicubic": 3, "lanczos": 1}[filter]
    steps = T.Compose([T.Resize(64, T.functional._interpolation_modes_from_int(mode)), T.CenterCrop(64)])
    expected = np.asarray(steps(Image.fromarray(source)))
    np.testing.assert_array_equal(resize_and_crop(source, 64, 64, filter), expected)


@pytest.mark.parametrize(("height", "width"), [(48, 80), (80, 48), (64, 64), (33, 71)])
def test_crops_of_other_shapes_cover_and_keep_the_ratio(height: int, width: int) -> None:
    """A ramp to the right stays a ramp whose middle is in the middle."""
    ramp = np.repeat(np.linspace(0, 255, 200).astype(np.uint8)[None, :, None], 120, axis=0).repeat(3, axis=2)
    crop = resize_and_crop(ramp, height, width, "bilinear")
    assert crop.shape == (height, width, 3)
    scale = max(height / 120, width / 200)
    np.testing.assert_allclose(crop.mean(), 127.5, atol=2)
    assert np.ptp(crop[0, :, 0]) == pytest.approx(255 * width / (200 * scale), abs=6)


def test_a_half_is_rounded_up() -> None:
    pixels = as_tensor(np.repeat(np.array([[[0], [1]], [[0], [1]]], dtype=np.uint8), 3, axis=2))
    assert (pil_bicubic(pixels, 1) == 1).all()
    assert (pil_bicubic_unrounded(pixels, 1) == 0.5).all()


def test_an_image_of_the_size_is_not_touched() -> None:
    source = image(20, 30)
    assert resize_and_crop(source, 20, 30, "lanczos") is source


def test_the_middle_square_is_cut_as_cmmd_does() -> None:
    pixels = as_tensor(image(4, 9))
    torch.testing.assert_close(centre_square(pixels), pixels[..., 2:6])


def test_resized_pixels_stay_what_they_were() -> None:
    """Recorded once; another Pillow or PyTorch that resizes otherwise would change every metric."""
    source = image(40, 60)
    made = {
        "tf1": tf1_bilinear(as_tensor(source), 31).round().byte().numpy(),
        "bicubic": pil_bicubic(as_tensor(source), 31).byte().numpy(),
        "unrounded": pil_bicubic_unrounded(as_tensor(source), 31).round().clamp(0, 255).byte().numpy(),
        **{filter: resize_and_crop(source, 32, 32, filter) for filter in ("bilinear", "lanczos")},
    }
    hashes = {name: hashlib.sha256(pixels.tobytes()).hexdigest()[:8] for name, pixels in made.items()}
    assert hashes == {
        "tf1": "b1b6c0c2",
        "bicubic": "185d5222",
        "unrounded": "3be7e233",
        "bilinear": "ee1a477c",
        "lanczos": "c4bfd676",
    }
