"""Models as directories."""

from __future__ import annotations

import json

import pytest
import torch

from infinity.checkpoints.io import load_infinity, load_vae, save_pretrained, weights_sha256, write_json
from infinity.quantizers import QuantizerConfig
from infinity.transformer import Infinity, InfinityConfig
from infinity.vae import VAE, VAEConfig

VAE_CONFIG = VAEConfig(
    quantizer=QuantizerConfig(num_bits=4),
    base_channels=8,
    encoder_multipliers=(1,),
    decoder_multipliers=(1,),
    num_res_blocks=1,
    stem_patch=4,
)
INFINITY_CONFIG = InfinityConfig(depth=1, width=32, num_heads=2, token_bits=4, text_width=16, text_max_len=8)


def assert_same_weights(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_a_tokenizer_survives_saving(tmp_path):
    vae = VAE(VAE_CONFIG)
    save_pretrained(tmp_path, vae)
    loaded = load_vae(tmp_path)
    assert loaded.config == VAE_CONFIG
    assert not loaded.training
    assert_same_weights(vae.state_dict(), loaded.state_dict())


def test_a_transformer_survives_saving_with_what_is_said_about_it(tmp_path):
    model = Infinity(INFINITY_CONFIG)
    save_pretrained(tmp_path, model, extra={"step": 3})
    loaded = load_infinity(tmp_path)
    assert loaded.extra == {"step": 3}
    assert loaded.model.config == INFINITY_CONFIG
    assert_same_weights(model.state_dict(), loaded.model.state_dict())


def test_saving_leaves_no_temporary_files_and_the_hash_names_the_weights(tmp_path):
    save_pretrained(tmp_path / "a", VAE(VAE_CONFIG))
    first = weights_sha256(tmp_path / "a")
    save_pretrained(tmp_path / "a", VAE(VAE_CONFIG))
    assert weights_sha256(tmp_path / "a") != first
    assert {path.name for path in (tmp_path / "a").iterdir()} == {"config.json", "model.safetensors"}


def test_a_missing_directory_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing holds no config.json: expected the directory"):
        load_vae(tmp_path / "nothing")


def test_another_kind_of_model_is_refused(tmp_path):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    with pytest.raises(ValueError, match="holds a model of kind 'vae', expected a transformer"):
        load_infinity(tmp_path)


def test_weights_of_another_config_are_refused(tmp_path):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    content = json.loads((tmp_path / "config.json").read_text())
    content["config"]["base_channels"] = 16
    write_json(tmp_path / "config.json", content)
    with pytest.raises(ValueError, match=r"do not fit its config.json: 66 of another shape \(.*, \.\.\)"):
        load_vae(tmp_path)


def test_a_truncated_file_is_refused_in_one_sentence(tmp_path):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(ValueError, match="is damaged or truncated"):
        load_vae(tmp_path)


def test_a_newer_format_is_refused(tmp_path):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    content = json.loads((tmp_path / "config.json").read_text())
    write_json(tmp_path / "config.json", {**content, "version": 99})
    with pytest.raises(ValueError, match="format version 99, this package reads up to 1"):
        load_vae(tmp_path)
