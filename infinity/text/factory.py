"""Text encoders by configuration."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from infinity.configs import check_literals
from infinity.text.base import TextEncoder
from infinity.text.hashing import HashingTextConfig, HashingTextEncoder
from infinity.text.huggingface import HuggingFaceTextConfig, HuggingFaceTextEncoder

__all__ = ["TextEncoderConfig", "build_text_encoder"]


@dataclass(frozen=True, kw_only=True)
class TextEncoderConfig:
    """Which text encoder; only the part that `kind` names is used.

    Args:
        kind: "hashing" needs no weights, "huggingface" is a pretrained one.
    """

    kind: Literal["hashing", "huggingface"] = "hashing"
    hashing: HashingTextConfig = field(default_factory=HashingTextConfig)
    huggingface: HuggingFaceTextConfig = field(default_factory=HuggingFaceTextConfig)

    def __post_init__(self) -> None:
        check_literals(self)


def build_text_encoder(config: TextEncoderConfig) -> TextEncoder:
    """Build (and, where it has weights, load) the encoder that a configuration names."""
    if config.kind == "hashing":
        return HashingTextEncoder(config.hashing)
    return HuggingFaceTextEncoder(config.huggingface)
