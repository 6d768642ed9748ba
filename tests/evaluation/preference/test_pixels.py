"""Two ways to resize, each as its scorer's own code does it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import open_clip
import torch
from PIL import Image

from evaluation.preference.pixels import pillow_pixels, tensor_pixels
from tests.evaluation.preference.samples import formula_image
from tests.tolerances import TOL

SIZES = json.loads(Path(__file__).with_name("image_reward.json").read_text(encoding="utf-8"))["sizes"]

# corner, one pixel in the middle, lowest, highest value: `image_transform(32, is_train=False)` of
# tgxs002/HPSv2 (commit 866735e) with torchvision 0.29.1
# fmt: off
HPS = (
    ((-1.7922626, -1.7520971, -1.4802198),
     (0.9376432, 0.4390371, 0.0128872), -1.7922626, 2.1458969),
    ((-1.2119282, 0.9595714, 0.0308391),
     (-0.4998009, 0.5285385, 0.1739584), -1.6807399, 2.0368011),
    ((-1.5884981, -0.2025168, 1.1619806),
     (0.1030674, 0.7475553, -0.1748230), -1.7951412, 2.5343194),
)
# fmt: on


def test_pillow_pixels_are_those_of_clip() -> None:
    transform = open_clip.image_transform(32, is_train=False)
    for number, size in enumerate(SIZES):
        image = formula_image(number, *size)
        assert torch.equal(pillow_pixels(image, 32), transform(Image.fromarray(image)))


def test_tensor_pixels_are_those_of_hpsv2() -> None:
    for number, (size, (corner, middle, low, high)) in enumerate(zip(SIZES, HPS, strict=True)):
        pixels_3HW = tensor_pixels(formula_image(number, *size), 32)
        assert pixels_3HW.shape == (3, 32, 32)
        for actual, expected in (
            (pixels_3HW[:, 0, 0], corner),
            (pixels_3HW[:, 17, 5], middle),
            (pixels_3HW.min(), low),
            (pixels_3HW.max(), high),
        ):
            torch.testing.assert_close(actual, torch.tensor(expected), **TOL[torch.float32])


def test_only_bytes_are_clipped() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:, 32:] = 255  # bicubic filters overshoot at an edge
    white = pillow_pixels(image, 48).amax()
    assert tensor_pixels(image, 48).amax() > white + 0.01
