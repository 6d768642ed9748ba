from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.reconstruction import ReconstructionScores
from evaluation.reports import ReportContent, Strip, write_report
from evaluation.reports.html import render_html
from evaluation.results import Result, read_samples
from evaluation.shapeseval import ShapesEvalResult
from tests.evaluation.random_features import RandomConvFeatures
from tests.evaluation.reports.pages import Page


@pytest.fixture(scope="module")
def page(report) -> Page:
    return Page(render_html({report.result.name: report.result}, report.content))


def test_the_page_loads_nothing_from_elsewhere(report, page: Page) -> None:
    for _, attrs in page.tags:
        for name in ("src", "href", "srcset", "data", "poster"):
            assert (attrs.get(name) or "data:").startswith(("data:", "#"))
    assert not page.all("script")
    assert not page.all("link")
    text = render_html({report.result.name: report.result}, report.content)
    assert not re.search(r"url\(|@import|https?://", text)


def test_pictures_in_the_page_are_the_images(report, page: Page) -> None:
    first = report.content.grids[0].tiles[0]
    source = next(attrs["src"] for attrs in page.all("img") if attrs["alt"] == first.caption)
    decoded = Image.open(io.BytesIO(base64.b64decode(source.split(",")[1])))
    np.testing.assert_array_equal(np.asarray(decoded), first.image)


def test_the_page_is_readable_on_a_phone(page: Page) -> None:
    assert {"name": "viewport", "content": "width=device-width, initial-scale=1"} in page.all("meta")


def test_text_from_outside_is_escaped(report, page: Page) -> None:
    assert "A <synthetic> run" in page.text
    assert "<script>alert(1)</script>" in page.text  # as text: no script tag was found above
    assert "<script>" not in render_html({report.result.name: report.result}, report.content)


@pytest.mark.parametrize(
    "words",
    [
        "27.2",  # the headline, as precise as its interval
        "26.0 to 28.0",
        "psnr[64px]: made up",  # a metric's note becomes a caveat
        "Rendered shapes, not photographs.",
        "drawn with seed 5",
        "color attribution",
        "held out from training",
        "samples against shuffled prompts (chance)",
        "What goes wrong",
        "vae/loss",
        "ar/bit_accuracy per scale, val",
        "1 more curves",
        "0123456789abcdef with uncommitted changes",
        "seed of sampling",
        "bits used",
        "4x4",
    ],
)
def test_the_page_says(page: Page, words: str) -> None:
    assert words in page.text


def test_every_verdict_is_shown_under_its_image(report, page: Page) -> None:
    tiles = [tile for grid in report.content.grids for tile in grid.tiles]
    assert page.text.count("✓ ") == sum(tile.correct is True for tile in tiles)
    assert page.text.count("✗ ") == sum(tile.correct is False for tile in tiles)
    assert {tile.correct for tile in tiles} == {True, False}


def test_an_empty_report_still_renders(report) -> None:
    bare = Result(name="bare", metrics=(), provenance=report.result.provenance)
    text = Page(render_html({"bare": bare}, ReportContent(title="Nothing yet"))).text
    assert "Nothing yet" in text
    assert "Samples" not in text


def test_an_rfid_of_stand_in_features_is_a_caveat(report) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    scores = ReconstructionScores(RandomConvFeatures(8))
    scores.add(images, images[::-1])
    result = replace(report.result, metrics=tuple(scores.metrics()))
    text = Page(render_html({"x": result}, ReportContent(title="x"))).text
    caveats = text[text.index("Caveats") : text.index("All numbers")]
    assert "rfrechet[" in caveats
    assert "not a published rFID" in caveats


def test_stages_of_a_strip_stay_small_on_wide_screens(report) -> None:
    rule = re.search(
        r"\.strip figure \{.*max-width: (\d+)rem",
        render_html({report.result.name: report.result}, report.content),
    )
    assert rule
    assert int(rule[1]) * 16 <= 260


def test_a_report_directory_holds_everything(report, tmp_path: Path) -> None:
    page = write_report(tmp_path, report.result, report.content)
    assert page == tmp_path / "report.html"
    assert Result.load(tmp_path) == report.result
    arms = ShapesEvalResult.from_rows(read_samples(tmp_path))
    assert arms["samples"].metrics() == report.content.shapeseval["samples"].metrics()
    markdown = (tmp_path / "report.md").read_text()
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", markdown):
        assert (tmp_path / picture).is_file()
    assert len(list((tmp_path / "images").glob("*.png"))) == 5
    assert "| color attribution | " in markdown


def test_a_report_can_be_written_twice(report, tmp_path: Path) -> None:
    first = write_report(tmp_path, report.result, report.content).read_bytes()
    assert write_report(tmp_path, report.result, report.content).read_bytes() == first


def test_a_result_is_only_there_when_all_of_its_report_is(report, tmp_path: Path) -> None:
    write_report(tmp_path, report.result, report.content)
    (tmp_path / "report.md").unlink()
    (tmp_path / "report.md").mkdir()  # in the way, as a full disk would be
    with pytest.raises(OSError, match="report"):
        write_report(tmp_path, report.result, report.content)
    assert not (tmp_path / "result.json").exists()


def test_scores_of_an_older_report_do_not_stay(report, tmp_path: Path) -> None:
    write_report(tmp_path, report.result, report.content)
    write_report(tmp_path, report.result, replace(report.content, shapeseval={}, grids=()))
    assert read_samples(tmp_path) == []


def test_the_heading_shows_the_code_of_every_run(report) -> None:
    several = replace(report.result.provenance, git_sha="0123456789abcdef, fedcba9876543210")
    text = render_html({"x": replace(report.result, provenance=several)}, report.content)
    assert "code 0123456789, fedcba9876" in text


def test_a_strip_needs_a_label_per_image() -> None:
    with pytest.raises(ValueError, match="a label per image"):
        Strip(caption="x", images=(np.zeros((4, 4, 3), np.uint8),), labels=())
