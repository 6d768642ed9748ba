"""ImageReward (arXiv 2304.05977): what people prefer, by a BLIP that reads the prompt and sees the image."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from evaluation.preference.blip import BlipConfig, BlipTextEncoder, BlipVisionEncoder
from evaluation.preference.linear_stack import LinearStack
from evaluation.preference.pixels import pillow_pixels
from evaluation.preference.published import load_published, read_published
from infinity.checkpoints.io import hash_weights

__all__ = ["MAX_TOKENS", "UNUSED_KEYS", "ImageReward", "ImageRewardScorer", "load_image_reward"]

MAX_TOKENS = 35
_MEAN, _STD = 0.16717362830052426, 1.0333394966054072  # of rewards in its training data
_ADDED_TOKENS = 2  # BLIP's [DEC] and [ENC], which no prompt has

UNUSED_KEYS = (
    "blip.text_encoder.embeddings.position_ids",
    *(f"blip.{name}_proj.{kind}" for name in ("text", "vision") for kind in ("weight", "bias")),
)
"""Of the checkpoint: a constant, and BLIP's contrastive heads."""


class ImageReward(nn.Module):
    """Rewards (B,) of images and prompts; about 0 on average over ImageReward's training data."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        self.config = config
        self.blip = nn.ModuleDict(
            {"visual_encoder": BlipVisionEncoder(config), "text_encoder": BlipTextEncoder(config)}
        )
        self.mlp = LinearStack(config.text_width)

    def forward(self, pixels_B3HW: Tensor, ids_BM: Tensor, mask_BM: Tensor) -> Tensor:
        image_BLC = self.blip["visual_encoder"](pixels_B3HW)
        states_BME = self.blip["text_encoder"](ids_BM, mask_BM, image_BLC)
        with torch.autocast(pixels_B3HW.device.type, enabled=False):
            return (self.mlp(states_BME[:, 0].float()) - _MEAN) / _STD


class ImageRewardScorer:
    """ImageReward with its tokenizer.

    Args:
        vocabulary: ``vocab.txt`` of bert-base-uncased.
    """

    name = "imagereward"
    max_tokens = MAX_TOKENS
    lowest_mean = float("-inf")
    caveats = ()

    def __init__(self, net: ImageReward, vocabulary: Path, device: str = "cpu") -> None:
        self._net = net.eval().requires_grad_(False).to(device)
        self._tokenizer = _load_tokenizer(vocabulary, net.config.vocab_size - _ADDED_TOKENS)
        self.knobs = f"weights={hash_weights(net.state_dict())[:8]},tokens={MAX_TOKENS}"

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        return pillow_pixels(image_HW3, self._net.config.image_size)

    def is_cut(self, text: str) -> bool:
        return len(self._tokenizer(text, verbose=False)["input_ids"]) > MAX_TOKENS

    def tokens(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Ids (B, 35), and where words are (B, 35), bool."""
        tokens = self._tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=MAX_TOKENS, return_tensors="pt"
        )
        return tokens["input_ids"], tokens["attention_mask"].bool()

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        ids_BM, mask_BM = (one.to(pixels_B3HW.device) for one in self.tokens(texts))
        return self._net(pixels_B3HW, ids_BM, mask_BM)


def load_image_reward(weights: Path, config: BlipConfig | None = None) -> ImageReward:
    """The net of a published checkpoint (``ImageReward.pt``)."""
    with torch.device("meta"):
        net = ImageReward(config or BlipConfig())
    load_published(net, read_published(weights, UNUSED_KEYS), weights)
    return net


def _load_tokenizer(vocabulary: Path, num_words: int) -> Any:
    try:
        from transformers import BertTokenizer
    except ImportError as error:
        raise ValueError(
            "ImageReward's tokenizer needs the package transformers: pip install 'infinity-suite[eval]'"
        ) from error
    tokenizer = BertTokenizer(str(vocabulary))
    if tokenizer.vocab_size != num_words:
        raise ValueError(
            f"{vocabulary} must be the vocabulary of bert-base-uncased with {num_words} words, got "
            f"{tokenizer.vocab_size}; get it again"
        )
    return tokenizer
