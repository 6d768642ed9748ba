"""A text encoder without weights: every token is the sum of hashed n-grams and a position signal.

The state of a word is a random sign vector of the word, plus one of the word and its predecessor, plus
sinusoids of its position. Signs come from a cryptographic hash of the text, so they never change. The encoder
knows no meanings, but it tells words, their order ("red circle" from "circle red") and positions apart, which
is enough for small synthetic worlds, and it exercises the frozen-encoder path without a download.
"""

from __future__ import annotations

import hashlib
import logging
import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from infinity.types import TextStates

__all__ = ["HashingTextConfig", "HashingTextEncoder"]

logger = logging.getLogger(__name__)

_WORD = re.compile(r"\w+|[^\w\s]")
_END = "</s>"
_VERSION = 1  # of the function; raise it when states change


@dataclass(frozen=True, kw_only=True)
class HashingTextConfig:
    """Size and mixture of the hashing encoder.

    Args:
        width: channels of a state, a multiple of 8.
        max_len: longest caption in words, with its end mark.
        bigram_weight: weight of the (previous word, word) vector; a word's own has 1.
        position_weight: weight of the position signal.
    """

    width: int = 256
    max_len: int = 64
    bigram_weight: float = 0.5
    position_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.width < 8 or self.width % 8:
            raise ValueError(f"width must be a positive multiple of 8, got {self.width}")
        if self.max_len < 1:
            raise ValueError(f"max_len must be at least 1, got {self.max_len}")


class HashingTextEncoder:
    """See the module's description; implements :class:`infinity.text.base.TextEncoder`."""

    def __init__(self, config: HashingTextConfig) -> None:
        self.config = config
        self.num_truncated = 0
        self._rows: dict[str, int] = {}
        self._table = torch.zeros(64, config.width)
        self._positions = config.position_weight * _sinusoids(config.max_len, config.width)

    @property
    def width(self) -> int:
        return self.config.width

    @property
    def max_len(self) -> int:
        return self.config.max_len

    @property
    def fingerprint(self) -> str:
        config = self.config
        weights = f"{config.bigram_weight}-{config.position_weight}"
        return f"hashing-v{_VERSION}-{config.width}-{config.max_len}-{weights}"

    def to(self, device: torch.device | str) -> HashingTextEncoder:
        """Stay on the CPU, where the n-grams are looked up."""
        return self

    def encode(self, captions: list[str]) -> TextStates:
        """States (B, M, E) on the CPU; letter case is ignored, every caption ends with an end mark."""
        words = [self._words(caption) for caption in captions]
        length = max(map(len, words))
        mask_BM = torch.arange(length) < torch.tensor([len(caption) for caption in words])[:, None]
        unigrams = [[self._row(word) for word in caption] for caption in words]
        bigrams = [
            [self._row(f"{a} {b}") for a, b in zip(["", *caption], caption, strict=False)]
            for caption in words
        ]
        states_BME = self._table[_padded(unigrams, length)]
        states_BME = states_BME + self.config.bigram_weight * self._table[_padded(bigrams, length)]
        states_BME = (states_BME + self._positions[:length]) * mask_BM[..., None]
        return TextStates(states_BME, mask_BM)

    def _words(self, caption: str) -> list[str]:
        words = [*_WORD.findall(caption.lower()), _END]
        if len(words) <= self.max_len:
            return words
        self.num_truncated += 1
        if self.num_truncated == 1:
            logger.warning(
                "a caption of %d words is cut to %d (further ones are only counted): %.60s...",
                len(words) - 1,
                self.max_len - 1,
                caption,
            )
        return [*words[: self.max_len - 1], _END]

    def _row(self, ngram: str) -> int:
        """Row of the n-gram's vector in the table, which grows as new n-grams come."""
        row = self._rows.get(ngram)
        if row is None:
            row = self._rows[ngram] = len(self._rows)
            if row == len(self._table):
                self._table = torch.cat([self._table, torch.zeros_like(self._table)])
            self._table[row] = _signs(ngram, self.width)
        return row


def _signs(text: str, width: int) -> Tensor:
    """A vector of +-1 that the text's hash decides."""
    digest = torch.frombuffer(
        bytearray(hashlib.shake_256(text.encode()).digest(width // 8)), dtype=torch.uint8
    )
    bits = digest[:, None] >> torch.arange(8, dtype=torch.uint8) & 1
    return bits.flatten().float() * 2 - 1


def _sinusoids(length: int, width: int) -> Tensor:
    """Position signal (length, width) with entries of unit variance."""
    frequencies = torch.exp(torch.arange(width // 2) * (-math.log(1e3) / (width // 2)))
    angles = torch.arange(length)[:, None] * frequencies
    return math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], dim=1)


def _padded(rows: list[list[int]], length: int) -> Tensor:
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows])
