"""The bitwise autoregressive transformer."""

from __future__ import annotations

from infinity.transformer.config import PRESETS, InfinityConfig
from infinity.transformer.model import Infinity

__all__ = ["PRESETS", "Infinity", "InfinityConfig"]
