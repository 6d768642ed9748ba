"""Models as directories."""

from __future__ import annotations

import json
import os

import pytest
import torch

from infinity.checkpoints.io import (
    hash_weights,
    load_infinity,
    load_vae,
    read_config,
    save_pretrained,
    weights_sha256,
)
from infinity.json_files import write_json
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


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_who_may_read_and_write_a_model_is_up_to_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        save_pretrained(tmp_path / "a", VAE(VAE_CONFIG))
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").iterdir()} == {mode}


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is not JSON"),
        ("[]", "config.json must hold a JSON object, got list"),
        ('{"kind": "vae"}', "config.json has no 'version' or no 'config'"),
        ('{"kind": "vae", "version": "1", "config": {}}', "config.json has no 'version' or no 'config'"),
        ('{"kind": "vae", "version": 1, "config": []}', "config.json has no 'version' or no 'config'"),
    ],
)
def test_a_damaged_config_is_refused_in_one_sentence(tmp_path, text, message):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        load_vae(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_config_is_read_without_the_weights(tmp_path):
    save_pretrained(tmp_path, Infinity(INFINITY_CONFIG), extra={"step": 3})
    (tmp_path / "model.safetensors").unlink()
    assert read_config(tmp_path, "transformer") == (INFINITY_CONFIG, {"step": 3})
    with pytest.raises(
        FileNotFoundError, match=r"holds no model\.safetensors; copy the whole directory again"
    ):
        load_infinity(tmp_path)


def test_files_of_two_saves_are_not_taken_for_one_model(tmp_path):
    for name in ("a", "b"):
        save_pretrained(tmp_path / name, VAE(VAE_CONFIG))
    (tmp_path / "a" / "config.json").replace(tmp_path / "b" / "config.json")
    for use in (load_vae, weights_sha256):
        with pytest.raises(
            ValueError, match=r"model\.safetensors and config\.json beside it come from two saves"
        ):
            use(tmp_path / "b")
    content = json.loads((tmp_path / "b" / "config.json").read_text())
    del content["weights_sha256"]  # as in older formats
    write_json(tmp_path / "b" / "config.json", content)
    vae = load_vae(tmp_path / "b")
    assert weights_sha256(tmp_path / "b") == hash_weights(vae.state_dict())


def test_large_models_are_cut_into_shards_with_an_index(tmp_path):
    model = Infinity(INFINITY_CONFIG)
    save_pretrained(tmp_path / "whole", model)
    save_pretrained(tmp_path / "cut", model, max_shard_size=40_000)
    index = json.loads((tmp_path / "cut" / "model.safetensors.index.json").read_text())
    weights = model.state_dict()
    assert index["weight_map"].keys() == weights.keys()
    assert index["metadata"]["total_size"] == sum(tensor.nbytes for tensor in weights.values())
    files = sorted(set(index["weight_map"].values()))
    assert files[0] == f"model-00001-of-{len(files):05d}.safetensors"
    assert {path.name for path in (tmp_path / "cut").glob("*.safetensors")} == set(files)
    sizes = [sum(weights[k].nbytes for k, f in index["weight_map"].items() if f == file) for file in files]
    assert max(sizes) <= 40_000
    assert_same_weights(weights, load_infinity(tmp_path / "cut").model.state_dict())
    assert weights_sha256(tmp_path / "cut") == weights_sha256(tmp_path / "whole") == hash_weights(weights)


def test_a_save_removes_the_weights_of_one_before_it(tmp_path):
    for size, whole in ((40_000, False), (10_000, False), (10**9, True), (40_000, False)):
        model = Infinity(INFINITY_CONFIG)
        save_pretrained(tmp_path, model, max_shard_size=size)
        assert (tmp_path / "model.safetensors").exists() == whole
        assert (tmp_path / "model.safetensors.index.json").exists() != whole
        assert_same_weights(model.state_dict(), load_infinity(tmp_path).model.state_dict())


def test_a_missing_shard_is_named(tmp_path):
    save_pretrained(tmp_path, Infinity(INFINITY_CONFIG), max_shard_size=40_000)
    first = min(path.name for path in tmp_path.glob("model-*"))
    (tmp_path / first).unlink()
    with pytest.raises(FileNotFoundError, match=f"holds no {first}; copy the whole directory again"):
        load_infinity(tmp_path)


def test_the_hash_tells_names_types_shapes_and_values_apart():
    weights = {"a": torch.zeros(4), "b": torch.zeros(0)}
    others = (
        {"c": weights["a"], "b": weights["b"]},
        {"a": torch.zeros(4, dtype=torch.int32), "b": weights["b"]},
        {"a": torch.zeros(2, 2), "b": weights["b"]},
        {"a": torch.ones(4), "b": weights["b"]},
    )
    assert len({hash_weights(some) for some in (weights, *others)}) == 5
    assert hash_weights(weights) == hash_weights({"b": weights["b"], "a": torch.zeros(4, 2)[:, 0]})


def test_a_newer_format_is_refused(tmp_path):
    save_pretrained(tmp_path, VAE(VAE_CONFIG))
    content = json.loads((tmp_path / "config.json").read_text())
    write_json(tmp_path / "config.json", {**content, "version": 99})
    with pytest.raises(ValueError, match="format version 99, this package reads up to 1"):
        load_vae(tmp_path)
