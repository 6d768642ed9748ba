"""Official weights are recognised by their names and shapes, and built only if they are complete."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.checkpoints.official import (
    build_transformer,
    build_vae,
    find_official_state,
    official_names,
    official_pixels,
    official_sampling,
    training_options,
)
from infinity.checkpoints.official_ar import export_official_transformer, infer_official_transformer
from infinity.checkpoints.official_vae import OFFICIAL_VAES, export_official_vae, infer_official_vae
from infinity.transformer import PRESETS, Infinity, InfinityConfig
from infinity.vae import VAE, VAEConfig
from tests.checkpoints.official_files import (
    TRANSFORMER_CONFIG,
    VAE_CONFIG,
    official_transformer,
    official_vae,
)

SOURCE = Path("file.pth")
LAST_BLOCK = [
    f"block_chunks.1.module.1.{name}" for name in ("ada_gss", "sa.q_bias", "sa.v_bias", "ffn.fc1.bias")
]
PUBLISHED = [name for name in PRESETS if not name.startswith("cpu")]


@pytest.mark.parametrize("name", OFFICIAL_VAES)
def test_released_tokenizers_are_read_off_their_shapes(name: str) -> None:
    config = OFFICIAL_VAES[name]
    with torch.device("meta"):
        state = export_official_vae(VAE(config).state_dict(), config)
    assert infer_official_vae(state) == config
    assert name in official_names(config)


def test_released_tokenizers_have_the_published_size() -> None:
    with torch.device("meta"):
        vae = VAE(OFFICIAL_VAES["infinity_vae_d32reg"])
    millions = [sum(p.numel() for p in part.parameters()) / 1e6 for part in (vae.encoder, vae.decoder)]
    assert [round(size, 1) for size in millions] == [45.0, 65.1]
    assert OFFICIAL_VAES["infinity_vae_d56_f8_14_patchify"].token_bits == 56
    assert {config.token_stride for config in OFFICIAL_VAES.values()} == {16}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_transformers_are_read_off_their_shapes(name: str) -> None:
    config = InfinityConfig(**PRESETS[name])
    with torch.device("meta"):
        state = export_official_transformer(
            Infinity(config).state_dict(), config, chunked=config.num_chunks > 1
        )
    found = infer_official_transformer(state, drop_path=config.drop_path)
    assert found == config
    assert official_names(found) == [name]


def test_settings_of_published_transformers_are_those_of_the_official_scripts() -> None:
    settings = {name: official_sampling(InfinityConfig(**PRESETS[name])) for name in PUBLISHED}
    assert (settings["2b"].guidance, settings["2b"].temperature, settings["2b"].top_p) == (4, 0.5, 0.97)
    assert (settings["8b"].guidance, settings["8b"].temperature, settings["8b"].top_p) == (3, 1, 0.97)
    pixels = {name: official_pixels(InfinityConfig(**PRESETS[name])) for name in ("2b", "8b", "125M")}
    assert pixels == {"2b": "1M", "8b": "1M", "125M": "0.06M"}
    assert official_pixels(TRANSFORMER_CONFIG) == "1M"


def test_without_chunks_the_scale_embedding_of_every_chunk_comes_before_every_block() -> None:
    _, state = official_transformer(chunked=False)
    assert infer_official_transformer(state).num_chunks == 1
    assert infer_official_transformer(state, scale_embedding="every_chunk").num_chunks == 4
    _, state = official_transformer(chunked=True)
    assert infer_official_transformer(state, scale_embedding="every_chunk").num_chunks == 2


@pytest.mark.parametrize("chunked", [True, False])
def test_models_are_built_with_the_weights_bit_by_bit(chunked: bool) -> None:
    model, state = official_transformer(chunked=chunked)
    built = build_transformer(state)
    assert built.config.num_chunks == (2 if chunked else 1)
    assert_same(model, built)
    vae, state = official_vae()
    assert_same(vae, build_vae(state))
    assert build_vae(state).config == VAE_CONFIG


def assert_same(ours: torch.nn.Module, theirs: torch.nn.Module) -> None:
    mine, others = ours.state_dict(), theirs.state_dict()
    assert mine.keys() == others.keys()
    assert all(torch.equal(mine[name], others[name]) for name in mine)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head.bias": None}, r"official model: 1 missing \(head\.bias\)$"),
        ({"extra.1": 3, "extra.0": 3}, r"2 unexpected \(extra\.0, extra\.1\)$"),
        ({"pos_start": 3}, r"1 of another shape \(pos_start \(3,\) instead of \(1, 1, 32\)\)$"),
        ({"head.bias": None, "x": 3}, r"1 missing \(head\.bias\), 1 unexpected \(x\)$"),
        ({"cfg_uncond": None}, r"the weights have no cfg_uncond"),
        ({"word_embed.weight": 3}, r"word_embed\.weight must have 2 dimensions, .* got the shape \(3,\)"),
        (dict.fromkeys(LAST_BLOCK), r"4 missing \(.*ada_gss, .*fc1\.bias, .*sa\.q_bias, \.\.\)$"),
    ],
)
def test_transformers_that_are_not_complete_are_refused(change: dict[str, Any], message: str) -> None:
    _, state = official_transformer()
    for name, size in change.items():
        state.pop(name, None)
        if size is not None:
            state[name] = torch.zeros(size)
    with pytest.raises(ValueError, match=message):
        build_transformer(state)


def test_tokenizers_that_are_not_complete_are_refused() -> None:
    _, state = official_vae()
    del state["decoder.up.0.block.1.conv2.conv.weight"]
    with pytest.raises(ValueError, match=r"1 missing \(decoder\.up\.0\.block\.1\.conv2\.conv\.weight\)"):
        build_vae(state)


def test_a_tokenizer_without_channels_is_refused() -> None:
    _, state = official_vae()
    state["encoder.conv_in.conv.weight"] = torch.zeros(0, 3, 3, 3)
    with pytest.raises(ValueError, match=r"conv_in\.conv\.weight must have 4 dimensions, none of them 0"):
        build_vae(state)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda weight: weight.int(), r"torch\.int32 \(strided, cpu\)"),
        (lambda weight: weight.cfloat(), r"torch\.complex64 \(strided, cpu\)"),
        (lambda weight: weight.to_sparse(), r"torch\.float32 \(sparse_coo, cpu\)"),
        (lambda weight: weight.to("meta"), r"torch\.float32 \(strided, meta\)"),
    ],
    ids=["integers", "complex", "sparse", "without-values"],
)
def test_weights_that_no_model_can_hold_are_refused(change: Callable[[Tensor], Tensor], found: str) -> None:
    _, state = official_transformer()
    state["head.weight"] = change(state["head.weight"])
    with pytest.raises(ValueError, match=rf"^head\.weight must hold plain .* numbers, got {found}$"):
        build_transformer(state)


def test_buffers_that_learn_nothing_may_be_missing() -> None:
    model, state = official_transformer()
    state = {name: value for name, value in state.items() if "zero_k_bias" not in name}
    assert_same(model, build_transformer(state))


@pytest.mark.parametrize(
    ("prefixes", "name"),
    [
        ({"": "module."}, "module.head.bias"),
        ({"": "_orig_mod."}, "_orig_mod.head.bias"),
        ({"": "module._orig_mod."}, "module._orig_mod.head.bias"),
        ({"block_chunks.0.": "block_chunks.0._orig_mod."}, "block_chunks.0._orig_mod.module.0.ada_gss"),
        (
            {"module.1.": "module.1._fsdp_wrapped_module._checkpoint_wrapped_module."},
            "block_chunks.0.module.1._fsdp_wrapped_module._checkpoint_wrapped_module.ada_gss",
        ),
    ],
)
def test_names_that_wrappers_put_in_are_left_out(prefixes: dict[str, str], name: str) -> None:
    _, state = official_transformer()
    ((old, new),) = prefixes.items()
    wrapped = {key.replace(old, new, 1): value for key, value in state.items()}
    assert name in wrapped
    assert find_official_state(wrapped, SOURCE).tensors.keys() == state.keys()


def test_two_weights_that_get_one_name_are_refused() -> None:
    _, state = official_transformer()
    state["_orig_mod.head.bias"] = state["head.bias"] + 1
    with pytest.raises(ValueError, match="two weights at '' have one name"):
        find_official_state(state, SOURCE)


def test_weights_are_found_where_official_files_keep_them() -> None:
    _, vae = official_vae()
    _, model = official_transformer()
    optimizer = {"state": {name: {"exp_avg": value} for name, value in model.items()}}
    weights = {"vae_local": vae, "gpt_ema_fsdp": model, "gpt_fsdp": model}
    training = {"trainer": {**weights, "gpt_fsdp_opt": optimizer, "config": {"a": 1}}}
    places = ("trainer/vae_local", "trainer/gpt_ema_fsdp", "trainer/gpt_fsdp")
    found = find_official_state({"epoch": 3, **training}, SOURCE)
    assert (found.kind, found.place) == ("transformer", "trainer/gpt_fsdp")
    assert found.other_places == places[:2]
    for place in places:
        kind = "vae" if "vae" in place else "transformer"
        assert find_official_state(training, SOURCE, place=place)[::2] == (kind, place)
    for content, place in (({"vae": vae, "ema": vae}, "vae"), (model, ""), ({"x": {"y": vae}}, "x/y")):
        assert find_official_state(content, SOURCE).place == place


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": torch.zeros(1), 3: 4}, r"file\.pth holds no official .* weights: it has 2 entries \(3, a\)"),
        ({}, "it has no entries"),
        ([1], "it has a list"),
        (torch.zeros(1), "it has a Tensor"),
    ],
)
def test_other_content_is_refused(content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_official_state(content, SOURCE)


def test_a_place_that_holds_nothing_is_refused_with_those_that_do() -> None:
    _, state = official_vae()
    with pytest.raises(ValueError, match=r"holds no weights at 'ema': it has weights at 'vae'"):
        find_official_state({"vae": state}, SOURCE, place="ema")


def test_weights_that_are_no_tensors_are_refused_unless_they_are_ignored() -> None:
    _, state = official_vae()
    state["disc.note"] = "text"  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match=r"other things than tensors among its weights, such as disc\.note"):
        find_official_state(state, SOURCE)
    assert "disc.note" not in find_official_state(state, SOURCE, ignore=("disc.*",)).tensors


def test_masks_that_older_official_code_stored_are_left_out() -> None:
    model, state = official_transformer()
    masks = ("lvl_1L", "attn_bias_for_masking", "Infinity_visible_kvlen", "Infinity_invisible_qlen")
    found = find_official_state(state | dict.fromkeys(masks, torch.zeros(1, 5)), SOURCE)
    assert_same(model, build_transformer(found.tensors))


@pytest.mark.parametrize("arguments", [None, [], {"pn": ["1M"]}, {"pn": "9M", "rope2d_normalized_by_hw": 7}])
def test_arguments_of_other_kinds_say_nothing(arguments: Any) -> None:
    assert training_options({"args": arguments}) == {}
    assert training_options([arguments]) == {}


def test_our_own_kinds_of_models_have_no_official_form() -> None:
    config = InfinityConfig(head="indexwise", token_bits=4)
    with pytest.raises(ValueError, match="official transformers have a bitwise head, got head indexwise"):
        export_official_transformer(Infinity(config).state_dict(), config, chunked=False)
    with pytest.raises(ValueError, match="stem_patch 1 and quantizer kind bsq, got 4 and bsq"):
        export_official_vae({}, VAEConfig(stem_patch=4))
