"""Frozen text encoders."""

from __future__ import annotations

from infinity.text.base import TextEncoder
from infinity.text.hashing import HashingTextConfig, HashingTextEncoder

__all__ = ["HashingTextConfig", "HashingTextEncoder", "TextEncoder"]
