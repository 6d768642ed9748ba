"""BLIP's image and text encoders (arXiv 2201.12086) as ImageReward uses them, with its checkpoint's keys.

A vision transformer, and a BERT whose layers also attend to its tokens. Keys are the published ones, so
weights load as they are; dropout and stochastic depth, which only train, are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["BlipConfig", "BlipTextEncoder", "BlipVisionEncoder"]

_VISION_EPS, _TEXT_EPS = 1e-6, 1e-12


@dataclass(frozen=True, kw_only=True)
class BlipConfig:
    """Sizes; the defaults are ImageReward's: ViT-L/16 at 224 pixels and BERT-base.

    Args:
        vocab_size: BERT's words and two marks that BLIP adds.
    """

    image_size: int = 224
    patch_size: int = 16
    vision_width: int = 1024
    vision_depth: int = 24
    vision_heads: int = 16
    text_width: int = 768
    text_hidden: int = 3072
    text_depth: int = 12
    text_heads: int = 12
    vocab_size: int = 30524
    num_positions: int = 512


class BlipVisionEncoder(nn.Module):
    """Pixels (B, 3, H, W) to tokens (B, L, C); the first is the class token."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        width, patch = config.vision_width, config.patch_size
        num_tokens = (config.image_size // patch) ** 2 + 1
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, stride=patch)})
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, num_tokens, width))
        self.blocks = nn.ModuleList(
            _VisionBlock(width, config.vision_heads) for _ in range(config.vision_depth)
        )
        self.norm = nn.LayerNorm(width, _VISION_EPS)

    def forward(self, pixels_B3HW: Tensor) -> Tensor:
        patches_BLC = self.patch_embed["proj"](pixels_B3HW).flatten(2).transpose(1, 2)
        x_BLC = torch.cat([self.cls_token.expand(len(patches_BLC), -1, -1), patches_BLC], dim=1)
        x_BLC = x_BLC + self.pos_embed
        for block in self.blocks:
            x_BLC = block(x_BLC)
        return self.norm(x_BLC)


class BlipTextEncoder(nn.Module):
    """Words that look at an image: ids (B, M) and image tokens (B, L, C) to states (B, M, E)."""

    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        width = config.text_width
        self.embeddings = nn.ModuleDict(
            {
                "word_embeddings": nn.Embedding(config.vocab_size, width),
                "position_embeddings": nn.Embedding(config.num_positions, width),
                "LayerNorm": nn.LayerNorm(width, _TEXT_EPS),
            }
        )
        layers = nn.ModuleList(_TextLayer(config) for _ in range(config.text_depth))
        self.encoder = nn.ModuleDict({"layer": layers})

    def forward(self, ids_BM: Tensor, mask_BM: Tensor, image_BLC: Tensor) -> Tensor:
        """States of all tokens; `mask_BM` (bool) tells words from padding."""
        positions_ME = self.embeddings["position_embeddings"].weight[: ids_BM.shape[1]]
        x_BME = self.embeddings["LayerNorm"](self.embeddings["word_embeddings"](ids_BM) + positions_ME)
        for layer in self.encoder["layer"]:
            x_BME = layer(x_BME, mask_BM[:, None, None], image_BLC)
        return x_BME


class _VisionBlock(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.norm1 = nn.LayerNorm(width, _VISION_EPS)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.norm2 = nn.LayerNorm(width, _VISION_EPS)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x_BLC: Tensor) -> Tensor:
        q, k, v = self.attn["qkv"](self.norm1(x_BLC)).chunk(3, dim=-1)
        x_BLC = x_BLC + self.attn["proj"](_attend(q, k, v, self.num_heads))
        return x_BLC + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x_BLC))))


class _TextLayer(nn.Module):
    def __init__(self, config: BlipConfig) -> None:
        super().__init__()
        width = config.text_width
        self.attention = _TextAttention(width, config.text_heads, context_width=width)
        self.crossattention = _TextAttention(width, config.text_heads, context_width=config.vision_width)
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(width, config.text_hidden)})
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(config.text_hidden, width), "LayerNorm": nn.LayerNorm(width, _TEXT_EPS)}
        )

    def forward(self, x_BME: Tensor, mask_B11M: Tensor, image_BLC: Tensor) -> Tensor:
        x_BME = self.attention(x_BME, x_BME, mask_B11M)
        x_BME = self.crossattention(x_BME, image_BLC)
        hidden = F.gelu(self.intermediate["dense"](x_BME))
        return self.output["LayerNorm"](x_BME + self.output["dense"](hidden))


class _TextAttention(nn.Module):
    def __init__(self, width: int, num_heads: int, *, context_width: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.self = nn.ModuleDict(
            {
                "query": nn.Linear(width, width),
                "key": nn.Linear(context_width, width),
                "value": nn.Linear(context_width, width),
            }
        )
        self.output = nn.ModuleDict(
            {"dense": nn.Linear(width, width), "LayerNorm": nn.LayerNorm(width, _TEXT_EPS)}
        )

    def forward(self, x_BME: Tensor, context_BLC: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.self["query"](x_BME), self.self["key"](context_BLC), self.self["value"](context_BLC)
        attended = _attend(q, k, v, self.num_heads, mask)
        return self.output["LayerNorm"](x_BME + self.output["dense"](attended))


def _attend(q: Tensor, k: Tensor, v: Tensor, num_heads: int, mask: Tensor | None = None) -> Tensor:
    """Attention of (B, M, C) to (B, L, C) in `num_heads` heads; `mask` is true where one may look."""
    q, k, v = (one.unflatten(-1, (num_heads, -1)).transpose(1, 2) for one in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v, attn_mask=mask).transpose(1, 2).flatten(2)
