"""MMDetection's checkpoint in Hugging Face's Mask2Former."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import torch

from evaluation.geneval.mmdet_keys import load_mmdet
from tests.evaluation.geneval.conftest import to_mmdet

# Of sorted "name shape" lines of mask2former_swin-s-p4-w7-224_lsj_8x2_50e_coco, as MMDetection 2.28.2 has it.
OFFICIAL_NAMES = "ad9558e4f95eedcef166a8cc9b6caac5cc813e149d6e9008f8f63e617de3f3ff"


def test_names_and_shapes_are_those_of_the_official_network() -> None:
    transformers = pytest.importorskip("transformers")
    stages = [f"stage{number}" for number in range(1, 5)]
    swin = transformers.SwinConfig(
        embed_dim=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24), out_features=stages
    )
    config = transformers.Mask2FormerConfig(backbone_config=swin, num_labels=80)
    with torch.device("meta"):
        net = transformers.Mask2FormerForUniversalSegmentation(config)
    state = to_mmdet(net)
    lines = "".join(f"{name} {tuple(state[name].shape)}\n" for name in sorted(state))
    assert len(state) == 649
    assert hashlib.sha256(lines.encode()).hexdigest() == OFFICIAL_NAMES


def test_there_and_back_changes_nothing(tiny_net: Any) -> None:
    before = {name: value.clone() for name, value in tiny_net.state_dict().items()}
    theirs = {name: value.clone() for name, value in to_mmdet(tiny_net).items()}
    for value in tiny_net.state_dict().values():
        value.zero_()
    load_mmdet(tiny_net, theirs)
    after = tiny_net.state_dict()
    unused = [name for name in before if "swin.layernorm" in name or name == "criterion.empty_weight"]
    assert len(unused) == 3
    assert all(torch.equal(after[name], before[name]) for name in before if name not in unused)


def test_merged_patches_and_fused_projections_change_their_layout(tiny_net: Any) -> None:
    theirs, ours = to_mmdet(tiny_net), tiny_net.state_dict()
    prefix = "model.pixel_level_module.encoder.swin.encoder.layers.0"
    reduction = theirs["backbone.stages.0.downsample.reduction.weight"].unflatten(1, (32, 2, 2))
    own = ours[f"{prefix}.downsample.reduction.weight"].unflatten(1, (2, 2, 32))
    torch.testing.assert_close(reduction[:, 5, 0, 1], own[:, 1, 0, 5], rtol=0, atol=0)
    qkv = theirs["backbone.stages.0.blocks.0.attn.w_msa.qkv.weight"]
    torch.testing.assert_close(qkv[32:64], ours[f"{prefix}.blocks.0.attention.k_proj.weight"], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state.pop("panoptic_head.cls_embed.bias"), "1 missing"),
        (lambda state: state.update({"panoptic_head.extra": torch.ones(1)}), "left over"),
        (lambda state: state.update({"panoptic_head.cls_embed.bias": torch.ones(3)}), "of another shape"),
        (lambda state: state.pop("panoptic_head.transformer_decoder.layers.1.norms.2.weight"), "1 missing"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tiny_net: Any, change: Any, problem: str) -> None:
    theirs = to_mmdet(tiny_net)
    change(theirs)
    with pytest.raises(ValueError, match=problem):
        load_mmdet(tiny_net, theirs)
