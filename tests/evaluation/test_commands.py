from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.image_folders import (
    read_generated,
    read_reconstructions,
    write_generated,
    write_image,
    write_reconstructions,
)
from evaluation.results import Result
from evaluation.shapeseval import ground_truth_images, load_prompts


@pytest.fixture(scope="module")
def samples(world_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    write_generated(folder, ground_truth_images(world_dir, load_prompts(world_dir)))
    return folder


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    originals = np.random.default_rng(0).integers(20, 200, (4, 24, 24, 3), dtype=np.uint8)
    write_reconstructions(folder, originals, originals + np.uint8(5))
    return folder


def test_shapeseval_scores_a_folder(world_dir: Path, samples: Path, tmp_path: Path, capsys) -> None:
    main(["shapeseval", "--world", str(world_dir), "--images", str(samples), "--output", str(tmp_path)])
    assert capsys.readouterr().out.strip() == str(tmp_path / "report.html")
    result = Result.load(tmp_path)
    assert result["shapeseval[basic,64px,verifier=1]/id/overall"].value == 1
    assert result["shapeseval[basic,64px,verifier=1,shuffled_prompts]/id/overall"].value == 0
    assert result.provenance.data.keys() >= {"world.json", "prompts.jsonl", "fingerprint"}


def test_reconstruction_and_report_follow(
    world_dir: Path, samples: Path, pairs: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bits.npz", scale_01=np.ones((4, 8, 1, 1), bool))
    scores, tokenizer, page = tmp_path / "scores", tmp_path / "tokenizer", tmp_path / "page"
    main(["shapeseval", "--world", str(world_dir), "--images", str(samples), "--output", str(scores)])
    bits = ["--bits", str(tmp_path / "bits.npz")]
    main(["reconstruction", "--images", str(pairs), "--output", str(tokenizer), *bits])
    psnr = Result.load(tokenizer)["psnr[24px]"]
    assert psnr.value == pytest.approx(20 * np.log10(255 / 5))
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,1\n5,0.5\n")
    folders = ["--images", str(samples), "--reconstructions", str(pairs), "--history", f"vae={tmp_path}"]
    main(["report", str(scores), str(tokenizer), "--output", str(page), *folders, "--title", "Both"])
    text = (page / "report.html").read_text()
    for words in ("<h1>Both</h1>", "Reconstruction PSNR", "vae/loss", "The first ones", "What goes wrong"):
        assert words in text
    assert len(Result.load(page).metrics) == sum(len(Result.load(one).metrics) for one in (scores, tokenizer))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["report", "nowhere", "--output", "out"], r"error: no result\.json in nowhere"),
        (
            ["reconstruction", "--images", "nowhere", "--output", "out"],
            r"error: no manifest\.jsonl in nowhere",
        ),
        (
            ["shapeseval", "--world", "nowhere", "--images", "nowhere", "--output", "out"],
            r"error: no prompts\.jsonl in nowhere",
        ),
    ],
)
def test_what_is_missing_is_said_in_one_sentence(arguments: list[str], sentence: str) -> None:
    with pytest.raises(SystemExit, match=sentence) as stop:
        main(arguments)
    assert stop.value.code != 0


def test_help_shows_examples(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m evaluation report runs/shapeseval" in capsys.readouterr().out


def test_image_folders_survive_the_round_trip(world_dir: Path, samples: Path, pairs: Path) -> None:
    truth = ground_truth_images(world_dir, load_prompts(world_dir))
    for prompt_id, images in read_generated(samples).items():
        np.testing.assert_array_equal(images, truth[prompt_id])
    originals, decoded = read_reconstructions(pairs)
    np.testing.assert_array_equal(decoded, originals + np.uint8(5))


def test_lost_files_and_lines_are_named(pairs: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.png"}\n')
    with pytest.raises(ValueError, match=r"a\.png of .* has no prompt_id"):
        read_generated(tmp_path)
    manifest.write_text('{"original": "a.png"}\n')
    with pytest.raises(ValueError, match="line 1 of .* lacks reconstruction"):
        read_reconstructions(tmp_path)
    manifest.write_text('{"file": "a.png", "prompt_id": "p"}\n')
    with pytest.raises(ValueError, match=r"a\.png is named in a manifest but does not exist"):
        read_generated(tmp_path)
    manifest.write_text("")
    with pytest.raises(ValueError, match="is empty"):
        read_generated(tmp_path)


def test_a_cut_line_is_passed_over_and_the_last_row_of_a_file_counts(tmp_path: Path) -> None:
    image = np.full((8, 8, 3), 7, np.uint8)
    write_generated(tmp_path, {"first": [image], "second": [image]})
    with (tmp_path / "manifest.jsonl").open("a") as manifest:
        manifest.write('{"file": "first-00.png", "prompt_id": "third"}\n{"file": "second-0')
    assert list(read_generated(tmp_path)) == ["third", "second"]


def test_images_of_the_sampling_command_find_their_prompts_by_text(tmp_path: Path) -> None:
    rows = []
    for number, text in enumerate(["a circle", "a square", "a circle"]):
        write_image(tmp_path / f"{number}.png", np.full((8, 8, 3), number, np.uint8))
        rows.append(json.dumps({"file": f"{number}.png", "prompt": text, "seed": 5}) + "\n")
    (tmp_path / "manifest.jsonl").write_text("".join(rows))
    images = read_generated(tmp_path, {"a circle": ["p", "q"], "a square": ["r"]})
    tones = {prompt_id: [int(image[0, 0, 0]) for image in group] for prompt_id, group in images.items()}
    assert tones == {"p": [0], "r": [1], "q": [2]}
    with pytest.raises(ValueError, match=r"1\.png of .* nor a prompt that is to be scored"):
        read_generated(tmp_path, {"a circle": ["p", "q"]})
