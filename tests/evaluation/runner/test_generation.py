"""Images do not depend on how they were drawn: in one go, after a stop, by one rank or several."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
import torch

from evaluation.runner.generation import Drawing, DrawnSet
from evaluation.runner.manifest import load_samples, read_rows
from evaluation.runner.ranks import Ranks
from evaluation.tasks.api import EvalContext, EvalPrompt
from evaluation.weights import WeightFinder
from tests.evaluation.runner.tasks import shapes
from tests.pipelines import tiny_pipeline

PROMPTS = shapes(EvalContext(weights=WeightFinder()))
NUM_IMAGES = sum(prompt.num_images for prompt in PROMPTS)


@pytest.fixture(scope="module")
def drawing(pipeline) -> Drawing:
    """One image at a time, so that all roundings are the same."""
    return Drawing(pipeline=pipeline, origin={"model": "tiny"}, batch_size=1)


@pytest.fixture(scope="module")
def expected(drawing, tmp_path_factory) -> dict[tuple[str, int], str]:
    folder = tmp_path_factory.mktemp("expected")
    drawn = drawing(PROMPTS, folder)
    assert (drawn.num_images, drawn.num_drawn) == (NUM_IMAGES, NUM_IMAGES)
    return hashes(folder)


def hashes(folder: Path) -> dict[tuple[str, int], str]:
    samples = load_samples(folder, PROMPTS, check=True)
    return {(sample.prompt.id, sample.index): sample.sha256 for sample in samples}


def as_rank(drawing: Drawing, rank: int, **options: object) -> Drawing:
    fields = {
        name: getattr(drawing, name) for name in ("pipeline", "origin", "sampling", "seed", "batch_size")
    }
    return Drawing(**{**fields, "ranks": Ranks(rank=rank, world_size=2), **options})


def stop_after(count: int):
    def progress(what: str, done: int, total: int) -> None:
        if done == count:
            raise KeyboardInterrupt

    return progress


def test_every_image_is_another_one_and_seeds_follow_the_prompts_number(drawing, expected, tmp_path) -> None:
    assert len(set(expected.values())) == NUM_IMAGES
    drawing(PROMPTS[:2], tmp_path / "fewer")
    fewer = read_rows(tmp_path / "fewer")
    assert all(row["sha256"] == expected[image] for image, row in fewer.items())
    other = Drawing(pipeline=drawing.pipeline, seed=1, batch_size=1)
    other(PROMPTS, tmp_path / "other")
    assert not set(hashes(tmp_path / "other").values()) & set(expected.values())


def test_a_killed_drawing_goes_on_where_it_stopped(drawing, expected, tmp_path) -> None:
    folder = tmp_path / "images"
    with pytest.raises(KeyboardInterrupt):
        drawing(PROMPTS, folder, stop_after(3))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}
    assert len(before) == 3
    with open(folder / "manifest.jsonl", "a") as manifest:
        manifest.write('{"file": "cut')
    drawn = drawing(PROMPTS, folder)
    assert drawn.num_drawn == NUM_IMAGES - 3
    assert hashes(folder) == expected
    assert before.items() <= {path.name: path.stat().st_mtime_ns for path in folder.glob("*.png")}.items()
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    assert [row["prompt_id"] for row in rows] == [prompt.id for prompt in PROMPTS for _ in range(2)]


def test_lost_and_damaged_images_are_drawn_again(drawing, expected, tmp_path) -> None:
    folder = tmp_path / "images"
    drawing(PROMPTS, folder)
    first, second, third = sorted(folder.glob("*.png"))[:3]
    first.unlink()
    second.write_bytes(third.read_bytes())
    assert drawing(PROMPTS, folder).num_drawn == 2
    assert hashes(folder) == expected
    assert drawing(PROMPTS, folder).num_drawn == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"sampling": {"temperature": 0.5}}, "temperature"),
        ({"seed": 1}, "seed"),
        ({"origin": {"model": "another"}}, "model"),
    ],
)
def test_images_of_other_settings_are_not_mixed(drawing, tmp_path, change, named) -> None:
    drawing(PROMPTS[:1], tmp_path)
    other = as_rank(drawing, 0, ranks=Ranks(), **change)
    with pytest.raises(
        ValueError, match=rf"other settings \(p-circle-.*-00\.png: .*{named}\); choose another"
    ):
        other(PROMPTS, tmp_path)


def test_images_of_another_text_are_not_mixed(drawing, tmp_path) -> None:
    drawing(PROMPTS[:1], tmp_path)
    with pytest.raises(ValueError, match="prompt"):
        drawing([EvalPrompt(id=PROMPTS[0].id, text="a blue circle")], tmp_path)


def test_two_ranks_draw_what_one_draws(drawing, expected, tmp_path) -> None:
    folder = tmp_path / "images"
    found: list[DrawnSet] = []
    first = as_rank(drawing, 0, patience=20.0)
    waiting = threading.Thread(target=lambda: found.append(first(PROMPTS, folder)))
    waiting.start()
    second = as_rank(drawing, 1)(PROMPTS, folder)
    waiting.join()
    assert (found[0].num_drawn, second.num_drawn) == (6, 4)
    assert hashes(folder) == expected
    assert [path.name for path in folder.glob("manifest*")] == ["manifest.jsonl"]


def test_a_number_of_ranks_goes_on_from_another(drawing, expected, tmp_path) -> None:
    folder = tmp_path / "images"
    with pytest.raises(KeyboardInterrupt):
        as_rank(drawing, 1)(PROMPTS, folder, stop_after(2))
    assert len(read_rows(folder)) == 2
    assert drawing(PROMPTS, folder).num_drawn == NUM_IMAGES - 2
    assert hashes(folder) == expected


def test_the_first_rank_waits_for_damaged_images_of_others_too(drawing, expected, tmp_path) -> None:
    folder = tmp_path / "images"
    drawing(PROMPTS, folder)
    (broken,) = folder.glob("p-square-*-00.png")  # of the second prompt, so the second rank's
    broken.write_bytes(b"")
    with pytest.raises(ValueError, match="drawn nothing for 0 s and 1 images are missing, .* of p/square"):
        as_rank(drawing, 0, patience=0.1)(PROMPTS, folder)
    waiting = threading.Thread(target=lambda: as_rank(drawing, 0, patience=20.0)(PROMPTS, folder))
    waiting.start()
    assert as_rank(drawing, 1)(PROMPTS, folder).num_drawn == 1
    waiting.join()
    assert hashes(folder) == expected
    assert [path.name for path in folder.glob("manifest*")] == ["manifest.jsonl"]


def test_a_rank_that_never_comes_is_not_waited_for_for_ever(drawing, tmp_path) -> None:
    with pytest.raises(ValueError, match=r"other ranks have drawn nothing for 0 s and 4 images are missing"):
        as_rank(drawing, 0, patience=0.1)(PROMPTS, tmp_path)


def test_values_that_are_not_finite_fail_and_are_named(tmp_path) -> None:
    broken = tiny_pipeline()
    with torch.no_grad():
        broken.vae.last_layer.fill_(torch.nan)
    with pytest.raises(
        ValueError, match=r"10 of 10 images failed, e\.g\. image 0 of p/circle, .* not finite"
    ):
        Drawing(pipeline=broken)(PROMPTS, tmp_path)
    assert not list(tmp_path.glob("*.png"))


def test_a_ratio_that_the_model_was_not_trained_on_is_named(tmp_path) -> None:
    square = tiny_pipeline(aspect_ratios=(1.0,))
    assert Drawing(pipeline=square)(PROMPTS, tmp_path / "a").untrained_ratios == (0.6,)
    assert square.resolution.aspect_ratios == (1.0,)
    first, second = load_samples(tmp_path / "a", PROMPTS[:2])[::2]
    assert first.image().shape[:2] != second.image().shape[:2]
    with pytest.raises(ValueError, match=r"aspect_ratio .* must be in \[0\.25, 4\], got 9"):
        Drawing(pipeline=square)([EvalPrompt(id="a", text="a", aspect_ratio=9.0)], tmp_path / "b")


def test_ids_that_are_no_file_names_stay_in_their_folder(drawing, tmp_path) -> None:
    prompts = [EvalPrompt(id=name, text="a") for name in ("../a/b", "..-a-b", "x" * 300, "plain.1")]
    drawing(prompts, tmp_path / "images")
    names = {path.name for path in (tmp_path / "images").glob("*.png")}
    assert len(names) == 4
    assert "plain.1-00.png" in names
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_ranks_are_what_torchrun_says(monkeypatch) -> None:
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    ranks = Ranks.from_environment()
    assert (ranks.rank, ranks.world_size, ranks.is_first) == (3, 4, False)
    assert (ranks.device("cuda"), ranks.device("cuda:0"), ranks.device("cpu")) == ("cuda:1", "cuda:0", "cpu")
    assert ranks.own(Path("a/cache.jsonl")) == Path("a/cache.rank3.jsonl")
    assert sorted(sum((Ranks(rank=r, world_size=4).share(range(10)) for r in range(4)), [])) == list(
        range(10)
    )
    with pytest.raises(ValueError, match="RANK must be in"):
        Ranks(rank=2, world_size=2)
