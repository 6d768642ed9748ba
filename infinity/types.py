"""The dimension legend and the named results that modules hand to each other.

Names of tensors end in their dimensions where the layout matters, e.g. ``inputs_BLD``:

===  ======================================================================
B    batch
L    tokens over all scales (or of one scale, where a function takes one)
M    text tokens, padded
C    transformer width
E    width of the text encoder's states
N    attention heads
K    channels of one head
D    bits: of one latent cell in the tokenizer, of one token in the transformer
H W  height and width: of images, or of the latent grid
===  ======================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

__all__ = ["ImageTextBatch", "LossTerms", "MultiScaleCodes", "QuantizerOutput", "TextStates"]


class TextStates(NamedTuple):
    """States of a frozen text encoder, padded to the longest caption of the batch."""

    states_BME: Tensor  # float; rows after a caption's end are zero
    mask_BM: Tensor  # bool; True = a real token (at least one per caption)

    def to(self, device: torch.device | str) -> TextStates:
        return TextStates(self.states_BME.to(device), self.mask_BM.to(device))

    @classmethod
    def padded(cls, states: Sequence[Tensor]) -> TextStates:
        """Put the states (M, E) of captions, each of its own length, together."""
        states_BME = pad_sequence(list(states), batch_first=True)
        device = states_BME.device
        lengths_B = torch.tensor([len(state) for state in states], device=device)
        return cls(states_BME, torch.arange(states_BME.shape[1], device=device) < lengths_B[:, None])


class QuantizerOutput(NamedTuple):
    """One scale, quantized."""

    codes_BDHW: Tensor  # float, straight-through to the input
    bits_BDHW: Tensor  # bool
    losses: dict[str, Tensor]  # scalars, unweighted, named "commitment", "entropy_sample", "entropy_batch"


class MultiScaleCodes(NamedTuple):
    """An image as a pyramid of binary codes."""

    features_BDHW: Tensor  # float; sum over scales of up-sampled codes, what the decoder takes (paper Eq. 1)
    bits: tuple[Tensor, ...]  # per scale: bool (B, D, h_k, w_k)
    losses: dict[str, Tensor]  # scalars: the quantizer's, averaged over scales; none from `VAE.tokenize`


class ImageTextBatch(NamedTuple):
    """One training batch: images of one aspect ratio and their captions."""

    images_B3HW: Tensor | None  # float in [-1, 1], RGB; None if features are given instead
    captions: list[str]
    keys: list[str]  # names of the samples, unique in the data set
    aspect_ratio: float  # height / width bucket, one of Resolution.aspect_ratios
    counts: bool = True  # False: only keeps this rank in step with the others; left out of every mean
    features_BDHW: Tensor | None = None  # the tokenizer's, if they were cached
    text: TextStates | None = None  # the captions' states in any float type, if they were cached

    @property
    def weight(self) -> int:
        """How many samples the batch adds to a mean over the data."""
        return len(self.captions) if self.counts else 0


class LossTerms(NamedTuple):
    """A loss to minimise and what to log beside it."""

    total: Tensor  # scalar with gradient
    logs: dict[str, Tensor]  # detached scalars, e.g. "bit_ce", "bit_accuracy/scale_03"
