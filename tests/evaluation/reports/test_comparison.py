"""Pages about several runs, and about one that has images of its own, from the folders alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.reports import content_of, load_runs
from evaluation.reports.html import render_html
from tests.evaluation.reports.pages import Page
from tests.evaluation.reports.synthetic import GENEVAL, write_run, write_sweep


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_sweep(tmp_path_factory.mktemp("sweep"), size=8)


@pytest.fixture(scope="module")
def page(sweep: list[Path]) -> Page:
    runs = load_runs(sweep)
    return Page(render_html({run.name: run.result for run in runs}, content_of(runs, seed=7)))


@pytest.mark.parametrize(
    "words",
    [
        "4 runs, compared",
        "g2-t0.5 · g2-t1 · g4-t0.5 · g4-t1",
        "from the paper, not measured here",
        "0.73 (Infinity-2B, rewritten prompts, Table 1)",
        "stand-in",
        "Across runs",
        "Guidance and temperature",
        "What one costs the other",
        "GenEval: the first ones",
        "drawn with seed 7",
        "GenEval: the worst ones",
        "A row shows one prompt in every run.",
        "GenEval, by kind of prompt",
        "GenEval, by aspect ratio",
        "clipscore-embedded, by kind of prompt",
        "wrong position",
        "Task fid was left out: weights are needed <b>here</b>.",
        "Tables of g4-t1",
        "found: red dog",
        "Configuration of g2-t1",
    ],
)
def test_a_comparison_says(page: Page, words: str) -> None:
    assert words in page.text


def test_a_comparison_loads_nothing_and_escapes_everything(page: Page) -> None:
    assert not page.all("script")
    assert not page.all("link")
    assert not page.all("i") or all("class" in attrs for attrs in page.all("i"))  # none of a prompt
    assert all((attrs["src"] or "").startswith("data:image/") for attrs in page.all("img"))


def test_boxes_are_drawn_over_their_images(page: Page) -> None:
    canvas = next(attrs["viewbox"] for attrs in page.all("svg") if attrs.get("class") == "boxes")
    assert canvas == "0 0 8 8"
    assert page.all("rect")[0] == {"x": "2.0", "y": "2.0", "width": "2.0", "height": "2.0"}


def test_the_paper_stands_beside_the_same_metric_only(page: Page) -> None:
    table = page.text[page.text.index("Headline") : page.text.index("Across runs")]
    assert table.count("Table 1") == 1  # of three metrics, two stand-ins
    marks = [attrs["title"] for attrs in page.all("i") if attrs.get("class") == "paper"]
    assert marks == ["paper 0.73 (Infinity-2B, rewritten prompts, Table 1)"] * 4


def test_one_run_shows_its_own_images_and_slices(sweep: list[Path], tmp_path: Path) -> None:
    main(["report", str(sweep[0]), "--output", str(tmp_path / "page"), "--title", "One"])
    text = (tmp_path / "page" / "report.html").read_text()
    assert "GenEval: random ones" in text
    assert "Across runs" not in text
    assert (tmp_path / "page" / "result.json").is_file()
    markdown = (tmp_path / "page" / "report.md").read_text()
    assert "| from the paper, not measured here |" in markdown


def test_several_runs_make_pages_and_no_result(sweep: list[Path], tmp_path: Path) -> None:
    output = tmp_path / "page"
    main(["report", *map(str, sweep), "--output", str(output), "--tensorboard", str(tmp_path / "tb")])
    assert not (output / "result.json").exists()
    markdown = (output / "report.md").read_text()
    assert f"`{GENEVAL}/overall`" in markdown
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", markdown):
        assert (output / picture).is_file()
    assert len(list((tmp_path / "tb").rglob("*tfevents*"))) == 4


def test_pages_about_several_runs_do_not_hide_a_result(sweep: list[Path], tmp_path: Path) -> None:
    write_run(tmp_path / "other", num_prompts=2, size=8)
    with pytest.raises(SystemExit, match="holds the result of a run, which pages about several would hide"):
        main(["report", *map(str, sweep), "--output", str(tmp_path / "other")])


def test_a_page_of_large_images_stays_small(tmp_path: Path) -> None:
    runs = load_runs([write_run(tmp_path / "run", num_prompts=12, size=1024)])
    text = render_html({run.name: run.result for run in runs}, content_of(runs))
    assert "data:image/webp" in text
    assert len(text) < 400_000


def test_runs_without_their_images_still_make_a_page(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_prompts=3, size=8)
    for image in (run / "images" / "geneval").iterdir():
        image.unlink()
    (one,) = load_runs([run])
    assert content_of([one]).grids == ()


def test_images_outside_of_a_run_are_not_shown(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", num_prompts=2, size=8)
    (run / "images" / "geneval" / "0-0.png").rename(tmp_path / "secret.png")
    rows = (run / "samples.jsonl").read_text().replace("images/geneval/0-0.png", "../secret.png")
    (run / "samples.jsonl").write_text(rows)
    first, *_ = content_of(load_runs([run])).grids
    assert [tile.caption for tile in first.tiles] == ["a photo of 1 <i>dogs</i>"]
