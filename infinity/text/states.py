"""Prompts are encoded once, however many images are drawn from each."""

from __future__ import annotations

from torch import Tensor

from infinity.text.base import TextEncoder
from infinity.types import TextStates

__all__ = ["PromptStates"]


class PromptStates:
    """Text states of batches of prompts, in which equal prompts follow each other.

    Only the states of the last batch are kept, so that memory doesn't grow with the number of prompts.
    """

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self._rows: dict[str, Tensor] = {}  # prompt -> (number of tokens, E)

    def __call__(self, prompts: list[str]) -> TextStates:
        """States on the encoder's device, padded to the longest prompt of the batch."""
        new = [prompt for prompt in dict.fromkeys(prompts) if prompt not in self._rows]
        self._rows = {prompt: row for prompt, row in self._rows.items() if prompt in prompts}
        if new:
            states = self.encoder.encode(new)
            for prompt, states_ME, mask_M in zip(new, *states, strict=True):
                self._rows[prompt] = states_ME[mask_M]
        return TextStates.padded([self._rows[prompt] for prompt in prompts])
