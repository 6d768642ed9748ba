from __future__ import annotations

import pytest
import torch

from infinity.checkpoints.keymap import Drop, Fuse, Rename, apply_rules, invert_rules

RULES = [
    Rename("layer.{i}.w.{p}", "blocks.{i}.linear.{p}"),
    Fuse(
        theirs=("layer.{i}.q_bias", "layer.{i}.v_bias"),
        ours=("blocks.{i}.bias",),
        to_ours=lambda q, v: (torch.cat([q, v]),),
        to_theirs=lambda both: tuple(both.chunk(2)),
    ),
    Drop("mask", lambda ours: torch.ones(len(ours["blocks.0.bias"]))),
]


def foreign() -> dict[str, torch.Tensor]:
    return {
        "layer.0.w.weight": torch.randn(2, 2),
        "layer.11.w.weight": torch.randn(2, 2),
        "layer.0.q_bias": torch.zeros(2),
        "layer.0.v_bias": torch.ones(2),
        "mask": torch.ones(4),
    }


def test_keys_are_renamed_fused_and_dropped() -> None:
    theirs = foreign()
    ours = apply_rules(RULES, theirs)
    assert set(ours) == {"blocks.0.linear.weight", "blocks.11.linear.weight", "blocks.0.bias"}
    assert ours["blocks.0.bias"].tolist() == [0, 0, 1, 1]
    assert torch.equal(ours["blocks.11.linear.weight"], theirs["layer.11.w.weight"])


def test_the_way_back_restores_every_key_and_leaves_both_dicts_alone() -> None:
    theirs = foreign()
    before = dict(theirs)
    ours = apply_rules(RULES, theirs)
    back = invert_rules(RULES, ours)
    assert theirs.keys() == before.keys() == back.keys()
    assert all(torch.equal(back[key], theirs[key]) for key in theirs)
    assert set(ours) == {"blocks.0.linear.weight", "blocks.11.linear.weight", "blocks.0.bias"}


@pytest.mark.parametrize("key", ["layer.0.w.weight.extra", "layer.0.x.weight", "Xmask", "layerA0.w.weight"])
def test_a_key_that_no_rule_knows_is_an_error(key: str) -> None:
    with pytest.raises(ValueError, match="1 keys left over"):
        apply_rules(RULES, foreign() | {key: torch.zeros(1)})
    with pytest.raises(ValueError, match="1 keys left over"):
        invert_rules(RULES, apply_rules(RULES, foreign()) | {key: torch.zeros(1)})


def test_half_of_a_fused_pair_is_an_error() -> None:
    theirs = foreign()
    del theirs["layer.0.v_bias"]
    with pytest.raises(ValueError, match=r"layer\.0\.q_bias comes without layer\.0\.v_bias"):
        apply_rules(RULES, theirs)


def test_two_keys_that_become_one_are_an_error() -> None:
    rules = [Rename("a.{p}", "c.{p}"), Rename("b.{p}", "c.{p}")]
    with pytest.raises(ValueError, match="two rules write c"):
        apply_rules(rules, {"a.w": torch.zeros(1), "b.w": torch.zeros(1)})
