"""``python -m infinity plan``, in process."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from infinity.__main__ import main
from infinity.checkpoints.io import save_pretrained
from infinity.schedules import paper_schedule
from infinity.transformer import PRESETS, InfinityConfig
from infinity.transformer.flops import num_parameters
from infinity.vae import VAE
from tests.pipelines import tiny_pipeline


def plan(capsys, *arguments: str) -> str:
    main(["plan", *arguments])
    return capsys.readouterr().out


def test_a_size_of_the_paper_in_tables_and_one_sentence(capsys):
    text = plan(capsys, "--model", "2B", "--resolution", "1024", "--strategy", "fsdp", "--devices", "64")
    for part in ("2.205 G", "10521 tokens", "1024 x 1024", "KV cache", "optimizer states"):
        assert part in text
    assert re.search(
        r"training peaks at [\d.]+ GiB per device: (fits|does not fit) 80 GB; "
        r"drawing peaks at [\d.]+ GiB per device: fits 80 GB",
        text.replace("\n", " "),
    )


def test_json_says_the_same_in_bytes(capsys):
    options = ["--model", "125m", "--json", "--aspect-ratio", "1.5", "--batch-size", "2"]
    result = json.loads(plan(capsys, *options))
    schedule = paper_schedule(1.5, "0.06M")
    config = InfinityConfig(**PRESETS["125M"])
    assert result["num_tokens"] == schedule.seq_len
    assert result["image_size"] == [336, 224]
    assert result["parameters"]["transformer"] == num_parameters(config)
    training = result["bytes_per_device"]["training"]
    assert training["weights"] == 4 * num_parameters(config)
    assert training["fits"]
    drawing = result["bytes_per_device"]["drawing"]
    cached = schedule.seq_len - schedule.final.area
    assert drawing["kv_cache"] == 2 * 2 * cached * 2 * config.depth * config.width * 2  # guided, bfloat16
    unguided = json.loads(plan(capsys, *options, "--guidance", "1"))
    assert unguided["bytes_per_device"]["drawing"]["kv_cache"] == drawing["kv_cache"] / 2
    assert unguided["flops_per_image"]["drawing"] == result["flops_per_image"]["drawing"] / 2


def test_a_saved_model_is_planned_with_its_tokenizer_and_resolution(capsys, tmp_path):
    pipeline = tiny_pipeline()
    pipeline.save_pretrained(tmp_path)
    for directory in (tmp_path, tmp_path / "transformer"):
        result = json.loads(plan(capsys, "--model", str(directory), "--json", "--aspect-ratio", "0.6"))
        assert result["parameters"]["transformer"] == num_parameters(pipeline.transformer.config)
        assert result["parameters"]["tokenizer"] == sum(p.numel() for p in pipeline.vae.parameters())
        assert result["num_tokens"] == pipeline.schedule(0.6).seq_len


def test_another_vocabulary_and_classifier(capsys):
    options = ["--model", "125m", "--bits", "16", "--json"]
    bitwise, indexwise = (
        json.loads(plan(capsys, *options, "--head", head))["parameters"]["classifier"]
        for head in ("bitwise", "indexwise")
    )
    assert (bitwise, indexwise) == (2 * 16 * 769, 2**16 * 769)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "3b"), "--model 3b is neither a size .125M, .* nor the directory of a saved model"),
        (("--model", "2b", "--resolution", "300"), "--resolution must be one of 256, .*, 1M, got 300"),
        (("--model", "2b", "--aspect-ratio", "1.1"), "the nearest is 1.0"),
        (("--model", "2b", "--head", "indexwise"), "takes at most 16 bits, got 32"),
        (("--model", "2b", "--devices", "2", "--strategy", "single"), "strategy single runs on 1 device"),
        (("--model", "2b", "--text-length", "0"), "text_length must be at least 1, got 0"),
        (("--model", "2b", "--memory", "0"), "--memory must be positive, got 0"),
        (("--model", "2b", "--memory", "nan"), "--memory must be positive, got nan"),
        (("--model", "2b", "--guidance", "-1"), r"guidance must be in \[0, 1000000\], got -1"),
    ],
)
def test_bad_input_ends_with_one_sentence(arguments, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        main(["plan", *arguments])


def test_the_paper_s_resolutions_need_tokens_of_its_size(capsys, tmp_path):
    pipeline = tiny_pipeline()
    save_pretrained(tmp_path / "vae", VAE(replace(pipeline.vae.config, stem_patch=2)))
    save_pretrained(tmp_path / "transformer", pipeline.transformer)
    with pytest.raises(SystemExit, match="error: --resolution 256 means tokens of 16 x 16 pixels, .* have 8"):
        main(["plan", "--model", str(tmp_path)])
