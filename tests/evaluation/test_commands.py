from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.image_folders import read_generated, read_reconstructions, write_image
from evaluation.results import Result
from evaluation.shapeseval import ground_truth_images, load_prompts
from tests.evaluation.image_folders import write_generated, write_reconstructions


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
    psnr = Result.load(tokenizer)["psnr[24px,N=4]"]
    assert psnr.value == pytest.approx(20 * np.log10(255 / 5))
    (tmp_path / "metrics.csv").write_text("step,train/loss\n0,1\n5,0.5\n")
    folders = ["--images", str(samples), "--reconstructions", str(pairs), "--history", f"vae={tmp_path}"]
    main(["report", str(scores), str(tokenizer), "--output", str(page), *folders, "--title", "Both"])
    text = (page / "report.html").read_text()
    for words in ("<h1>Both</h1>", "Reconstruction PSNR", "vae/loss", "The first ones", "What goes wrong"):
        assert words in text
    assert Result.load(tokenizer).provenance.data.keys() == {"manifest", "pixels of all pairs", "bits"}
    assert len(Result.load(page).metrics) == sum(len(Result.load(one).metrics) for one in (scores, tokenizer))


def test_a_part_of_the_prompts_can_be_scored_from_a_folder_with_all_images(
    world_dir: Path, samples: Path, tmp_path: Path
) -> None:
    arguments = ["shapeseval", "--world", str(world_dir), "--images", str(samples), "--output"]
    main([*arguments, str(tmp_path / "id"), "--splits", "id"])
    main([*arguments, str(tmp_path / "few"), "--splits", "id", "--per-task", "1"])
    whole, few = Result.load(tmp_path / "id"), Result.load(tmp_path / "few")
    assert whole["shapeseval[basic,64px,verifier=1]/id/overall"].n == 24
    assert not any("/ood/" in metric.id for metric in whole.metrics)
    assert few["shapeseval[basic,64px,prompts=6of24,verifier=1]/id/overall"].n == 6


def test_a_report_is_not_written_over_one_of_its_runs(pairs: Path, tmp_path: Path) -> None:
    main(["reconstruction", "--images", str(pairs), "--output", str(tmp_path / "run")])
    before = (tmp_path / "run" / "result.json").read_bytes()
    with pytest.raises(SystemExit, match="is one of the runs to report"):
        main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "page" / ".." / "run")])
    assert (tmp_path / "run" / "result.json").read_bytes() == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "drawing.json").write_text("{}")
    with pytest.raises(SystemExit, match="other holds another run, and would lose its result"):
        main(["report", str(tmp_path / "run"), "--output", str(tmp_path / "other")])


def test_a_report_shows_the_very_images_that_were_scored(
    world_dir: Path, samples: Path, tmp_path: Path
) -> None:
    scores, page = tmp_path / "scores", tmp_path / "page"
    main(["shapeseval", "--world", str(world_dir), "--images", str(samples), "--output", str(scores)])
    drawn_again = {
        name: [255 - image for image in images] for name, images in read_generated(samples).items()
    }
    write_generated(tmp_path / "again", drawn_again)
    with pytest.raises(SystemExit, match="does not hold image 0 of prompt .* as it was scored"):
        main(["report", str(scores), "--output", str(page), "--images", str(tmp_path / "again")])
    main(["report", str(scores), "--output", str(page), "--images", str(samples)])
    assert "The first ones" in (page / "report.html").read_text()


def test_two_histories_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="two of --history are called ''; write NAME=DIR"):
        main(["report", "run", "--output", str(tmp_path / "page"), "--history", "a", "b"])


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
    read = np.stack(list(read_reconstructions(pairs)))
    np.testing.assert_array_equal(read[:, 1], read[:, 0] + np.uint8(5))


def test_lost_files_and_lines_are_named(pairs: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text('{"file": "a.png"}\n')
    with pytest.raises(ValueError, match=r"a\.png of .* has no prompt_id"):
        read_generated(tmp_path)
    manifest.write_text('{"original": "a.png"}\n')
    with pytest.raises(ValueError, match="line 1 of .* lacks reconstruction"):
        list(read_reconstructions(tmp_path))
    manifest.write_text('{"file": "a.png", "prompt_id": "p"}\n')
    with pytest.raises(ValueError, match=r"a\.png is named in a manifest but does not exist"):
        read_generated(tmp_path)
    manifest.write_text("5\n")
    with pytest.raises(ValueError, match="line 1 of .* lacks file"):
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


def test_a_damaged_image_is_named(pairs: Path, tmp_path: Path) -> None:
    shutil.copytree(pairs, tmp_path / "pairs")
    image = tmp_path / "pairs" / "000001.png"
    for content, kind in ((image.read_bytes()[:-500], "OSError"), (b"a picture", "UnidentifiedImageError")):
        image.write_bytes(content)
        arguments = ["reconstruction", "--images", str(tmp_path / "pairs"), "--output", str(tmp_path / "out")]
        with pytest.raises(SystemExit, match=rf"error: .*000001\.png is no whole PNG, .* \({kind}\)"):
            main(arguments)


@pytest.mark.parametrize("name", ["world.json", "prompts.jsonl"])
def test_a_cut_file_is_named(name: str, world_dir: Path, samples: Path, tmp_path: Path) -> None:
    world = tmp_path / "world"
    shutil.copytree(world_dir, world)
    (world / name).write_text((world / name).read_text()[:-20])
    with pytest.raises(SystemExit, match=rf"error: .*{name} is not JSON .* it may be cut short"):
        main(["shapeseval", "--world", str(world), "--images", str(samples), "--output", str(tmp_path / "o")])
