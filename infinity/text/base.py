"""What a text encoder offers: frozen states of captions, padded."""

from __future__ import annotations

from typing import Protocol, Self

import torch

from infinity.types import TextStates

__all__ = ["TextEncoder"]


class TextEncoder(Protocol):
    """A frozen text encoder; it is never trained, saved with a model or sharded."""

    @property
    def width(self) -> int:
        """Channels of a state (E)."""
        ...

    @property
    def max_len(self) -> int:
        """Longest caption in tokens; longer ones are cut, counted and announced."""
        ...

    @property
    def fingerprint(self) -> str:
        """Names the function from captions to states; stored with models, and the key of cached states."""
        ...

    def to(self, device: torch.device | str) -> Self:
        """Move the encoder's weights, if it has any."""
        ...

    def encode(self, captions: list[str]) -> TextStates:
        """States of captions, padded to the longest one."""
        ...
