"""Patch discriminator: a small convolutional net that judges overlapping patches (arXiv 1611.07004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from infinity.configs import check_literals

__all__ = ["DiscriminatorConfig", "PatchDiscriminator"]


@dataclass(frozen=True, kw_only=True)
class DiscriminatorConfig:
    """Size of the discriminator.

    Args:
        channels: channels of the first layer; they double per layer, up to eight times.
        num_layers: stride-2 layers; each doubles the side of a patch (3 layers see 70 x 70 pixels).
        norm: "group" normalises activations, "spectral" the weights. Neither mixes the samples of a batch.
    """

    channels: int = 64
    num_layers: int = 3
    norm: Literal["group", "spectral"] = "group"

    def __post_init__(self) -> None:
        check_literals(self)
        if self.num_layers < 1:
            raise ValueError(f"discriminator num_layers must be at least 1, got {self.num_layers}")
        if self.channels < 1 or (self.norm == "group" and self.channels % 8):
            raise ValueError(f"discriminator channels must be a positive multiple of 8, got {self.channels}")


class PatchDiscriminator(nn.Module):
    """Images (B, 3, H, W) in [-1, 1] to one logit per patch: (B, 1, h, w); positive means real."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = [_conv(3, config.channels, stride=2), nn.LeakyReLU(0.2)]
        channels = config.channels
        for i in range(1, config.num_layers + 1):
            width = config.channels * min(2**i, 8)
            conv = _conv(channels, width, stride=2 if i < config.num_layers else 1)
            if config.norm == "spectral":
                layers += [spectral_norm(conv), nn.LeakyReLU(0.2)]
            else:
                layers += [conv, nn.GroupNorm(8, width), nn.LeakyReLU(0.2)]
            channels = width
        self.layers = nn.Sequential(*layers, _conv(channels, 1, stride=1))

    def forward(self, images_B3HW: Tensor) -> Tensor:
        """Judge every patch."""
        return self.layers(images_B3HW)


def _conv(in_channels: int, out_channels: int, stride: int) -> nn.Conv2d:
    """A 4 x 4 convolution with pix2pix's initial weights, set before spectral norm takes them over."""
    conv = nn.Conv2d(in_channels, out_channels, 4, stride=stride, padding=1)
    nn.init.normal_(conv.weight, std=0.02)
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)
    return conv
