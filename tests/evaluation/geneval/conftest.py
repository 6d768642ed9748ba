"""Small stand-ins for GenEval's networks: a Mask2Former of few channels, a CLIP that sees mean colours."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.geneval.mmdet_keys import UNUSED, mmdet_rules
from evaluation.preference.pixels import pillow_pixels
from infinity.checkpoints.keymap import invert_rules

RGB = {
    "red": (220, 20, 30),
    "orange": (255, 140, 0),
    "yellow": (250, 230, 20),
    "green": (20, 160, 40),
    "blue": (20, 80, 225),
    "purple": (140, 30, 150),
    "pink": (255, 150, 190),
    "brown": (120, 70, 30),
    "black": (10, 10, 10),
    "white": (250, 250, 250),
}


class MeanColorClip:
    """Embeds an image as its mean colour, and a phrase as the anchor of its colour."""

    knobs = "mean-color"
    image_size = 16

    def __init__(self) -> None:
        self.num_images = 0
        self.phrases: list[str] = []

    def encode_images(self, pixels_B3HW: Tensor) -> Tensor:
        self.num_images += len(pixels_B3HW)
        black, white = (pillow_pixels(np.full((16, 16, 3), v, np.uint8), 16) for v in (0, 255))
        images = 255 * (pixels_B3HW - black) / (white - black)
        return torch.stack([_embed(color) for color in images.mean(dim=(2, 3)).numpy()])

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.phrases += texts
        words = [text.removeprefix("a photo of a ").split()[0].removesuffix("-colored") for text in texts]
        return torch.stack([_embed(RGB[word]) for word in words])


def _embed(rgb: Any) -> Tensor:
    """Points near a pole of the sphere: the nearest direction is the nearest colour."""
    point = np.array([*(np.asarray(rgb, float) / 255 - 0.5), 4.0], np.float32)
    return torch.from_numpy(point / np.linalg.norm(point))


@pytest.fixture
def clip() -> MeanColorClip:
    return MeanColorClip()


@pytest.fixture
def tiny_net() -> Any:
    """Mask2Former with a Swin backbone, with few channels and layers."""
    transformers = pytest.importorskip("transformers")
    swin = transformers.SwinConfig(
        embed_dim=32, depths=(2,) * 4, num_heads=(1, 2, 4, 8), out_features=[f"stage{i}" for i in range(1, 5)]
    )
    config = transformers.Mask2FormerConfig(
        backbone_config=swin,
        num_labels=80,
        feature_size=64,
        mask_feature_size=64,
        hidden_dim=64,
        encoder_feedforward_dim=96,
        dim_feedforward=128,
        encoder_layers=2,
        decoder_layers=4,
        num_queries=10,
    )
    return transformers.Mask2FormerForUniversalSegmentation(config).eval()


def to_mmdet(net: Any) -> dict[str, Tensor]:
    """A network's state dict under MMDetection's names."""
    state = {name: value for name, value in net.state_dict().items() if name not in UNUSED}
    return invert_rules(mmdet_rules(net), state)


def runs_to_mask(runs: Mapping[str, Any]) -> np.ndarray:
    """The mask (H, W) of COCO's run lengths, which go down the columns and begin with zeros."""
    values = np.arange(len(runs["counts"])) % 2 == 1
    return np.repeat(values, runs["counts"]).reshape(runs["size"], order="F")


def mmdet_weights(like: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights that follow from their names alone, as they were given to MMDetection's own network too."""
    return {
        name: _weights(name, tuple(old.shape)) if old.is_floating_point() else old
        for name, old in like.items()
    }


def _weights(name: str, shape: tuple[int, ...]) -> Tensor:
    drawn = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape, dtype=np.float32)
    if len(shape) == 1:
        return torch.from_numpy(np.float32(0.1) * drawn + np.float32(name.endswith("weight")))
    return torch.from_numpy(drawn * np.float32(2 / np.sqrt(drawn[0].size)))
