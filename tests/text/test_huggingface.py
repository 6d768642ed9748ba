"""Hugging Face text encoders, on a tiny T5 with random weights."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from infinity.text import HuggingFaceTextConfig, HuggingFaceTextEncoder, TextEncoderConfig, build_text_encoder
from infinity.text.huggingface import weights_digest
from tests.tolerances import TOL

transformers = pytest.importorskip("transformers")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A saved encoder-decoder T5 with a byte tokenizer."""
    path = tmp_path_factory.mktemp("t5")
    torch.manual_seed(0)
    config = transformers.T5Config(vocab_size=384, d_model=16, d_kv=4, d_ff=32, num_layers=2, num_heads=4)
    transformers.T5ForConditionalGeneration(config).save_pretrained(path)
    transformers.ByT5Tokenizer().save_pretrained(path)
    return str(path)


@pytest.fixture(scope="module")
def encoder(directory: str) -> HuggingFaceTextEncoder:
    return HuggingFaceTextEncoder(HuggingFaceTextConfig(model=directory, max_len=12))


def test_states_are_the_encoder_s_last_hidden_states(encoder: HuggingFaceTextEncoder, directory: str) -> None:
    model = transformers.T5EncoderModel.from_pretrained(directory)
    tokens = transformers.ByT5Tokenizer.from_pretrained(directory)("red", return_tensors="pt")
    with torch.no_grad():
        expected = model(input_ids=tokens["input_ids"]).last_hidden_state
    text = encoder.encode(["red"])
    torch.testing.assert_close(text.states_BME, expected, **TOL[torch.float32])
    assert text.mask_BM.tolist() == [[True] * 4]  # three bytes and the end token
    assert encoder.width == 16


def test_padding_is_zero_and_changes_nothing(encoder: HuggingFaceTextEncoder) -> None:
    text, alone = encoder.encode(["red", "a circle"]), encoder.encode(["red"])
    assert text.mask_BM.sum(1).tolist() == [4, 9]
    assert not text.states_BME[0, 4:].any()
    torch.testing.assert_close(text.states_BME[0, :4], alone.states_BME[0], **TOL[torch.float32])


def test_long_captions_are_cut_counted_and_announced_once(
    directory: str, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = HuggingFaceTextEncoder(HuggingFaceTextConfig(model=directory, max_len=6))
    with caplog.at_level(logging.WARNING, logger="infinity.text.huggingface"):
        text = encoder.encode(["short", "a longer caption", "another long one"])
    assert text.mask_BM.sum(1).tolist() == [6, 6, 6]
    assert encoder.num_truncated == 2
    assert [record.getMessage() for record in caplog.records] == [
        "a caption of 17 tokens is cut to 6 (further ones are only counted): a longer caption..."
    ]


def test_the_weights_are_frozen_and_of_the_asked_dtype(directory: str) -> None:
    config = HuggingFaceTextConfig(model=directory, max_len=12, dtype="bfloat16")
    encoder = HuggingFaceTextEncoder(config)
    assert {p.dtype for p in encoder._model.parameters()} == {torch.bfloat16}
    assert not any(p.requires_grad for p in encoder._model.parameters())
    assert not encoder._model.training
    assert encoder.encode(["red"]).states_BME.dtype == torch.float32


def test_the_fingerprint_changes_with_weights_and_settings(directory: str, tmp_path: Path) -> None:
    def fingerprint(model: str, max_len: int = 12) -> str:
        return HuggingFaceTextEncoder(HuggingFaceTextConfig(model=model, max_len=max_len)).fingerprint

    other = transformers.T5EncoderModel.from_pretrained(directory)
    with torch.no_grad():
        other.encoder.final_layer_norm.weight[3] += 0.1
    other.save_pretrained(tmp_path)
    transformers.ByT5Tokenizer.from_pretrained(directory).save_pretrained(tmp_path)
    prints = [
        fingerprint(directory),
        fingerprint(directory),
        fingerprint(str(tmp_path)),
        fingerprint(directory, 9),
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


@pytest.mark.parametrize("name", ["shared.weight", "encoder.block.1.layer.1.DenseReluDense.wo.weight"])
def test_the_fingerprint_changes_with_any_one_weight_and_with_their_order(
    encoder: HuggingFaceTextEncoder, name: str
) -> None:
    before = encoder.fingerprint
    weight = encoder._model.get_parameter(name)
    last, columns = weight[-1, -1].clone(), weight[:, [1, 3]].clone()
    try:
        weight[-1, -1] = last.nextafter(last + 1)
        assert encoder.fingerprint != before
        weight[-1, -1] = last
        assert encoder.fingerprint == before
        weight[:, [1, 3]] = weight[:, [3, 1]]
        assert encoder.fingerprint != before
    finally:
        weight[:, [1, 3]], weight[-1, -1] = columns, last
    assert encoder.fingerprint == before


@pytest.mark.parametrize("columns", [1, 4])
def test_the_layout_of_weights_in_memory_does_not_change_the_fingerprint(columns: int) -> None:
    def digest(weight: torch.Tensor) -> str:
        model = torch.nn.ParameterList([torch.nn.Parameter(weight), torch.nn.Parameter(torch.empty(0, 4))])
        return weights_digest(model, lambda text: {"input_ids": [len(text)]})

    weight = torch.randn(8, columns)
    padded = torch.nn.functional.pad(weight, (1, 0))
    assert digest(weight) == digest(weight.T.contiguous().T) == digest(padded[:, 1:])
    assert digest(weight) != digest(padded[:, :-1])


@pytest.mark.parametrize("model", ["/no/such/directory", "google/flan-t5-xl"])
def test_an_encoder_that_is_not_there_is_one_sentence(model: str) -> None:
    with pytest.raises(ValueError, match="must be a directory with config.json") as error:
        HuggingFaceTextEncoder(HuggingFaceTextConfig(model=model))
    assert model in str(error.value)
    assert "\n" not in str(error.value)


def test_encoders_are_built_by_kind(directory: str) -> None:
    assert build_text_encoder(TextEncoderConfig()).width == 256
    config = TextEncoderConfig(kind="huggingface", huggingface=HuggingFaceTextConfig(model=directory))
    encoder = build_text_encoder(config)
    assert (encoder.width, encoder.max_len) == (16, 512)
    assert encoder.to("cpu") is encoder
