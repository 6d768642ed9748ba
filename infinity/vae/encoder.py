"""From pixels to continuous features."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from infinity.vae.blocks import Downsample, ResBlock, conv3x3, group_norm
from infinity.vae.config import VAEConfig

__all__ = ["Encoder"]


class Encoder(nn.Module):
    """Convolutional pyramid down to one feature vector per latent cell."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.stem_patch = config.stem_patch
        widths = [config.base_channels * multiplier for multiplier in config.encoder_multipliers]
        self.conv_in = conv3x3(3 * config.stem_patch**2, config.base_channels)
        self.levels = nn.ModuleList()
        channels = config.base_channels
        for i, width in enumerate(widths):
            level = nn.Sequential()
            for _ in range(config.num_res_blocks):
                level.append(ResBlock(channels, width))
                channels = width
            if i < len(widths) - 1:
                level.append(Downsample(width))
            self.levels.append(level)
        self.middle = nn.Sequential(ResBlock(channels, channels), ResBlock(channels, channels))
        self.norm_out = group_norm(channels)
        self.conv_out = conv3x3(channels, config.num_bits)

    def forward(self, images_B3HW: Tensor) -> Tensor:
        x_BCHW = self.conv_in(F.pixel_unshuffle(images_B3HW, self.stem_patch))
        for level in self.levels:
            x_BCHW = level(x_BCHW)
        return self.conv_out(F.silu(self.norm_out(self.middle(x_BCHW))))
