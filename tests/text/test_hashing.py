"""The hashing text encoder."""

from __future__ import annotations

import hashlib
import logging

import pytest
import torch

from infinity.text import HashingTextConfig, HashingTextEncoder

ONLY_WORDS = HashingTextConfig(width=64, bigram_weight=0, position_weight=0)


def encoder(**options: float) -> HashingTextEncoder:
    return HashingTextEncoder(HashingTextConfig(**{"width": 64, "max_len": 8, **options}))


def test_signs_are_the_bits_of_a_published_hash() -> None:
    states = HashingTextEncoder(ONLY_WORDS).encode(["red"]).states_BME
    digest = hashlib.shake_256(b"red").digest(8)
    expected = [1.0 if byte >> i & 1 else -1.0 for byte in digest for i in range(8)]
    assert states[0, 0].tolist() == expected


def test_states_do_not_depend_on_what_was_encoded_before() -> None:
    fresh, used = encoder(), encoder()
    used.encode([f"word{i} and another" for i in range(100)])
    assert torch.equal(fresh.encode(["a red circle"]).states_BME, used.encode(["a red circle"]).states_BME)


def test_captions_are_padded_with_zeros_and_end_with_a_mark() -> None:
    text = encoder().encode(["red", "two red, round things"])
    assert text.mask_BM.sum(1).tolist() == [2, 6]  # words, the comma, the end mark
    assert text.states_BME.shape == (2, 6, 64)
    assert not text.states_BME[0, 2:].any()
    alone = encoder().encode(["red"])
    assert torch.equal(text.states_BME[0, :2], alone.states_BME[0])


def test_an_empty_caption_is_one_end_mark() -> None:
    assert encoder().encode([""]).mask_BM.tolist() == [[True]]


def test_words_differ_and_letter_case_does_not_matter() -> None:
    states = HashingTextEncoder(ONLY_WORDS).encode(["red blue Red"]).states_BME[0]
    assert torch.equal(states[0], states[2])
    assert (states[0] @ states[1]).abs() / 64 < 0.5


@pytest.mark.parametrize("signal", ["bigram_weight", "position_weight"])
def test_each_signal_alone_tells_word_orders_apart(signal: str) -> None:
    options = {"bigram_weight": 0.0, "position_weight": 0.0}
    (red, _, _), (_, also_red, _) = encoder(**options).encode(["red circle", "circle red"]).states_BME
    assert torch.equal(red, also_red)
    options[signal] = 0.5
    (red, _, _), (_, also_red, _) = encoder(**options).encode(["red circle", "circle red"]).states_BME
    assert not torch.allclose(red, also_red)


def test_long_captions_are_cut_counted_and_announced_once(caplog: pytest.LogCaptureFixture) -> None:
    encoding = encoder(max_len=4)
    with caplog.at_level(logging.WARNING):
        text = encoding.encode(["one two three", "one two three four five", "a b c d e f"])
    assert text.mask_BM.sum(1).tolist() == [4, 4, 4]
    assert encoding.num_truncated == 2
    assert [record.getMessage() for record in caplog.records] == [
        "a caption of 5 words is cut to 3 (further ones are only counted): one two three four five..."
    ]
    assert torch.equal(text.states_BME[0], text.states_BME[1])  # the end mark stays


def test_the_fingerprint_names_every_setting() -> None:
    options = [{}, {"width": 32}, {"max_len": 9}, {"bigram_weight": 0.1}, {"position_weight": 0.1}]
    assert len({encoder(**option).fingerprint for option in options}) == len(options)
    assert encoder().fingerprint == encoder().fingerprint


@pytest.mark.parametrize("options", [{"width": 12}, {"width": 0}, {"max_len": 0}])
def test_impossible_sizes_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        HashingTextConfig(**options)
