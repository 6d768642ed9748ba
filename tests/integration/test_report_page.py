"""The report, in a real browser: as wide as its window, in light and dark, with its images."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from evaluation.__main__ import main
from tests.evaluation.reports.synthetic import write_run, write_sweep

sync_api = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium is installed (apt install chromium)")

WIDTHS = (1400, 360)


def test_pages_fit_their_window_and_show_every_image(tmp_path: Path) -> None:
    long_name = "a-run-with-a-name-that-is-far-too-long-for-a-telephone-" * 2
    one = write_run(tmp_path / long_name, num_prompts=3, size=16)
    main(["report", str(one), "--output", str(tmp_path / "one")])
    runs = write_sweep(tmp_path / "sweep", num_prompts=3, size=16)
    main(["report", *map(str, runs), str(one), "--output", str(tmp_path / "all")])
    longest = "Math.max(...[...document.querySelectorAll('.bar')].map(one => one.clientWidth))"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        papers = set()
        for name in ("one", "all"):
            for width in WIDTHS:
                for scheme in ("light", "dark"):
                    page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
                    page.goto((tmp_path / name / "report.html").as_uri())
                    assert page.evaluate("document.documentElement.scrollWidth") == width
                    broken = "[...document.images].filter(one => !one.complete || !one.naturalWidth).length"
                    assert page.evaluate(broken) == 0
                    assert page.evaluate(longest) > width / 4
                    papers.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
                    page.close()
        browser.close()
    assert len(papers) == 2  # light and dark
