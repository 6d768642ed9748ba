"""The page's folder: balanced, blind, whole; what does not pair is refused."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.__main__ import main
from tests.evaluation.preference_study.conftest import COLORS, PROMPTS, write_run


def build(runs: tuple[Path, Path], output: Path, *words: str) -> dict:
    main(["preference", "build", *map(str, runs), "--output", str(output), *words])
    return json.loads((output / "key.json").read_text())


def test_every_pair_is_there_with_either_run_on_the_left_as_often(runs, tmp_path) -> None:
    key = build(runs, tmp_path / "study")
    assert key["names"] == ["alpha", "beta"]
    assert {(pair["prompt_id"], pair["index"]) for pair in key["pairs"]} == {
        (f"p{number}", index) for number in range(4) for index in range(2)
    }
    assert Counter(pair["left"]["name"] for pair in key["pairs"]) == {"alpha": 4, "beta": 4}
    for pair in key["pairs"]:
        for side in ("left", "right"):
            with Image.open(tmp_path / "study" / "page" / "images" / f"{pair['id']}-{side}.png") as image:
                assert np.asarray(image)[-1, -1].tolist() == list(COLORS[pair[side]["name"]])
                assert image.width == 40 + 8 * pair["index"]


def test_what_raters_get_does_not_name_the_runs(runs, tmp_path) -> None:
    build(runs, tmp_path / "study")
    files = [path for path in (tmp_path / "study" / "page").rglob("*") if path.is_file()]
    assert len(files) == 17
    for path in files:
        content = path.read_bytes()
        assert b"alpha" not in content, path
        assert b"beta" not in content, path
        assert b"p0" not in content or path.suffix == ".png", path


def test_the_seed_decides_sides_and_order(runs, tmp_path) -> None:
    one, same, other = (
        build(runs, tmp_path / name, "--seed", seed) for name, seed in (("1", "0"), ("2", "0"), ("3", "5"))
    )
    assert one == same
    assert one["study"] != other["study"]
    assert [pair["prompt_id"] for pair in one["pairs"]] != [pair["prompt_id"] for pair in other["pairs"]]


def test_a_limit_takes_pairs_at_random_and_names_can_be_given(runs, tmp_path) -> None:
    key = build(runs, tmp_path / "study", "--limit", "3", "--names", "base", "tuned")
    assert len(key["pairs"]) == 3
    assert {pair["left"]["name"] for pair in key["pairs"]} == {"base", "tuned"}


def test_prompts_are_no_markup(runs, tmp_path) -> None:
    build(runs, tmp_path / "study")
    text = (tmp_path / "study" / "page" / "index.html").read_text()
    assert "<b>square" not in text
    assert "http" not in text.replace("https://", "http://").split("<script")[0]


def test_another_study_is_not_overwritten(runs, tmp_path) -> None:
    build(runs, tmp_path / "study")
    build(runs, tmp_path / "study")
    with pytest.raises(SystemExit, match=r"holds another study \(.*\); choose another --output"):
        build(runs, tmp_path / "study", "--seed", "1")


def test_folders_of_the_sampling_command_pair_by_prompt_and_turn(tmp_path) -> None:
    for name in ("alpha", "beta"):
        folder = write_run(tmp_path / name) / "images" / "things"
        rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
        plain = [{"file": row["file"], "prompt": row["prompt"]} for row in rows]
        (folder / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in plain))
    folders = tuple(tmp_path / name / "images" / "things" for name in ("alpha", "beta"))
    key = build(folders, tmp_path / "study", "--names", "alpha", "beta")
    assert {(pair["prompt"], pair["index"]) for pair in key["pairs"]} == {
        (prompt, index) for prompt in PROMPTS for index in (0, 1)
    }


@pytest.mark.parametrize(
    ("prompts", "images", "sentence"),
    [
        (PROMPTS, 1, "4 images are in one of alpha and beta alone, e.g. image 1 of p0, image 1 of p1"),
        ([*PROMPTS[:3], "a cat"], 2, "2 prompts differ, e.g. p3: 'a star above a heart' and 'a cat'"),
    ],
)
def test_runs_of_other_prompts_are_refused(tmp_path, prompts, images, sentence) -> None:
    runs = write_run(tmp_path / "alpha"), write_run(tmp_path / "beta", prompts=prompts, images=images)
    with pytest.raises(SystemExit, match=sentence):
        build(runs, tmp_path / "study")
    assert not (tmp_path / "study").exists()


def test_other_mistakes_are_answered_by_one_sentence(runs, tmp_path) -> None:
    for words, sentence in (
        (["--limit", "0"], "--limit must be at least 1, got 0"),
        (["--names", "a", "a"], "both runs are called 'a'; tell them apart with --names"),
        (["--prompt-set", "other"], "has no prompt set 'other'; it has things"),
    ):
        with pytest.raises(SystemExit, match=sentence):
            build(runs, tmp_path / "study", *words)
    with pytest.raises(SystemExit, match="no drawn images in"):
        build((tmp_path, tmp_path), tmp_path / "study", "--names", "a", "b")
