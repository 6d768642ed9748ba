"""``python -m infinity convert``, in process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.__main__ import main
from infinity.checkpoints.io import load_infinity, load_vae, read_config, save_pretrained, weights_sha256
from infinity.pipeline import InfinityPipeline
from infinity.sampling import SamplingConfig
from infinity.schedules import ASPECT_RATIOS
from infinity.vae import VAE, VAEConfig
from tests.checkpoints.official_files import VAE_CONFIG, official_transformer, official_vae
from tests.pipelines import tiny_pipeline


def convert(*arguments: object) -> None:
    main(["convert", *map(str, arguments)])


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def refusal(*arguments: object) -> str:
    """The sentence that a conversion ends with."""
    with pytest.raises(SystemExit) as caught:
        convert(*arguments)
    assert isinstance(caught.value.code, str)
    assert "\n" not in caught.value.code
    return caught.value.code


@pytest.fixture(scope="module")
def text_encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved T5 with a byte tokenizer, as wide as the transformer expects."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("t5")
    torch.manual_seed(0)
    config = transformers.T5Config(vocab_size=384, d_model=16, d_kv=4, d_ff=32, num_layers=1, num_heads=4)
    transformers.T5ForConditionalGeneration(config).save_pretrained(path)
    transformers.ByT5Tokenizer().save_pretrained(path)
    return path


def test_official_files_become_a_pipeline_that_draws(text_encoder: Path, tmp_path: Path) -> None:
    (vae, vae_state), (transformer, state) = official_vae(), official_transformer()
    convert(saved(tmp_path / "vae.pth", {"vae": vae_state}), tmp_path / "out/vae")
    convert(
        saved(tmp_path / "ar.pth", state),
        tmp_path / "out/transformer",
        *("--text-encoder", text_encoder, "--resolution", "0.06M"),
    )
    pipeline = InfinityPipeline.from_pretrained(tmp_path / "out")
    assert pipeline.resolution.pixels == "0.06M"
    assert pipeline.resolution.aspect_ratios[0] == 1
    assert set(pipeline.resolution.aspect_ratios) == set(ASPECT_RATIOS)
    assert pipeline.sampling == SamplingConfig(guidance=4, temperature=0.5, top_p=0.97)
    direct = InfinityPipeline(
        vae,
        transformer,
        text=pipeline.text,
        resolution=pipeline.resolution,
        sampling=pipeline.sampling,
    )
    drawn = pipeline("a cat", seeds=[3], output_type="pt")
    assert isinstance(drawn.images, Tensor)
    assert drawn.images.shape == (1, 3, 256, 256)
    expected = direct("a cat", seeds=[3], output_type="bits")
    assert all(torch.equal(*bits) for bits in zip(drawn.bits, expected.bits, strict=True))


def test_what_a_file_holds_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, vae = official_vae()
    _, transformer = official_transformer()
    training = {"trainer": {"vae_local": vae, "gpt_fsdp": transformer}}
    convert("--dry-run", saved(tmp_path / "vae.pth", {"vae": vae}), tmp_path / "vae")
    convert("--dry-run", saved(tmp_path / "ar.pth", training), tmp_path / "ar", "--rope-grid", "interpolate")
    told = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for expected in (
        "model tokenizer, of no published size",
        "bits 4 per cell, 4 per token",
        "stride 16 pixels per cell, 16 per token",
        "model transformer, of no published size",
        "size depth 4, width 32, 2 heads",
        "found at trainer/gpt_fsdp",
        "also in it trainer/vae_local (--place)",
        "layout block_chunks, 2 of them",
        "RoPE grid interpolate (not told by weights: --rope-grid)",
        "nothing was written (--dry-run)",
    ):
        assert expected in told
    assert {path.name for path in tmp_path.iterdir()} == {"vae.pth", "ar.pth"}


def test_the_options_that_weights_do_not_tell_reach_the_configs(tmp_path: Path) -> None:
    _, state = official_transformer(chunked=False)
    source = saved(tmp_path / "ar.pth", state)
    convert(source, tmp_path / "a", "--rope-grid", "index", "--scale-embedding", "every_chunk")
    config, extra = read_config(tmp_path / "a", "transformer")
    assert (config.rope_grid, config.scale_embedding, config.num_chunks) == ("index", "every_chunk", 4)
    assert extra["text"]["huggingface"]["model"] == "google/flan-t5-xl"
    assert extra["text"]["huggingface"]["max_len"] == 12
    assert extra["resolution"]["pixels"] == "1M"
    _, state = official_vae()
    convert(saved(tmp_path / "vae.pth", {"vae": state}), tmp_path / "b", "--patchify", 2)
    assert load_vae(tmp_path / "b").config.patchify == 2


def test_what_a_training_run_says_is_taken_unless_an_option_says_otherwise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, state = official_transformer()
    arguments = {"rope2d_normalized_by_hw": 1, "add_lvl_embeding_only_first_block": 0, "pn": "0.25M"}
    source = saved(tmp_path / "ar.pth", {"args": arguments, "trainer": {"gpt_fsdp": state}})
    convert(source, tmp_path / "a")
    convert(source, tmp_path / "b", "--rope-grid", "index", "--resolution", "1M")
    told = capsys.readouterr().out
    assert "interpolate (told by the training run: --rope-grid)" in told
    assert "index (not told by weights: --rope-grid)" in told
    saids = [("interpolate", "every_chunk", "0.25M"), ("index", "every_chunk", "1M")]
    for target, said in zip("ab", saids, strict=True):
        config, extra = read_config(tmp_path / target, "transformer")
        assert (config.rope_grid, config.scale_embedding, extra["resolution"]["pixels"]) == said


def test_one_of_several_weights_can_be_chosen(tmp_path: Path) -> None:
    _, state = official_transformer()
    average = {name: value + 1 for name, value in state.items()}
    source = saved(tmp_path / "ar.pth", {"trainer": {"gpt_fsdp": state, "gpt_ema_fsdp": average}})
    for target, place in (("a", []), ("b", ["--place", "trainer/gpt_ema_fsdp"])):
        convert(source, tmp_path / target, *place)
    plain, averaged = (load_infinity(tmp_path / target).model for target in ("a", "b"))
    assert torch.equal(plain.pos_start + 1, averaged.pos_start)


@pytest.mark.parametrize("chunked", [True, False])
def test_the_way_back_restores_a_transformer_file(tmp_path: Path, chunked: bool) -> None:
    _, state = official_transformer(chunked=chunked)
    state = {name: value.bfloat16() if "ffn" in name else value for name, value in state.items()}
    convert(saved(tmp_path / "ar.pth", state), tmp_path / "ours", "--scale-embedding", "every_chunk")
    convert("--to-official", tmp_path / "ours", tmp_path / "back.pth")
    assert_same(torch.load(tmp_path / "back.pth", weights_only=True), state)
    assert (tmp_path / "back.pth").stat().st_size == pytest.approx(
        (tmp_path / "ar.pth").stat().st_size, rel=0.1
    )


def test_the_way_back_restores_a_tokenizer_file(tmp_path: Path) -> None:
    _, state = official_vae()
    convert(saved(tmp_path / "vae.pth", {"vae": state}), tmp_path / "ours")
    convert("--to-official", tmp_path / "ours", tmp_path / "back.pth")
    back = torch.load(tmp_path / "back.pth", weights_only=True)
    assert back.keys() == {"vae"}
    assert_same(back["vae"], state)


def assert_same(found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype, name
        assert torch.equal(found[name], tensor), name


def test_our_own_models_can_go_the_way_too(tmp_path: Path) -> None:
    model, state = official_transformer()
    save_pretrained(tmp_path / "ours", model)
    convert("--to-official", tmp_path / "ours", tmp_path / "theirs.pth")
    assert_same(torch.load(tmp_path / "theirs.pth", weights_only=True), state)


def test_shards_and_single_files_give_the_same_model(tmp_path: Path) -> None:
    _, state = official_transformer()
    folder = tmp_path / "shards"
    folder.mkdir()
    names = sorted(state)
    files = {name: f"pytorch_model-0000{1 + i % 2}-of-00002.bin" for i, name in enumerate(names)}
    for file in set(files.values()):
        torch.save({name: state[name] for name in names if files[name] == file}, folder / file)
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    convert(folder, tmp_path / "a")
    convert(saved(tmp_path / "ar.pth", state), tmp_path / "b")
    assert weights_sha256(tmp_path / "a") == weights_sha256(tmp_path / "b")


def test_an_incomplete_file_is_refused_and_nothing_written(tmp_path: Path) -> None:
    _, state = official_transformer()
    del state["head.bias"]
    source = saved(tmp_path / "ar.pth", state)
    message = (
        f"{source} can't be converted: the weights are not those of one official model: 1 missing (head.bias)"
    )
    assert refusal(source, tmp_path / "new/out") == f"error: {message}"
    assert [path.name for path in tmp_path.iterdir()] == ["ar.pth"]


def test_unknown_weights_are_left_out_on_request_only(tmp_path: Path) -> None:
    _, state = official_vae()
    source = saved(
        tmp_path / "vae.pth", {"vae": {**state, "disc.a": torch.zeros(1), "disc.b": torch.zeros(1)}}
    )
    assert "2 unexpected (disc.a, disc.b)" in refusal(source, tmp_path / "out")
    convert(source, tmp_path / "out", "--ignore", "disc.*")
    assert load_vae(tmp_path / "out").config == VAE_CONFIG


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    _, state = official_vae()
    source = saved(tmp_path / "vae.pth", {"vae": state})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note").touch()
    (tmp_path / "empty").mkdir()
    for target in (tmp_path / "full", source):
        assert f"{target} exists already and nothing is overwritten" in refusal(source, target)
    convert(source, tmp_path / "empty")
    assert load_vae(tmp_path / "empty").config == VAE_CONFIG


@pytest.mark.parametrize("target", ["vae.pth/out", "long" * 100])
def test_a_failing_write_leaves_nothing_behind(tmp_path: Path, target: str) -> None:
    _, state = official_vae()
    source = saved(tmp_path / "vae.pth", {"vae": state})
    before = source.read_bytes()
    assert refusal(source, tmp_path / target).startswith("error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["vae.pth"]
    assert source.read_bytes() == before


def test_the_wrong_direction_is_noticed(tmp_path: Path) -> None:
    save_pretrained(tmp_path / "ours", VAE(VAE_CONFIG))
    assert "is a saved model already; did you mean --to-official?" in refusal(
        tmp_path / "ours", tmp_path / "a"
    )
    arguments = ("--to-official", tmp_path / "ours", tmp_path / "folder")
    assert "writes one file that ends with .pth, got" in refusal(*arguments)
    assert "there is no file" in refusal(tmp_path / "nothing.pth", tmp_path / "a")
    assert "config.json" in refusal("--to-official", tmp_path / "nothing", tmp_path / "a.pth")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        (
            "config.json",
            {"model_type": "t5", "architectures": ["T5Model"]},
            "a model of transformers (t5, T5Model)",
        ),
        ("config.json", {"_class_name": "AutoencoderKL"}, "a model of diffusers (AutoencoderKL)"),
        ("model_index.json", {"_class_name": "FluxPipeline"}, "a pipeline of diffusers (FluxPipeline)"),
        (".metadata", {}, "a training checkpoint in shards"),
        ("config.json", {"kind": "cake"}, "no index of shards"),
    ],
)
def test_a_folder_of_something_else_is_told_with_what_it_is(
    tmp_path: Path, file: str, content: dict[str, Any], told: str
) -> None:
    (tmp_path / file).write_text(json.dumps(content))
    assert f"{tmp_path} holds {told}" in refusal(tmp_path, tmp_path / "out")
    if "model of" in told:
        assert f"{tmp_path} holds {told}, expected a transformer" in refusal(
            "--to-official", tmp_path, "a.pth"
        )


def test_a_saved_pipeline_is_told_with_its_parts(tmp_path: Path) -> None:
    tiny_pipeline().save_pretrained(tmp_path)
    assert "holds a saved pipeline, of which vae/ and transformer/ are" in refusal(tmp_path, tmp_path / "out")


def test_a_config_of_others_beside_official_shards_is_no_hindrance(tmp_path: Path) -> None:
    model, state = official_transformer()
    folder = tmp_path / "shards"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model-00001-of-00001.bin")
    files = dict.fromkeys(state, "pytorch_model-00001-of-00001.bin")
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": files}))
    (folder / "config.json").write_text('{"model_type": "infinity"}')
    convert(folder, tmp_path / "out")
    assert torch.equal(load_infinity(tmp_path / "out").model.pos_start, model.pos_start)


def test_a_tokenizer_that_is_not_official_has_no_way_back(tmp_path: Path) -> None:
    save_pretrained(tmp_path / "ours", VAE(VAEConfig(base_channels=8, stem_patch=4)))
    sentence = refusal("--to-official", tmp_path / "ours", tmp_path / "a.pth")
    assert "official tokenizers have stem_patch 1" in sentence
    assert not (tmp_path / "a.pth").exists()
