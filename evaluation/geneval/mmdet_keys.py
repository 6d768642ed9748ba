"""Names of MMDetection 2's Mask2Former with a Swin backbone, as rules to Hugging Face's.

Both are the same network, so that the detector of GenEval runs without MMDetection. Two things are laid out
differently: queries, keys and values are fused there, and patches are merged in another order of channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from infinity.checkpoints.keymap import Drop, Fuse, Rename, Rule, apply_rules, describe_differences

__all__ = ["UNUSED", "load_mmdet", "mmdet_rules"]

_SWIN = "model.pixel_level_module.encoder.swin"
_PIXELS = "model.pixel_level_module.decoder"
_QUERIES = "model.transformer_module"
UNUSED = (f"{_SWIN}.layernorm.weight", f"{_SWIN}.layernorm.bias", "criterion.empty_weight")
"""In Hugging Face's state dict, without effect on its outputs."""


def load_mmdet(net: nn.Module, theirs: Mapping[str, Tensor]) -> None:
    """Load MMDetection's state dict into a ``Mask2FormerForUniversalSegmentation``, strictly both ways."""
    own = net.state_dict()
    converted = apply_rules(mmdet_rules(net), theirs)
    if problems := describe_differences(converted, own, optional=UNUSED):
        raise ValueError(f"the weights do not fit the detector's config: {problems}")
    net.load_state_dict({**{name: own[name] for name in UNUSED}, **converted}, strict=True)


def mmdet_rules(net: nn.Module) -> list[Rule]:
    """From MMDetection's names and layouts to those of such a network."""
    swin = net.config.backbone_config
    return [*_backbone(), *_positions(swin.depths, swin.window_size), *_pixel_decoder(), *_decoder()]


def _backbone() -> list[Rule]:
    block, ours = "backbone.stages.{s}.blocks.{b}", f"{_SWIN}.encoder.layers.{{s}}.blocks.{{b}}"
    merging, our_merging = "backbone.stages.{s}.downsample", f"{_SWIN}.encoder.layers.{{s}}.downsample"
    bias = "relative_position_bias"
    return [
        Rename(
            "backbone.patch_embed.projection.{p}", f"{_SWIN}.embeddings.patch_embeddings.projection.{{p}}"
        ),
        Rename("backbone.patch_embed.norm.{p}", f"{_SWIN}.embeddings.norm.{{p}}"),
        Rename(f"{block}.norm1.{{p}}", f"{ours}.layernorm_before.{{p}}"),
        Rename(f"{block}.norm2.{{p}}", f"{ours}.layernorm_after.{{p}}"),
        Rename(f"{block}.attn.w_msa.{bias}_table", f"{ours}.attention.{bias}.{bias}_table"),
        _thirds(f"{block}.attn.w_msa.qkv.{{p}}", f"{ours}.attention.{{}}_proj.{{p}}"),
        Rename(f"{block}.attn.w_msa.proj.{{p}}", f"{ours}.attention.o_proj.{{p}}"),
        *_feed_forward(f"{block}.ffn", f"{ours}.mlp"),
        _merged(f"{merging}.norm.{{p}}", f"{our_merging}.norm.{{p}}"),
        _merged(f"{merging}.reduction.weight", f"{our_merging}.reduction.weight"),
        *(
            Rename(
                f"backbone.norm{stage}.{{p}}",
                f"model.pixel_level_module.encoder.hidden_states_norms.stage{stage + 1}.{{p}}",
            )
            for stage in range(4)
        ),
    ]


def _positions(depths: Sequence[int], window: int) -> list[Rule]:
    """Index buffers, which follow from the window's size."""
    step = 2 * window - 1
    places = (torch.arange(window)[:, None] * step + torch.arange(window)).flatten()
    index = (places[:, None] + places).flip(1)
    return [
        Drop(
            f"backbone.stages.{stage}.blocks.{block}.attn.w_msa.relative_position_index",
            lambda _: index.clone(),
        )
        for stage, depth in enumerate(depths)
        for block in range(depth)
    ]


