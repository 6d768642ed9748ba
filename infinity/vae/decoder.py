"""From summed codes back to pixels."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from infinity.vae.blocks import ResBlock, Upsample, conv3x3, group_norm
from infinity.vae.config import VAEConfig

__all__ = ["Decoder"]


class Decoder(nn.Module):
    """Convolutional pyramid up to pixels; `levels` run from the coarsest to full resolution."""

    def __init__(self, config: VAEConfig) -> None:
        super().__init__()
        self.stem_patch = config.stem_patch
        widths = [config.base_channels * multiplier for multiplier in reversed(config.decoder_multipliers)]
        channels = widths[0]
        self.conv_in = conv3x3(config.num_bits, channels)
        self.middle = nn.Sequential(ResBlock(channels, channels), ResBlock(channels, channels))
        self.levels = nn.ModuleList()
        for i, width in enumerate(widths):
            level = nn.Sequential()
            for _ in range(config.num_res_blocks + 1):
                level.append(ResBlock(channels, width))
                channels = width
            if i < len(widths) - 1:
                level.append(Upsample(width))
            self.levels.append(level)
        self.norm_out = group_norm(channels)
        self.conv_out = conv3x3(channels, 3 * config.stem_patch**2)

    def forward(self, features_BDHW: Tensor) -> Tensor:
        x_BCHW = self.middle(self.conv_in(features_BDHW))
        for level in self.levels:
            x_BCHW = level(x_BCHW)
        return F.pixel_shuffle(self.conv_out(F.silu(self.norm_out(x_BCHW))), self.stem_patch)
