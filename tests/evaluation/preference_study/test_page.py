"""The page in a real browser, from a file: keyboard, undo, resume, what is saved."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evaluation.__main__ import main
from evaluation.preference_study.votes import read_votes
from tests.evaluation.preference_study.conftest import write_run

sync_api = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed (Debian: apt install chromium)"),
    pytest.mark.timeout(600),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def study(runs, tmp_path) -> Path:
    main(["preference", "build", *map(str, runs), "--output", str(tmp_path / "study"), "--limit", "5"])
    return tmp_path / "study"


@pytest.fixture
def page(browser: Any, study: Path) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1100, "height": 800}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    asked: list[str] = []
    mistakes: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: mistakes.append(str(error)))
    page.goto((study / "page" / "index.html").as_uri())
    yield page
    context.close()
    assert all(url.startswith(("file:", "data:", "blob:")) for url in asked), "the page asked other machines"
    assert not mistakes


def start(page: Any, rater: str = "ann") -> None:
    page.get_by_label("Your name or initials").fill(rater)
    page.get_by_role("button", name="Start").click()


def wait_for_count(page: Any, done: int, of: int = 5) -> None:
    """That many votes, and the next pair, if there is one, ready to be voted on."""
    sync_api.expect(page.locator("#count")).to_have_text(f"{done} of {of}")
    if done < of:
        sync_api.expect(page.get_by_role("button", name="Tie")).to_be_enabled()


def saved(page: Any, folder: Path) -> dict[str, Any]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Save votes").click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return {"path": path, **json.loads(path.read_text())}


def test_keys_vote_undo_and_the_file_scores(page: Any, study: Path) -> None:
    start(page, "ann b.")
    wait_for_count(page, 0)
    for done, key in enumerate(["ArrowLeft", "ArrowRight", "t", "s"], start=1):
        page.keyboard.press(key)
        wait_for_count(page, done)
    page.keyboard.press("u")
    wait_for_count(page, 3)
    page.keyboard.press("1")
    wait_for_count(page, 4)
    page.keyboard.press("2")
    sync_api.expect(page.get_by_text("Thank you, that was the last pair.")).to_be_visible()
    page.keyboard.press("ArrowLeft")  # there is nothing left to vote on
    content = saved(page, study)
    assert content["path"].name == f"votes-{content['study']}-ann-b-.json"
    assert [vote["vote"] for vote in content["votes"]] == ["left", "right", "tie", "left", "right"]
    assert [vote["pair"] for vote in content["votes"]] == ["1", "2", "3", "4", "5"]
    assert all(vote["seconds"] >= 0 for vote in content["votes"])
    key = json.loads((study / "key.json").read_text())
    votes = read_votes([content["path"]], [study / "key.json"])
    assert [vote.outcome for vote in votes] == [
        float(key["pairs"][0]["left"]["name"] == "alpha"),
        float(key["pairs"][1]["right"]["name"] == "alpha"),
        0.5,
        float(key["pairs"][3]["left"]["name"] == "alpha"),
        float(key["pairs"][4]["right"]["name"] == "alpha"),
    ]


def test_buttons_vote_and_votes_outlive_the_page_rater_by_rater(page: Any, study: Path) -> None:
    start(page)
    wait_for_count(page, 0)
    page.get_by_role("button", name="The left image is better").click()
    wait_for_count(page, 1)
    page.get_by_role("button", name="Tie").click()
    wait_for_count(page, 2)
    page.reload()
    start(page, "bob")
    wait_for_count(page, 0)
    page.get_by_role("button", name="Skip").click()
    wait_for_count(page, 1)
    page.get_by_role("button", name="Undo").click()
    wait_for_count(page, 0)
    sync_api.expect(page.get_by_role("button", name="Undo")).to_be_disabled()
    page.reload()
    start(page)
    wait_for_count(page, 2)
    assert [vote["vote"] for vote in saved(page, study)["votes"]] == ["left", "tie"]


def test_prompts_are_shown_as_written_with_their_images(page: Any, study: Path) -> None:
    start(page)
    for number, pair in enumerate(json.loads((study / "key.json").read_text())["pairs"]):
        wait_for_count(page, number)
        sync_api.expect(page.locator("#prompt")).to_have_text(pair["prompt"])
        for side in ("left", "right"):
            assert page.locator(f"#{side}").evaluate("image => image.naturalWidth") == 40 + 8 * pair["index"]
        page.keyboard.press("t")


def test_letters_of_a_name_are_no_votes(page: Any) -> None:
    page.get_by_label("Your name or initials").press_sequentially("stu")
    page.get_by_role("button", name="Start").click()
    wait_for_count(page, 0)


def test_an_image_that_is_lost_can_only_be_skipped(page: Any, study: Path) -> None:
    (study / "page" / "images" / "1-left.png").unlink()
    start(page)
    sync_api.expect(page.get_by_role("alert")).to_have_text("An image of this pair can't be shown; skip it.")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("s")
    wait_for_count(page, 1)
    assert [vote["vote"] for vote in saved(page, study)["votes"]] == ["skip"]


def test_a_browser_that_keeps_nothing_says_so_as_long_as_there_are_pairs(page: Any, study: Path) -> None:
    page.add_init_script("Storage.prototype.setItem = () => { throw new Error('full'); };")
    page.reload()
    start(page)
    wait_for_count(page, 0)
    page.keyboard.press("t")
    for done in (1, 2):
        wait_for_count(page, done)
        sync_api.expect(page.get_by_role("alert")).to_contain_text("save your votes before you close")
        page.keyboard.press("t")
    wait_for_count(page, 3)
    assert len(saved(page, study)["votes"]) == 3


def test_a_long_prompt_leaves_the_images_in_view(browser: Any, tmp_path: Path) -> None:
    words = "a very long prompt about a harbour at dusk, " * 20
    runs = [write_run(tmp_path / name, prompts=[words], images=1) for name in ("alpha", "beta")]
    main(["preference", "build", *map(str, runs), "--output", str(tmp_path / "study")])
    page = browser.new_page(viewport={"width": 1100, "height": 800})
    page.goto((tmp_path / "study" / "page" / "index.html").as_uri())
    start(page)
    wait_for_count(page, 0, 1)
    box = page.get_by_role("button", name="Tie").bounding_box()
    assert box["y"] + box["height"] <= 800
    page.close()
