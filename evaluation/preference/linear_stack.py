"""The head of ImageReward and of LAION's aesthetic predictor: linear layers with nothing between them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["LinearStack"]

_WIDTHS = (1024, 128, 64, 16, 1)


class LinearStack(nn.Module):
    """Five linear layers without activations, with the published checkpoints' keys (``layers.0.weight`` ..).

    The gaps in the numbers are the dropout layers of training.
    """

    def __init__(self, width: int = 768) -> None:
        super().__init__()
        widths = (width, *_WIDTHS)
        linears = [nn.Linear(before, after) for before, after in zip(widths, widths[1:], strict=False)]
        dropouts = [nn.Dropout(0.2), nn.Dropout(0.2), nn.Dropout(0.1)]
        self.layers = nn.Sequential(
            *(layer for pair in zip(linears, dropouts, strict=False) for layer in pair), *linears[3:]
        )

    def forward(self, features_BC: Tensor) -> Tensor:
        """Scores (B,) of features."""
        return self.layers(features_BC)[:, 0]

    @torch.no_grad()
    def folded(self) -> tuple[Tensor, Tensor]:
        """The one affine map that it is in evaluation: weights (C,) and bias ()."""
        width = self.layers[0].in_features
        bias = self(torch.zeros(1, width))[0]
        return self(torch.eye(width)) - bias, bias
