"""Key table of the official transformer's checkpoints (FoundationVision/Infinity, ``infinity_2b_reg.pth``).

Three things differ besides names: the official code interleaves the channel pairs that RoPE rotates (ours lie
in two halves), keeps singleton dimensions, and names blocks by chunk (``block_chunks.0.module.0``) unless it
was told to make one chunk (``blocks.0``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from infinity.checkpoints.keymap import Drop, Fuse, Rename, Rule, invert_rules, shape_of
from infinity.transformer.config import InfinityConfig

__all__ = [
    "export_official_transformer",
    "has_chunks",
    "infer_official_transformer",
    "official_transformer_rules",
]


def official_transformer_rules(config: InfinityConfig, *, chunked: bool) -> list[Rule]:
    """The table for one architecture; `chunked`: whether blocks are named by chunk."""
    if config.head != "bitwise":
        raise ValueError(f"official transformers have a bitwise head, got head {config.head}")
    pool = "text_proj_for_sos.ca"
    rules: list[Rule] = [
        Rename("cfg_uncond", "conditioner.cfg_uncond"),
        Rename("text_norm.weight", "conditioner.norm.weight"),
        _reshape(
            f"{pool}.mat_q", (1, config.pool_heads, -1), "conditioner.pool.query", (config.pool_heads, -1)
        ),
        Rename(f"{pool}.mat_kv.weight", "conditioner.pool.kv.weight"),
        Rename(f"{pool}.v_bias", "conditioner.pool.v_bias"),
        Rename(f"{pool}.proj.{{p}}", "conditioner.pool.proj.{p}"),
        Drop(f"{pool}.zero_k_bias", _zeros_like("conditioner.pool.v_bias")),
        Rename("text_proj_for_ca.0.{p}", "conditioner.fc1.{p}"),
        Rename("text_proj_for_ca.2.{p}", "conditioner.fc2.{p}"),
        Rename("shared_ada_lin.1.{p}", "conditioner.shared_ada.{p}"),
        _reshape("pos_start", (1, 1, -1), "pos_start", (-1,)),
        Rename("word_embed.{p}", "word_embed.{p}"),
        Rename("lvl_embed.weight", "scale_embed.weight"),
        Rename("head_nm.ada_lin.1.{p}", "head.ada.{p}"),
        Rename("head.{p}", "head.proj.{p}"),
    ]
    for i in range(config.depth):
        chunk, position = divmod(i, config.depth // config.num_chunks)
        theirs = f"block_chunks.{chunk}.module.{position}" if chunked else f"blocks.{i}"
        rules += _block(theirs, f"blocks.{i}", config.num_heads)
    return rules


def export_official_transformer(
    ours: Mapping[str, Tensor], config: InfinityConfig, *, chunked: bool
) -> dict[str, Tensor]:
    """The official state dict from ours; exactly what was imported, buffers included."""
    return invert_rules(official_transformer_rules(config, chunked=chunked), ours)


def has_chunks(theirs: Mapping[str, Tensor]) -> bool:
    """Whether an official state dict names its blocks by chunk."""
    return any(name.startswith("block_chunks.") for name in theirs)


def infer_official_transformer(theirs: Mapping[str, Tensor], **options: Any) -> InfinityConfig:
    """Read the architecture off an official state dict's names and shapes.

    Without chunks, the official code adds the scale embedding "every chunk" before every block.

    Args:
        options: what no shape tells: `rope_grid`, `scale_embedding` and training settings.
    """
    blocks = [
        match
        for name in theirs
        if (match := re.fullmatch(r"(block_chunks\.\d+\.module|blocks)\.\d+\.sa\.scale_mul_1H11", name))
    ]
    if not blocks:
        raise ValueError("the weights have no blocks of an official text-to-image transformer")
    width, num_bits = shape_of(theirs, "word_embed.weight", 2)
    text_max_len, text_width = shape_of(theirs, "cfg_uncond", 2)
    num_chunks = len({match.group(1) for match in blocks})
    if not has_chunks(theirs) and options.get("scale_embedding") == "every_chunk":
        num_chunks = len(blocks)
    return InfinityConfig(
        depth=len(blocks),
        width=width,
        num_heads=theirs[blocks[0].group()].numel(),
        token_bits=num_bits,
        text_width=text_width,
        text_max_len=text_max_len,
        num_chunks=num_chunks,
        max_scales=shape_of(theirs, "lvl_embed.weight", 2)[0],
        **options,
    )


def _block(theirs: str, ours: str, num_heads: int) -> list[Rule]:
    return [
        _reshape(f"{theirs}.ada_gss", (1, 1, 6, -1), f"{ours}.ada_gss", (6, -1)),
        _reshape(f"{theirs}.sa.scale_mul_1H11", (1, -1, 1, 1), f"{ours}.self_attn.log_temperature", (-1,)),
        Fuse(
            (f"{theirs}.sa.mat_qkv.weight",),
            (f"{ours}.self_attn.qkv.weight",),
            lambda weight: (_qkv_in_halves(weight, num_heads),),
            lambda weight: (_qkv_in_pairs(weight, num_heads),),
        ),
        Fuse(
            (f"{theirs}.sa.q_bias",),
            (f"{ours}.self_attn.q_bias",),
            lambda bias: (_in_halves(bias, num_heads),),
            lambda bias: (_in_pairs(bias, num_heads),),
        ),
        Rename(f"{theirs}.sa.v_bias", f"{ours}.self_attn.v_bias"),
        Drop(f"{theirs}.sa.zero_k_bias", _zeros_like(f"{ours}.self_attn.v_bias")),
        Rename(f"{theirs}.sa.proj.{{p}}", f"{ours}.self_attn.proj.{{p}}"),
        Rename(f"{theirs}.ca.mat_q.{{p}}", f"{ours}.cross_attn.q.{{p}}"),
        Rename(f"{theirs}.ca.mat_kv.weight", f"{ours}.cross_attn.kv.weight"),
        Rename(f"{theirs}.ca.v_bias", f"{ours}.cross_attn.v_bias"),
        Drop(f"{theirs}.ca.zero_k_bias", _zeros_like(f"{ours}.cross_attn.v_bias")),
        Rename(f"{theirs}.ca.proj.{{p}}", f"{ours}.cross_attn.proj.{{p}}"),
        Rename(f"{theirs}.ca_norm.{{p}}", f"{ours}.cross_norm.{{p}}"),
        Rename(f"{theirs}.ffn.fc{{n}}.{{p}}", f"{ours}.ffn.fc{{n}}.{{p}}"),
    ]


def _reshape(theirs: str, their_shape: tuple[int, ...], ours: str, our_shape: tuple[int, ...]) -> Fuse:
    return Fuse(
        (theirs,),
        (ours,),
        lambda tensor: (tensor.reshape(our_shape),),
        lambda tensor: (tensor.reshape(their_shape),),
    )


def _in_halves(rows: Tensor, num_heads: int) -> Tensor:
    """Per head: rows of pairs (a0 b0 a1 b1 ..) to (a0 a1 .. b0 b1 ..)."""
    return rows.unflatten(0, (num_heads, -1, 2)).transpose(1, 2).flatten(0, 2)


def _in_pairs(rows: Tensor, num_heads: int) -> Tensor:
    return rows.unflatten(0, (num_heads, 2, -1)).transpose(1, 2).flatten(0, 2)


def _qkv_in_halves(weight: Tensor, num_heads: int) -> Tensor:
    q, k, v = weight.chunk(3)
    return torch.cat([_in_halves(q, num_heads), _in_halves(k, num_heads), v])


def _qkv_in_pairs(weight: Tensor, num_heads: int) -> Tensor:
    q, k, v = weight.chunk(3)
    return torch.cat([_in_pairs(q, num_heads), _in_pairs(k, num_heads), v])


def _zeros_like(name: str) -> Callable[[Mapping[str, Tensor]], Tensor]:
    return lambda ours: torch.zeros_like(ours[name])
