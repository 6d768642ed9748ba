"""The key-value cache and decoding scale by scale."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from infinity.sampling.cache import KVCache, ScaleDecoder
from tests.tolerances import TOL
from tests.transformer.tiny import SQUARE, tiny_inputs, tiny_model, tiny_text


def decode_all(decoder: ScaleDecoder, inputs: Tensor) -> list[Tensor]:
    with torch.no_grad():
        return [
            decoder.step(k, inputs[:, tokens.start - 1 : tokens.stop - 1] if k else None)
            for k, tokens in enumerate(decoder.schedule.slices)
        ]


def test_the_cache_holds_all_scales_but_the_last() -> None:
    decoder = ScaleDecoder(tiny_model(), tiny_text(), SQUARE)
    assert decoder.cache.num_bytes == 0
    decode_all(decoder, tiny_inputs(SQUARE))
    layers, kinds, batch, width, floats = 2, 2, 2, 32, 4
    assert decoder.cache.num_bytes == layers * kinds * batch * (1 + 4) * width * floats


def test_the_cache_is_allocated_once() -> None:
    cache = KVCache(num_layers=1, num_tokens=5)
    q, k, v = torch.randn(3, 2, 2, 1, 4)
    cache.attend(q, k, v, layer=0, start=0)
    storage = cache._layers[0].data_ptr()  # type: ignore[union-attr]
    q, k, v = torch.randn(3, 2, 2, 4, 4)
    cache.attend(q, k, v, layer=0, start=1)
    assert cache._layers[0].data_ptr() == storage  # type: ignore[union-attr]
    assert torch.equal(cache._layers[0][0, :, :, 1:], k)  # type: ignore[index]


def test_the_last_scale_reads_the_cache_and_leaves_it_alone() -> None:
    cache = KVCache(num_layers=1, num_tokens=1)
    first = torch.randn(3, 1, 1, 1, 4)
    cache.attend(*first, layer=0, start=0)
    q, k, v = torch.randn(3, 1, 1, 4, 4)
    out = cache.attend(q, k, v, layer=0, start=1)
    keys, values = torch.cat([first[1], k], 2), torch.cat([first[2], v], 2)
    expected = (q @ keys.transpose(-1, -2)).softmax(-1) @ values
    torch.testing.assert_close(out, expected, **TOL[torch.float32])
    assert cache.num_bytes == 2 * 4 * 4


def test_a_single_scale_needs_no_cache() -> None:
    schedule = SQUARE.prefix(1)
    decoder = ScaleDecoder(tiny_model(), tiny_text(), schedule)
    decode_all(decoder, tiny_inputs(schedule))
    assert decoder.cache.num_bytes == 0


def test_text_is_projected_once() -> None:
    model = tiny_model()
    calls = []
    for block in model.layers:
        block.cross_attn.kv.register_forward_hook(lambda *_: calls.append(1))
    decode_all(ScaleDecoder(model, tiny_text(), SQUARE), tiny_inputs(SQUARE))
    assert len(calls) == len(model.layers)


def test_samples_that_go_on_after_narrowing_are_not_changed() -> None:
    model, inputs = tiny_model(), tiny_inputs(SQUARE, batch_size=3)
    text = tiny_text((3, 5, 4))
    full = decode_all(ScaleDecoder(model, text, SQUARE), inputs)
    decoder = ScaleDecoder(model, text, SQUARE)
    with torch.no_grad():
        decoder.step(0, None)
        decoder.step(1, inputs[:, :4])
        decoder.narrow(2)
        last = decoder.step(2, inputs[:2, 4:])
    torch.testing.assert_close(last, full[2][:2], **TOL[torch.float32])


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_is_cached_as_bfloat16(autocast: bool) -> None:
    model, inputs = tiny_model(), tiny_inputs(SQUARE)
    expected = decode_all(ScaleDecoder(model, text := tiny_text(), SQUARE), inputs)
    if not autocast:
        model.bfloat16()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        decoder = ScaleDecoder(model, text, SQUARE)
        logits = decode_all(decoder, inputs)
    assert decoder.cache.num_bytes == 2 * 2 * 2 * 5 * 32 * 2
    for ours, full in zip(logits, expected, strict=True):
        torch.testing.assert_close(ours, full, rtol=0.1, atol=0.1)
