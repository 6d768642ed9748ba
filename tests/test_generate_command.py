"""``python -m infinity generate``, in process."""

from __future__ import annotations

import hashlib
import json

import pytest
import torch
from PIL import Image

from infinity.__main__ import main
from infinity.generate_command import read_manifest
from tests.pipelines import tiny_pipeline


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    directory = tmp_path_factory.mktemp("model")
    tiny_pipeline().save_pretrained(directory)
    return directory


def generate(model, output, *arguments):
    main(["generate", "--model", str(model), "--output", str(output), *arguments])


def test_writes_images_a_grid_and_a_manifest(model, tmp_path):
    generate(model, tmp_path, "a red circle", "a cat", "--num-images", "2", "--temperature", "1,0.5,0")
    rows = read_manifest(tmp_path)
    assert sorted(rows) == ["00000_0.png", "00000_1.png", "00001_0.png", "00001_1.png"]
    assert rows["00001_0.png"]["prompt"] == "a cat"
    assert rows["00001_0.png"]["temperature"] == [1.0, 0.5, 0.0]
    assert len({row["seed"] for row in rows.values()}) == 4
    for name, row in rows.items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == row["sha256"]
    assert Image.open(tmp_path / "grid.png").size == (4 * 66, 66)


def test_calling_again_draws_only_what_is_missing(model, tmp_path):
    generate(model, tmp_path, "a", "b")
    kept, lost = tmp_path / "00000_0.png", tmp_path / "00001_0.png"
    kept_time, lost_bytes = kept.stat().st_mtime_ns, lost.read_bytes()
    lost.unlink()
    generate(model, tmp_path, "a", "b")
    assert kept.stat().st_mtime_ns == kept_time
    assert lost.read_bytes() == lost_bytes


def test_prompts_come_from_text_and_json_lines(model, tmp_path):
    (tmp_path / "p.txt").write_text("a\n\nb\n")
    (tmp_path / "p.jsonl").write_text(json.dumps({"prompt": "c"}) + "\n")
    for name, expected in (("p.txt", {"a", "b"}), ("p.jsonl", {"c"})):
        output = tmp_path / f"out_{name}"
        generate(model, output, "--prompts", str(tmp_path / name))
        assert {row["prompt"] for row in read_manifest(output).values()} == expected


def test_other_settings_do_not_mix_into_a_folder(model, tmp_path):
    generate(model, tmp_path, "a")
    with pytest.raises(SystemExit, match="error: .*other settings .*choose another --output"):
        generate(model, tmp_path, "a", "--guidance", "1")


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
        (("a", "--aspect-ratio", "3"), "3.0"),
        (("--prompts", "missing.txt"), "there is no prompt file missing.txt"),
        (("a", "--num-images", "0"), "must be positive"),
    ],
)
def test_bad_input_ends_with_one_sentence(model, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=f"error: .*{message}"):
        generate(model, tmp_path / "out", *arguments)
    assert not (tmp_path / "out").exists()


def test_a_missing_model_ends_with_one_sentence(tmp_path):
    with pytest.raises(SystemExit, match="error: .*is no saved pipeline"):
        generate(tmp_path, tmp_path / "out", "a")
