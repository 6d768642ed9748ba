"""Keys of Hugging Face's CLIP, as PickScore is published, and open_clip's."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from infinity.checkpoints.keymap import Drop, Fuse, Rename, Rule

__all__ = ["CLIP_RULES", "is_huggingface_clip"]


def is_huggingface_clip(state: Mapping[str, Tensor]) -> bool:
    """Whether a state dict has Hugging Face's keys."""
    return "vision_model.embeddings.class_embedding" in state


def _blocks(theirs: str, ours: str) -> list[Rule]:
    renamed = {
        "layer_norm1": "ln_1",
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    return [
        Fuse(
            tuple(f"{theirs}.encoder.layers.{{i}}.self_attn.{one}_proj.{{p}}" for one in "qkv"),
            (f"{ours}.resblocks.{{i}}.attn.in_proj_{{p}}",),
            lambda q, k, v: (torch.cat([q, k, v]),),
            lambda qkv: qkv.chunk(3),
        ),
        *(
            Rename(f"{theirs}.encoder.layers.{{i}}.{old}.{{p}}", f"{ours}.resblocks.{{i}}.{new}.{{p}}")
            for old, new in renamed.items()
        ),
    ]


def _transposed(theirs: str, ours: str) -> Rule:
    return Fuse((theirs,), (ours,), lambda weight: (weight.T,), lambda weight: (weight.T,))


def _positions(name: str) -> Rule:
    """Numbers from 0, which old versions stored."""
    return Drop(f"{name}.embeddings.position_ids", lambda ours: torch.arange(0))


CLIP_RULES: list[Rule] = [
    Rename("logit_scale", "logit_scale"),
    Rename("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    Rename("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
    Rename("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    Rename("vision_model.pre_layrnorm.{p}", "visual.ln_pre.{p}"),
    *_blocks("vision_model", "visual.transformer"),
    Rename("vision_model.post_layernorm.{p}", "visual.ln_post.{p}"),
    _transposed("visual_projection.weight", "visual.proj"),
    Rename("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    Rename("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    *_blocks("text_model", "transformer"),
    Rename("text_model.final_layer_norm.{p}", "ln_final.{p}"),
    _transposed("text_projection.weight", "text_projection"),
    _positions("vision_model"),
    _positions("text_model"),
]
