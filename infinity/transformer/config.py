"""Configuration of the transformer and the presets of the paper and of the CPU studies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from infinity.attention import AttentionKind
from infinity.configs import check_literals
from infinity.rope2d import RopeGrid

__all__ = ["PRESETS", "InfinityConfig"]


@dataclass(frozen=True, kw_only=True)
class InfinityConfig:
    """What a transformer is; enough to rebuild it.

    Args:
        depth: number of blocks.
        width: channels of the residual stream (C).
        num_heads: heads of self- and cross-attention.
        token_bits: bits per token: the tokenizer's bits times its spatial patchify squared (D).
        text_width: channels of the text encoder's states (E).
        text_max_len: longest caption in text tokens; rows of the learned null condition.
        head: one logit per bit (the paper's infinite-vocabulary classifier), or one per vocabulary index.
        attention: how block-causal attention is computed; no influence on the result.
        rope_grid: coordinates that RoPE rotates by.
        scale_embedding: where the learned embedding of the scale is added.
        num_chunks: chunks of equal depth that `scale_embedding` "every_chunk" refers to.
        drop_path: stochastic-depth rate of the last block; grows linearly from 0.
        condition_dropout: probability to train a sample on the null condition, for classifier-free guidance.
        max_scales: rows of the scale embedding.
        gamma_init: factor on the initial residual gates (official: 5e-6, blocks start as the identity).
    """

    depth: int = 6
    width: int = 192
    num_heads: int = 6
    token_bits: int = 16
    text_width: int = 256
    text_max_len: int = 64
    head: Literal["bitwise", "indexwise"] = "bitwise"
    attention: AttentionKind = "split"
    rope_grid: RopeGrid = "reference"
    scale_embedding: Literal["first_block", "every_chunk"] = "first_block"
    num_chunks: int = 1
    drop_path: float = 0.0
    condition_dropout: float = 0.1
    max_scales: int = 15
    gamma_init: float = 5e-6

    def __post_init__(self) -> None:
        check_literals(self)
        counts = (
            "depth",
            "width",
            "num_heads",
            "token_bits",
            "text_width",
            "text_max_len",
            "num_chunks",
            "max_scales",
        )
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.width % self.num_heads or self.head_dim % 4:
            raise ValueError(
                f"width must be a multiple of 4 * num_heads (2-D RoPE rotates pairs by row and by column), "
                f"got width {self.width} and num_heads {self.num_heads}"
            )
        if self.width % self.pool_heads:
            raise ValueError(
                f"width must be a multiple of the {self.pool_heads} heads that pool text states of width "
                f"{self.text_width}, got {self.width}"
            )
        if self.head == "indexwise" and self.token_bits > 16:
            raise ValueError(
                "the indexwise head has 2**token_bits classes and takes at most 16 bits, "
                f"got {self.token_bits}; use head: bitwise"
            )
        if self.depth % self.num_chunks:
            raise ValueError(
                f"depth must be a multiple of num_chunks, got {self.depth} and {self.num_chunks}"
            )
        for name in ("drop_path", "condition_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")

    @property
    def head_dim(self) -> int:
        return self.width // self.num_heads

    @property
    def ffn_width(self) -> int:
        """Hidden width of the feed-forward: 4C to the nearest multiple of 256 (ties to even, officially)."""
        return max(1, round(4 * self.width / 256)) * 256

    @property
    def pool_heads(self) -> int:
        """Heads of the attentive pooling over text; set by the text's width, as officially."""
        return max(1, self.text_width // (64 if self.width > 4096 else 128))

    def drop_path_rate(self, block: int) -> float:
        """Stochastic-depth rate of one block."""
        return self.drop_path * block / max(1, self.depth - 1)


def _paper(depth: int, width: int, num_heads: int, **options: Any) -> dict[str, Any]:
    size = {"depth": depth, "width": width, "num_heads": num_heads, "token_bits": 32}
    return {**size, "text_width": 2048, "text_max_len": 512, "drop_path": 0.1, **options}


def _cpu(depth: int, width: int, num_heads: int) -> dict[str, Any]:
    return {"depth": depth, "width": width, "num_heads": num_heads}


PRESETS: dict[str, dict[str, Any]] = {
    "125M": _paper(12, 768, 8),
    "361M": _paper(16, 1152, 12),
    "940M": _paper(24, 1536, 16),
    "2.2B": _paper(32, 2080, 20),
    "4.7B": _paper(40, 2688, 24),
    "8.8B": _paper(48, 3360, 28),
    "2b": _paper(32, 2048, 16, num_chunks=8),
    "8b": _paper(40, 3584, 28, num_chunks=8, token_bits=56),
    "20b": _paper(58, 4608, 36, token_bits=56, drop_path=0.25),
    "cpu-0.3M": _cpu(3, 64, 2),
    "cpu-1M": _cpu(4, 96, 3),
    "cpu-3M": _cpu(6, 160, 5),
    "cpu-10M": _cpu(8, 288, 6),
    "cpu-30M": _cpu(10, 448, 7),
}
"""Sizes by name: the paper's scaling study (125M .. 4.7B), the released 2B and 8B, the 20B, and CPU sizes."""
