"""The web page, in a real browser."""

from __future__ import annotations

import io
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlparse

import numpy as np
import pytest
import torch
from PIL import Image

from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter, build_rewriter

pytest.importorskip("gradio", reason="the page needs gradio: pip install 'infinity-suite[serve]'")
sync_api = pytest.importorskip("playwright.sync_api", reason="driving a browser needs playwright")
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no chromium is installed (Debian: apt install chromium)"),
    pytest.mark.timeout(600),
]

BRUSH = (225, 29, 72)  # its colour
PATIENCE = 60.0  # seconds; a browser on a busy machine


@contextmanager
def served(pipeline: InfinityPipeline, rewriter: CachedRewriter | None = None) -> Iterator[str]:
    from infinity.serve.page import serve

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = serve(pipeline, title="tiny", port=port, rewriter=rewriter, block=False)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        page.close()


@pytest.fixture(scope="module")
def address(pipeline: InfinityPipeline) -> Iterator[str]:
    with served(pipeline) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    sync_api.expect.set_options(timeout=1000 * PATIENCE)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    page = browser.new_page(viewport={"width": 1150, "height": 1500})
    page.set_default_timeout(1000 * PATIENCE)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    page.get_by_label("Prompt").fill("a red circle")
    yield page
    page.close()
    assert {urlparse(url).hostname for url in asked} <= {"127.0.0.1", None}, "the page asked other machines"


def press(page: Any, button: str) -> None:
    page.get_by_role("button", name=button, exact=True).click()


def strip(page: Any) -> Any:
    return page.locator("#strip img")


def picture(page: Any) -> Any:
    """The image on the page, as it would be downloaded."""
    source = page.locator("#image img").get_attribute("src")
    return Image.open(io.BytesIO(page.request.get(source).body()))


def shown(page: Any) -> np.ndarray | None:
    """Its pixels, if there is one."""
    return np.asarray(picture(page)) if page.locator("#image img").count() else None


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


def draw(page: Any, pipeline: InfinityPipeline, seed: int) -> np.ndarray:
    """Draw on the page, and wait for the image that the pipeline makes of it."""
    expected = np.asarray(pipeline("a red circle", seeds=seed).images[0])
    page.get_by_label("Seed").fill(str(seed))
    press(page, "Draw")
    wait_for(lambda: np.array_equal(shown(page), expected))
    return expected


def paint(page: Any) -> None:
    """Drag the brush through the upper left of the image, again until the editor takes it."""
    editor = page.locator("#editor")
    editor.get_by_label("Brush", exact=True).wait_for()
    canvas = editor.locator("canvas").first

    def settled() -> bool:  # a stroke while the image still moves would lie elsewhere
        before = canvas.bounding_box()
        page.wait_for_timeout(300)
        return canvas.bounding_box() == before

    def painted() -> bool:
        box = canvas.bounding_box()
        x, y = box["x"] + box["width"] / 2 - 100, box["y"] + box["height"] / 2 - 100
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 40, y, steps=5)
        page.mouse.up()
        pixels = np.asarray(Image.open(io.BytesIO(editor.screenshot())).convert("RGB"))
        return np.all(pixels == BRUSH, axis=2).sum() > 2000

    wait_for(settled)
    wait_for(painted)


def test_the_image_follows_the_seed_beneath_it_the_strip(page: Any, pipeline: InfinityPipeline) -> None:
    assert not np.array_equal(draw(page, pipeline, 3), draw(page, pipeline, 4))
    sync_api.expect(strip(page)).to_have_count(3)
    for size in ("1x1", "2x2", "4x4"):
        sync_api.expect(page.locator("#strip").get_by_text(size)).to_be_visible()


def test_the_strip_grows_while_the_image_is_drawn(
    page: Any, pipeline: InfinityPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen, decode = threading.Event(), pipeline.decode
    num_decoded = iter(range(100))

    def patient(features_BDHW: torch.Tensor) -> torch.Tensor:
        if next(num_decoded) == 2:
            seen.wait(PATIENCE)
        return decode(features_BDHW)

    monkeypatch.setattr(pipeline, "decode", patient)
    press(page, "Draw")
    sync_api.expect(strip(page)).to_have_count(2)
    seen.set()
    sync_api.expect(strip(page)).to_have_count(3)


def test_a_mistake_is_answered_by_one_sentence(page: Any) -> None:
    page.get_by_label("Guidance").fill("a lot")
    press(page, "Draw")
    sync_api.expect(page.get_by_text("guidance: expected one number")).to_be_visible()


def test_a_prompt_is_rewritten_unless_the_box_is_cleared(browser: Any, pipeline: InfinityPipeline) -> None:
    rewriter = CachedRewriter(build_rewriter("tests.rewriters:at_sea"))
    with served(pipeline, rewriter) as address, browser.new_page() as page:
        page.set_default_timeout(1000 * PATIENCE)
        page.goto(address)
        page.get_by_label("Prompt", exact=True).fill("a cat")
        written = page.get_by_label("Prompt as drawn")
        for prompt, drawn in (("a cat at sea", "a cat at sea"), ("a cat", "")):
            press(page, "Draw")
            expected = np.asarray(pipeline(prompt, seeds=0).images[0])
            wait_for(lambda expected=expected: np.array_equal(shown(page), expected))
            sync_api.expect(written).to_have_value(drawn)
            texts = picture(page).text
            assert texts.get("rewritten_prompt", "") == drawn
            assert texts.get("rewriter", "") == (rewriter.fingerprint if drawn else "")
            page.get_by_label("Rewrite the prompt first").uncheck()


def test_a_painted_part_is_drawn_anew_and_the_rest_stays(page: Any, pipeline: InfinityPipeline) -> None:
    before = draw(page, pipeline, 3)
    page.get_by_role("button", name="Draw a part anew").click()
    press(page, "Draw the painted part")
    sync_api.expect(page.get_by_text("there is no image to paint over")).to_be_visible()
    press(page, "Take the image")
    paint(page)
    page.get_by_label("Seed").fill("5")
    press(page, "Draw the painted part")
    wait_for(lambda: not np.array_equal(shown(page), before))
    sync_api.expect(strip(page)).to_have_count(3)
    wait_for(lambda: np.array_equal(shown(page)[40:], before[40:]))
    assert not np.array_equal(shown(page)[:40], before[:40])
