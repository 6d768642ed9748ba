"""Text conditioning."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from infinity.transformer.conditioning import AttentivePool
from infinity.transformer.config import InfinityConfig
from infinity.types import TextStates
from tests.tolerances import TOL
from tests.transformer.tiny import tiny_model, tiny_text


def test_pooling_is_attention_with_one_learned_query() -> None:
    pool = AttentivePool(InfinityConfig(width=32, num_heads=2, text_width=256))
    for parameter in pool.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    text = tiny_text((3, 5), width=256)
    num_heads, head_dim = pool.query.shape
    k_BMC, v_BMC = pool.kv(text.states_BME).chunk(2, dim=-1)
    k, v = (x.unflatten(-1, (num_heads, head_dim)).transpose(1, 2) for x in (k_BMC, v_BMC + pool.v_bias))
    query = pool.query[None, :, None].expand(2, -1, -1, -1)
    attended = F.scaled_dot_product_attention(query, k, v, attn_mask=text.mask_BM[:, None, None])
    expected = pool.proj(attended.flatten(1))
    torch.testing.assert_close(pool(*text), expected, **TOL[torch.float32])


def test_padding_does_not_matter() -> None:
    conditioner = tiny_model().conditioner
    short, long = tiny_text((3,)), tiny_text((3, 7))
    long.states_BME[0, :3] = short.states_BME[0]
    long.states_BME[0, 3:] = 1e3  # even if rows after the end were not zero
    alone, padded = conditioner(short), conditioner(long)
    torch.testing.assert_close(padded.pooled_BC[0], alone.pooled_BC[0], **TOL[torch.float32])
    torch.testing.assert_close(padded.tokens_BMC[0, :3], alone.tokens_BMC[0], **TOL[torch.float32])
    torch.testing.assert_close(padded.modulation_B6C[0], alone.modulation_B6C[0], **TOL[torch.float32])


def test_dropped_samples_see_the_null_condition_and_others_their_text() -> None:
    conditioner = tiny_model().conditioner
    text = tiny_text((4, 4, 4))
    before = text.states_BME.clone()
    condition = conditioner(text, torch.tensor([False, True, False]))
    kept = conditioner(text)
    null_text = TextStates(conditioner.cfg_uncond[:4].detach().expand(3, -1, -1), text.mask_BM)
    null = conditioner(null_text)
    for ours, full, nothing in zip(condition, kept, null, strict=True):
        assert torch.equal(ours[[0, 2]], full[[0, 2]])
        assert torch.equal(ours[1], nothing[1])
    assert not torch.equal(condition.pooled_BC[1], kept.pooled_BC[1])
    assert torch.equal(text.states_BME, before)


def test_the_null_condition_is_as_long_as_the_caption() -> None:
    conditioner = tiny_model().conditioner
    drop = torch.tensor([True, True])
    short, long = conditioner(tiny_text((2, 6)), drop).pooled_BC
    assert not torch.allclose(short, long)
    with torch.no_grad():
        conditioner.cfg_uncond[2:] += 1
    changed_short, changed_long = conditioner(tiny_text((2, 6)), drop).pooled_BC
    assert torch.equal(short, changed_short)
    assert not torch.allclose(long, changed_long)


@pytest.mark.parametrize("text", [tiny_text((9,)), tiny_text((3,), width=16)])
def test_text_of_another_encoder_is_refused(text: TextStates) -> None:
    with pytest.raises(ValueError, match=r"at most 8 tokens, 24 channels.*use the text encoder"):
        tiny_model().conditioner(text)
