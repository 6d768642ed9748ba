"""``python -m infinity generate``, in process."""

from __future__ import annotations

import hashlib
import json
import re

import pytest
from PIL import Image

from infinity.__main__ import main
from infinity.checkpoints.io import weights_sha256
from infinity.manifests import read_manifest
from infinity.rewriting import build_rewriter
from tests.pipelines import tiny_pipeline


def generate(model, output, *arguments):
    main(["generate", "--model", str(model), "--output", str(output), *arguments])


def test_writes_images_a_grid_and_a_manifest(model, tmp_path):
    generate(model, tmp_path, "a red circle", "a cat", "--num-images", "2", "--temperature", "1,0.5,0")
    rows = read_manifest(tmp_path)
    assert sorted(rows) == ["00000_0.png", "00000_1.png", "00001_0.png", "00001_1.png"]
    assert rows["00001_0.png"]["prompt"] == "a cat"
    assert len({row["seed"] for row in rows.values()}) == 4
    for name, row in rows.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == row["sha256"]
    assert Image.open(tmp_path / "grid.png").size == (4 * 66, 66)


def test_the_manifest_says_all_that_an_image_depends_on(model, tmp_path):
    generate(model, tmp_path, "a", "--temperature", "1,0.5,0", "--height", "48", "--width", "80")
    row = read_manifest(tmp_path)["00000_0.png"]
    assert {key: row[key] for key in row if key not in ("file", "prompt", "seed", "sha256")} == {
        "model_sha256": weights_sha256(model / "transformer"),
        "vae_sha256": weights_sha256(model / "vae"),
        "text_fingerprint": tiny_pipeline().text_encoder.fingerprint,
        "dtype": "float32",
        "aspect_ratio": 0.6,
        "guidance": 3.0,
        "temperature": [1.0, 0.5, 0.0],
        "top_p": 1.0,
        "negative_prompt": None,
        "rewriter": None,
    }


def test_calling_again_draws_only_what_is_missing(model, tmp_path):
    generate(model, tmp_path, "a", "b")
    kept, lost = tmp_path / "00000_0.png", tmp_path / "00001_0.png"
    kept_time, lost_bytes = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    generate(model, tmp_path, "a", "b")
    assert kept.stat().st_mtime_ns == kept_time
    assert lost.read_bytes() == lost_bytes


def test_more_images_of_a_prompt_join_those_that_are_there(model, tmp_path):
    generate(model, tmp_path, "a", "b")
    time = (tmp_path / "00001_0.png").stat().st_mtime_ns
    generate(model, tmp_path, "a", "b", "--num-images", "2", "--batch-size", "1")
    assert (tmp_path / "00001_0.png").stat().st_mtime_ns == time
    assert len(read_manifest(tmp_path)) == 4


def test_a_row_that_a_kill_cut_short_is_removed_and_its_image_drawn_again(model, tmp_path):
    generate(model, tmp_path, "a", "b")
    manifest = tmp_path / "manifest.jsonl"
    whole = manifest.read_text()
    manifest.write_text(whole[:-20])
    generate(model, tmp_path, "a", "b")
    assert manifest.read_text() == whole


def test_prompts_come_from_text_and_json_lines(model, tmp_path):
    (tmp_path / "p.txt").write_text("\ufeffa\n\nb\n", "utf-8")
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": "c\u2028d"}, ensure_ascii=False) + "\n", "utf-8")
    for name, expected in (("p.txt", {"a", "b"}), ("p.jsonl", {"c\u2028d"})):
        output = tmp_path / f"out_{name}"
        generate(model, output, "--prompts", str(tmp_path / name))
        assert {row["prompt"] for row in read_manifest(output).values()} == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"prompt": "b"', "line 3 is not JSON"),
        ("[]", 'line 3 must be a JSON object with a text "prompt", got '),
        ('{"text": "b"}', 'line 3 must be a JSON object with a text "prompt", got '),
        ('{"prompt": " "}', 'line 3 must be a JSON object with a text "prompt", got '),
    ],
)
def test_a_bad_line_of_a_prompt_file_is_named(model, tmp_path, line, message):
    (tmp_path / "p.jsonl").write_text(f'{{"prompt": "a"}}\n\n{line}\n')
    with pytest.raises(SystemExit, match=rf"error: .*p\.jsonl, {message}"):
        generate(model, tmp_path / "out", "--prompts", str(tmp_path / "p.jsonl"))