def _pixel_decoder() -> list[Rule]:
    head = "panoptic_head.pixel_decoder"
    layer, ours = f"{head}.encoder.layers.{{i}}", f"{_PIXELS}.encoder.layers.{{i}}"
    return [
        Rename(f"{head}.input_convs.{{i}}.conv.{{p}}", f"{_PIXELS}.input_projections.{{i}}.0.{{p}}"),
        Rename(f"{head}.input_convs.{{i}}.gn.{{p}}", f"{_PIXELS}.input_projections.{{i}}.1.{{p}}"),
        Rename(f"{head}.level_encoding.weight", f"{_PIXELS}.level_embed"),
        Rename(f"{layer}.attentions.0.{{part}}.{{p}}", f"{ours}.self_attn.{{part}}.{{p}}"),
        Rename(f"{layer}.norms.0.{{p}}", f"{ours}.self_attn_layer_norm.{{p}}"),
        Rename(f"{layer}.norms.1.{{p}}", f"{ours}.final_layer_norm.{{p}}"),
        *_feed_forward(f"{layer}.ffns.0", ours),
        Rename(f"{head}.lateral_convs.0.conv.weight", f"{_PIXELS}.adapter_1.0.weight"),
        Rename(f"{head}.lateral_convs.0.gn.{{p}}", f"{_PIXELS}.adapter_1.1.{{p}}"),
        Rename(f"{head}.output_convs.0.conv.weight", f"{_PIXELS}.layer_1.0.weight"),
        Rename(f"{head}.output_convs.0.gn.{{p}}", f"{_PIXELS}.layer_1.1.{{p}}"),
        Rename(f"{head}.mask_feature.{{p}}", f"{_PIXELS}.mask_projection.{{p}}"),
    ]


def _decoder() -> list[Rule]:
    head = "panoptic_head.transformer_decoder"
    layer, ours = f"{head}.layers.{{i}}", f"{_QUERIES}.decoder.layers.{{i}}"
    norms = ("cross_attn_layer_norm", "self_attn_layer_norm", "final_layer_norm")
    return [
        Rename(f"{layer}.attentions.0.attn.in_proj_{{p}}", f"{ours}.cross_attn.in_proj_{{p}}"),
        Rename(f"{layer}.attentions.0.attn.out_proj.{{p}}", f"{ours}.cross_attn.out_proj.{{p}}"),
        _thirds(f"{layer}.attentions.1.attn.in_proj_{{p}}", f"{ours}.self_attn.{{}}_proj.{{p}}"),
        Rename(f"{layer}.attentions.1.attn.out_proj.{{p}}", f"{ours}.self_attn.out_proj.{{p}}"),
        *(Rename(f"{layer}.norms.{i}.{{p}}", f"{ours}.{norm}.{{p}}") for i, norm in enumerate(norms)),
        *_feed_forward(f"{layer}.ffns.0", ours),
        Rename(f"{head}.post_norm.{{p}}", f"{_QUERIES}.decoder.layernorm.{{p}}"),
        Rename("panoptic_head.query_embed.weight", f"{_QUERIES}.queries_embedder.weight"),
        Rename("panoptic_head.query_feat.weight", f"{_QUERIES}.queries_features.weight"),
        Rename("panoptic_head.level_embed.weight", f"{_QUERIES}.level_embed.weight"),
        Rename("panoptic_head.cls_embed.{p}", "class_predictor.{p}"),
        *(
            Rename(
                f"panoptic_head.mask_embed.{2 * i}.{{p}}",
                f"{_QUERIES}.decoder.mask_predictor.mask_embedder.{i}.0.{{p}}",
            )
            for i in range(3)
        ),
    ]


def _feed_forward(theirs: str, ours: str) -> list[Rule]:
    return [
        Rename(f"{theirs}.layers.0.0.{{p}}", f"{ours}.fc1.{{p}}"),
        Rename(f"{theirs}.layers.1.{{p}}", f"{ours}.fc2.{{p}}"),
    ]


def _thirds(theirs: str, ours: str) -> Fuse:
    """Queries, keys and values, which are fused there."""
    names = tuple(ours.replace("{}", name) for name in "qkv")
    return Fuse((theirs,), names, lambda fused: fused.chunk(3), lambda *parts: (torch.cat(parts),))


def _merged(theirs: str, ours: str) -> Fuse:
    """Channels of four merged patches: (channel, row, column) there, (column, row, channel) here."""
    return Fuse(
        (theirs,),
        (ours,),
        lambda x: (x.unflatten(-1, (-1, 2, 2)).transpose(-3, -1).flatten(-3),),
        lambda x: (x.unflatten(-1, (2, 2, -1)).transpose(-3, -1).flatten(-3),),
    )
