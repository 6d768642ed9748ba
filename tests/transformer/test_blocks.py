"""Parts of the transformer block."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.attention import attend, attention_plan
from infinity.rope2d import rope_tables
from infinity.transformer.blocks import Block, SelfAttention, modulate
from tests.tolerances import TOL
from tests.transformer.tiny import SQUARE, tiny_model, tiny_text

CPU = torch.device("cpu")
ROPE = rope_tables(SQUARE, 16, "reference", CPU)
ATTEND = partial(attend, plan=attention_plan(SQUARE, "split", CPU))


def self_attention() -> SelfAttention:
    return tiny_model().layers[0].self_attn


def run_block(block: Block, x: Tensor, modulation: Tensor, keep: Tensor | None = None) -> Tensor:
    text = tiny_text((3, 5), width=32)
    return block(x, modulation, text.states_BME, text.mask_BM[:, None, None], ROPE, ATTEND, keep)


def test_modulation_is_layer_norm_times_one_plus_scale_plus_shift() -> None:
    x, scale, shift = torch.randn(2, 5, 8), torch.randn(2, 1, 8), torch.randn(2, 1, 8)
    expected = (x - x.mean(-1, keepdim=True)) / (x.var(-1, unbiased=False, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(
        modulate(x, scale, shift), expected * (1 + scale) + shift, **TOL[torch.float32]
    )


def test_self_attention_scores_are_cosines_times_a_temperature() -> None:
    attention = self_attention()
    x = torch.randn(2, SQUARE.seq_len, 32)
    with torch.no_grad():
        before = attention(x, ROPE, ATTEND)
        attention.qkv.weight[:64] *= 7  # queries and keys: only directions count
        attention.q_bias *= 7
        torch.testing.assert_close(attention(x, ROPE, ATTEND), before, **TOL[torch.float32])
        attention.log_temperature += 0.5
        assert not torch.allclose(attention(x, ROPE, ATTEND), before, atol=1e-3)


def test_the_temperature_is_at_most_100() -> None:
    attention = self_attention()
    x = torch.randn(2, SQUARE.seq_len, 32)
    with torch.no_grad():
        attention.log_temperature.fill_(math.log(100))
        at_limit = attention(x, ROPE, ATTEND)
        attention.log_temperature.fill_(20)
        assert torch.equal(attention(x, ROPE, ATTEND), at_limit)


def test_the_block_adds_gated_branches_around_plain_cross_attention() -> None:
    block = tiny_model().layers[0]
    x, modulation = torch.randn(2, SQUARE.seq_len, 32), torch.randn(2, 6, 32)
    gamma1, gamma2, scale1, scale2, shift1, shift2 = (
        (modulation + block.ada_gss)[:, i : i + 1] for i in range(6)
    )
    torch.manual_seed(1)
    text = tiny_text((3, 5), width=32)
    with torch.no_grad():
        torch.manual_seed(1)
        ours = run_block(block, x, modulation)
        x = x + gamma1 * block.self_attn(modulate(x, scale1, shift1), ROPE, ATTEND)
        kv = block.cross_attn.keys_values(text.states_BME)
        x = x + block.cross_attn(block.cross_norm(x), kv, text.mask_BM[:, None, None])
        x = x + gamma2 * block.ffn(modulate(x, scale2, shift2))
    torch.testing.assert_close(ours, x, **TOL[torch.float32])


def test_cross_attention_is_softmax_attention_over_real_tokens() -> None:
    attention = tiny_model().layers[0].cross_attn
    x, text = torch.randn(2, 7, 32), tiny_text((3, 5), width=32)
    text.states_BME[0, 3:] = 100.0
    out = attention(x, attention.keys_values(text.states_BME), text.mask_BM[:, None, None])
    states = text.states_BME[0, :3]
    k, v = (attention.kv(states) + F.pad(attention.v_bias, (32, 0))).chunk(2, dim=-1)
    heads = []
    for q, key, value in zip(attention.q(x[0]).chunk(2, -1), k.chunk(2, -1), v.chunk(2, -1), strict=True):
        heads.append((q @ key.T / 16**0.5).softmax(-1) @ value)
    torch.testing.assert_close(out[0], attention.proj(torch.cat(heads, -1)), **TOL[torch.float32])


def test_stochastic_depth_scales_the_gated_branches_of_each_sample() -> None:
    block = tiny_model().layers[0]
    x, modulation = torch.randn(2, SQUARE.seq_len, 32), torch.randn(2, 6, 32)
    torch.manual_seed(1)
    plain = run_block(block, x, modulation)
    torch.manual_seed(1)
    dropped = run_block(block, x, modulation, keep=torch.tensor([[1.0, 0], [1, 0]]))
    assert torch.equal(dropped[0], plain[0])
    with torch.no_grad():
        block.self_attn.proj.weight += 1
        block.ffn.fc2.weight += 1
    torch.manual_seed(1)
    changed = run_block(block, x, modulation, keep=torch.tensor([[1.0, 0], [1, 0]]))
    assert torch.equal(changed[1], dropped[1])  # neither branch reaches it
    assert not torch.allclose(changed[0], dropped[0])


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_stays_close_and_keeps_the_residual_in_float32(autocast: bool) -> None:
    block = tiny_model().layers[0]
    x, modulation = torch.randn(2, SQUARE.seq_len, 32), 0.3 * torch.randn(2, 6, 32)
    torch.manual_seed(1)
    with torch.no_grad():
        expected = run_block(block, x, modulation)
        torch.manual_seed(1)
        if not autocast:
            block.bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            out = run_block(block, x, modulation)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out, expected, rtol=0.05, atol=0.05)
    assert not torch.equal(out, expected)