def test_other_settings_do_not_mix_into_a_folder(model, tmp_path):
    generate(model, tmp_path, "a")
    with pytest.raises(SystemExit, match="error: .*other settings .*: guidance.*; choose another --output"):
        generate(model, tmp_path, "a", "--guidance", "1")
    generate(model, tmp_path, "a", "--guidance", "3")  # the model's own, said aloud


def test_images_of_other_prompts_are_not_overwritten(model, tmp_path):
    generate(model, tmp_path, "a")
    before = (tmp_path / "00000_0.png").read_bytes()
    for arguments in (("b",), ("a", "--seed", "1")):
        with pytest.raises(SystemExit, match="error: .*other prompts or seeds .*choose another --output"):
            generate(model, tmp_path, *arguments)
    assert (tmp_path / "00000_0.png").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "no prompt was given"),
        (("",), "no prompt was given"),
        (("a", "--aspect-ratio", "3"), "3.0"),
        (("a", "--height", "50", "--width", "64"), "no images of 50x64 .* but of 48x80, 64x64"),
        (("--prompts", "missing.txt"), "there is no prompt file missing.txt"),
        (("a", "--num-images", "0"), "must be positive"),
        (("a", "--device", "nonsense"), "the device 'nonsense' cannot be used here"),
        (("a", "--guidance", "1,2"), "guidance has 2 values"),
        (("a", "--guidance", "1", "--negative-prompt", "b"), "negative_prompt has no effect"),
    ],
)
def test_bad_input_ends_with_one_sentence(model, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        generate(model, tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_a_setting_that_is_no_number_ends_with_one_sentence(model, tmp_path, capsys):
    with pytest.raises(SystemExit):
        generate(model, tmp_path / "out", "a", "--guidance", "x")
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.endswith("argument --guidance: expected one number, or one per scale as 1,0.5,0, got 'x'")


def test_a_missing_model_ends_with_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="error: .*is no saved pipeline"):
        generate(tmp_path, tmp_path / "out", "a")


def test_help_lists_every_command_and_explains_each(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    listed = capsys.readouterr().out
    for command in ("generate", "reconstruct", "edit"):
        assert re.search(rf"^    {command}\b", listed, re.MULTILINE)
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert f"python -m infinity {command}" in capsys.readouterr().out.split("examples")[1]


def test_prompts_are_rewritten_and_the_manifest_says_so(model, tmp_path):
    generate(model, tmp_path / "plain", "a cat at sea", "a dog at sea")
    arguments = ("a cat", "a dog", "--rewriter", "tests.rewriters:at_sea")
    generate(model, tmp_path / "on", *arguments)
    plain, rows = read_manifest(tmp_path / "plain"), read_manifest(tmp_path / "on")
    assert {name: row["sha256"] for name, row in rows.items()} == {
        name: row["sha256"] for name, row in plain.items()
    }
    assert [(row["prompt"], row["rewritten_prompt"]) for row in rows.values()] == [
        ("a cat", "a cat at sea"),
        ("a dog", "a dog at sea"),
    ]
    assert {row["rewriter"] for row in rows.values()} == {
        build_rewriter("tests.rewriters:at_sea").fingerprint
    }
    assert "rewritten_prompt" not in plain["00000_0.png"]
    assert len((tmp_path / "on" / "rewritten_prompts.jsonl").read_text().splitlines()) == 3
    with pytest.raises(SystemExit, match="error: .*other settings .*rewriter"):
        generate(model, tmp_path / "on", "a cat", "a dog")
    cache = tmp_path / "cache.jsonl"
    cache.write_text('{"version": 1, "fingerprint": "another"}\n')
    with pytest.raises(SystemExit, match="error: .*no cache of this rewriter"):
        generate(model, tmp_path / "other", *arguments, "--rewrite-cache", str(cache))
    with pytest.raises(SystemExit, match="error: .*no effect without --rewriter"):
        generate(model, tmp_path / "other", "a cat", "--rewrite-cache", str(cache))


@pytest.mark.parametrize("row", ['{"shard": 1}', "[1]", "3"])
def test_a_folder_with_the_manifest_of_something_else_is_refused_untouched(model, tmp_path, row):
    (tmp_path / "manifest.jsonl").write_text(f"{row}\nmore")
    with pytest.raises(SystemExit, match="error: .* is no manifest of drawn .*choose another --output"):
        generate(model, tmp_path, "a")
    assert (tmp_path / "manifest.jsonl").read_text() == f"{row}\nmore"
