"""Drawing images from a trained transformer."""

from __future__ import annotations

from infinity.sampling.config import SamplingConfig
from infinity.sampling.generate import Generation, generate

__all__ = ["Generation", "SamplingConfig", "generate"]
