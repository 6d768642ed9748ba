"""The bitwise autoregressive transformer."""

from infinity.transformer.config import PRESETS, InfinityConfig
from infinity.transformer.model import Infinity

__all__ = ["PRESETS", "Infinity", "InfinityConfig"]
