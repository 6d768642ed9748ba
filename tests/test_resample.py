from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.resample import area_down, bilinear_resize, bilinear_up
from tests.tolerances import TOL


def naive_area(x: Tensor, h: int, w: int) -> Tensor:
    """Mean over rows floor(i * H / h) .. ceil((i + 1) * H / h), the same for columns."""
    H, W = x.shape[-2:]
    out = torch.empty(*x.shape[:2], h, w)
    for i in range(h):
        for j in range(w):
            rows = slice(i * H // h, math.ceil((i + 1) * H / h))
            cols = slice(j * W // w, math.ceil((j + 1) * W / w))
            out[:, :, i, j] = x[:, :, rows, cols].mean(dim=(2, 3))
    return out


def naive_bilinear(x: Tensor, h: int, w: int) -> Tensor:
    """Pixel centres at (i + 1/2) / h of the side; outside, the border pixel goes on."""

    def weights(size_in: int, size_out: int) -> Tensor:
        matrix = torch.zeros(size_out, size_in)
        for i in range(size_out):
            position = max((i + 0.5) * size_in / size_out - 0.5, 0.0)
            low = min(int(position), size_in - 1)
            high = min(low + 1, size_in - 1)
            matrix[i, low] += 1 - (position - low)
            matrix[i, high] += position - low
        return matrix

    return weights(x.shape[-2], h) @ x @ weights(x.shape[-1], w).T


SIZES = [((8, 8), (3, 5)), ((6, 4), (1, 1)), ((12, 8), (6, 4)), ((9, 6), (2, 2))]


@pytest.mark.parametrize(("size", "smaller"), SIZES)
def test_area_averages_windows(size: tuple[int, int], smaller: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(area_down(x, smaller), naive_area(x, *smaller), **TOL[torch.float32])


@pytest.mark.parametrize(("size", "smaller"), SIZES)
def test_bilinear_interpolates_between_pixel_centres_both_ways(
    size: tuple[int, int], smaller: tuple[int, int]
) -> None:
    for start, end in ((smaller, size), (size, smaller)):
        x = torch.randn(2, 3, *start)
        torch.testing.assert_close(bilinear_resize(x, end), naive_bilinear(x, *end), **TOL[torch.float32])


@pytest.mark.parametrize("resize", [area_down, bilinear_up, bilinear_resize])
def test_the_same_size_is_the_same_tensor(resize: object) -> None:
    x = torch.randn(1, 2, 5, 3)
    assert callable(resize)
    assert resize(x, (5, 3)) is x


@pytest.mark.parametrize("mode", ["area", "bilinear"])
def test_values_and_gradients_are_those_of_interpolate_also_under_autocast(mode: str) -> None:
    resize, end = (area_down, (3, 2)) if mode == "area" else (bilinear_resize, (10, 16))
    x = torch.randn(2, 3, 8, 5, requires_grad=True)
    slow = F.interpolate(x, size=end, mode=mode)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        fast = resize(x, end)
    torch.testing.assert_close(fast, slow, **TOL[torch.float32])
    weights = torch.randn_like(slow)
    torch.testing.assert_close(
        *(torch.autograd.grad(y, x, weights)[0] for y in (fast, slow)), **TOL[torch.float32]
    )


def test_defaults_that_a_user_sets_do_not_matter() -> None:
    x, size = torch.rand(1, 2, 9, 11), (3, 13)  # of no other test, as matrices are kept
    try:
        torch.set_default_device("meta")
        torch.set_default_dtype(torch.bfloat16)
        resized = bilinear_resize(x, size)
    finally:
        torch.set_default_device(None)
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(resized, F.interpolate(x, size, mode="bilinear"), **TOL[torch.float32])
