"""Pages about several runs, and about one that has images of its own, from the folders alone."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.reports import ReportContent, Tile, content_of, load_runs
from evaluation.reports.contact_sheets import contact_sheets
from evaluation.reports.content import Box, Failures
from evaluation.reports.html import render_html
from evaluation.reports.markdown import render_markdown
from evaluation.results import Result
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
        "0.73 (Infinity-2B at 1024 px, rewritten prompts, Table 1; CLIP's weights not verified)",
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
        "Caption cosine of embedded encoders, by kind of prompt",
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
    expected = "paper 0.73 (Infinity-2B at 1024 px, rewritten prompts, Table 1; CLIP's weights not verified)"
    assert marks == [expected] * 4


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


def test_a_report_is_not_written_over_the_result_of_another_run(sweep: list[Path], tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", num_prompts=2, size=8)
    before = (other / "result.json").read_bytes()
    with pytest.raises(SystemExit, match="holds the result of another run, which would be lost"):
        main(["report", str(sweep[0]), "--output", str(other)])
    assert (other / "result.json").read_bytes() == before
    for _ in range(2):  # its own report may be written again
        main(["report", str(sweep[0]), "--output", str(tmp_path / "page")])


def test_seven_runs_of_which_some_lack_metrics_make_a_page(tmp_path: Path) -> None:
    paths = [
        write_run(tmp_path / ("long-name-of-a-run-" * 4 + str(number)), num_prompts=4, size=8, seed=number)
        for number in range(7)
    ]
    lacking = Result.load(paths[3])
    replace(lacking, metrics=lacking.metrics[:1]).save(paths[3])
    (paths[3] / "samples.jsonl").unlink()
    runs = load_runs(paths)
    page = Page(render_html({run.name: run.result for run in runs}, content_of(runs)))
    plots = [
        attrs["style"] for attrs in page.all("i") if attrs.get("class") == "dot" and "top" in attrs["style"]
    ]
    assert len({style.split("background:")[1] for style in plots}) == 7
    assert page.text.count("–") >= 5  # what one run lacks
    assert "GenEval: the first ones" in page.text  # of the six that have images


def test_prompts_are_no_markup_in_markdown(sweep: list[Path]) -> None:
    (run, *_) = load_runs(sweep)
    text = render_markdown({run.name: run.result}, content_of([run], title="<b>\n# x"), {})
    assert "<" not in text
    assert "a photo of 0 &lt;i>dogs&lt;/i>" in text
    assert text.startswith("# &lt;b> # x\n")


def test_links_lead_to_sections(page: Page) -> None:
    links = [attrs["href"] for attrs in page.all("a")]
    assert links == [f"#{attrs['id']}" for attrs in page.all("h2")]
    assert len(set(links)) == len(links) > 5


def test_a_picture_of_large_images_stays_small(tmp_path: Path) -> None:
    pair = (np.zeros((1024, 2048, 3), np.uint8),) * 2
    (sheet,) = contact_sheets(ReportContent(title="x", reconstructions=(pair,) * 2)).values()
    assert sheet.shape == (2 * (128 + 4) + 4, 2 * (256 + 4) + 4, 3)


def test_bars_of_failures_are_shares_of_each_runs_images() -> None:
    kinds = (("missing", (10, 10)), ("too many", (0, 5)))
    assert Failures(title="x", kinds=kinds, num_images=(100, 20)).most == 0.5
    assert Failures(title="x", kinds=(), num_images=(0,)).most == 1


def test_what_was_found_often_is_counted() -> None:
    boxes = tuple(Box(sides=(0, 0, 1, 1), label=label) for label in ("dog", "cat", "dog"))
    tile = Tile(image=np.zeros((4, 4, 3), np.uint8), caption="x", boxes=boxes)
    assert tile.found == "2 × dog, cat"
