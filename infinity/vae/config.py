"""Configuration of the convolutional tokenizer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from infinity.configs import check_literals
from infinity.quantizers.config import QuantizerConfig

__all__ = ["VAEConfig"]


@dataclass(frozen=True, kw_only=True)
class VAEConfig:
    """Shape of the encoder and decoder; the defaults are the official stride-16 model.

    Args:
        quantizer: the quantizer of every scale.
        base_channels: channels that the multipliers multiply.
        encoder_multipliers: one per level, from full resolution down; a level halves the resolution of the
            next.
        decoder_multipliers: the same for the decoder, also listed from full resolution down.
        num_res_blocks: residual blocks of an encoder level; a decoder level has one more.
        stem_patch: side of the pixel blocks that become channels before the first convolution (and pixels
            again after the last), so that nothing runs at full resolution; 1 in the official model, 2 or 4
            for small images.
        patchify: side of the square of latent cells that makes one token of the transformer; 1 or 2.
    """

    quantizer: QuantizerConfig = field(default_factory=QuantizerConfig)
    base_channels: int = 128
    encoder_multipliers: tuple[int, ...] = (1, 2, 4, 4, 4)
    decoder_multipliers: tuple[int, ...] = (1, 2, 4, 4, 4)
    num_res_blocks: int = 2
    stem_patch: int = 1
    patchify: Literal[1, 2] = 1

    def __post_init__(self) -> None:
        check_literals(self)
        for name in ("encoder_multipliers", "decoder_multipliers"):
            multipliers = tuple(getattr(self, name))
            object.__setattr__(self, name, multipliers)
            if not multipliers or min(multipliers) <= 0:
                raise ValueError(f"{name} must be positive numbers, got {multipliers}")
        if len(self.encoder_multipliers) != len(self.decoder_multipliers):
            raise ValueError(
                "encoder and decoder need the same number of levels, got multipliers "
                f"{self.encoder_multipliers} and {self.decoder_multipliers}"
            )
        for name in ("base_channels", "num_res_blocks", "stem_patch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def num_bits(self) -> int:
        """Bits of one latent cell."""
        return self.quantizer.num_bits

    @property
    def stride(self) -> int:
        """Pixels per side of one latent cell."""
        return self.stem_patch * 2 ** (len(self.encoder_multipliers) - 1)

    @property
    def token_stride(self) -> int:
        """Pixels per side of one token."""
        return self.stride * self.patchify

    @property
    def token_bits(self) -> int:
        """Bits of one token."""
        return self.num_bits * self.patchify**2
