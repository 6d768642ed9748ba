"""Frozen text encoders."""

from __future__ import annotations

from infinity.text.base import TextEncoder
from infinity.text.factory import TextEncoderConfig, build_text_encoder
from infinity.text.hashing import HashingTextConfig, HashingTextEncoder
from infinity.text.huggingface import HuggingFaceTextConfig, HuggingFaceTextEncoder

__all__ = [
    "HashingTextConfig",
    "HashingTextEncoder",
    "HuggingFaceTextConfig",
    "HuggingFaceTextEncoder",
    "TextEncoder",
    "TextEncoderConfig",
    "build_text_encoder",
]
