"""Features of images without any weights."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from evaluation.features import features_in_batches


class RandomConvFeatures:
    """A :class:`evaluation.features.FeatureExtractor`: pooled responses of fixed random convolutions."""

    is_stand_in = True

    def __init__(self, width: int = 32, seed: int = 0) -> None:
        self.id = f"random-conv-{width},seed={seed}"
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self._net = nn.Sequential(
                nn.Conv2d(3, width, 5, stride=2), nn.ReLU(), nn.Conv2d(width, width, 5, stride=2), nn.ReLU()
            ).eval()

    def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
        return features_in_batches(
            images_NHW3, lambda images: self._net(images.float() / 127.5 - 1).mean(dim=(2, 3))
        )
