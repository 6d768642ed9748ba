"""What the page's buttons do."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageDraw

from infinity.rewriting import CachedRewriter, build_rewriter
from infinity.serve.painter import Painter
from infinity.text import TextEncoder
from infinity.types import TextStates
from tests.pipelines import tiny_pipeline


@pytest.fixture(scope="module")
def painter() -> Painter:
    return Painter(tiny_pipeline())


def stroke(size: tuple[int, int], *box: int) -> Image.Image:
    """An otherwise transparent picture with a red box."""
    layer = Image.new("RGBA", size)
    ImageDraw.Draw(layer).rectangle(box, fill="red")
    return layer


def test_a_drawing_ends_with_the_image_of_the_seed_and_settings(painter: Painter) -> None:
    frames = list(painter.draw("a cat", 0.6, 3, "2", "1,1,0"))
    expected = painter.pipeline(
        "a cat", aspect_ratio=0.6, seeds=3, guidance_scale=2.0, temperature=(1.0, 1.0, 0.0)
    ).images[0]
    assert [frame.scale for frame in frames] == ["1x1", "2x2", "3x5"]
    assert frames[-1].image.tobytes() == expected.tobytes()
    assert frames[0].image.size == expected.size
    assert len({frame.image.tobytes() for frame in frames}) == 3


def test_what_is_not_painted_stays(painter: Painter) -> None:
    image = Image.effect_noise((64, 64), 60).convert("RGB")
    strokes = [stroke(image.size, 0, 0, 15, 31), stroke(image.size, 0, 32, 31, 47)]
    *_, last = painter.redraw(image, strokes, "a cat", 0, "3", "1")
    painted = np.zeros((64, 64), bool)
    painted[:32, :16] = painted[32:48, :32] = True
    changed = np.any(np.asarray(last.image) != np.asarray(image), axis=2)
    assert not changed[~painted].any()
    assert changed[painted].mean() > 0.9


def test_an_image_of_another_shape_is_cut_to_the_nearest(painter: Painter) -> None:
    image = Image.new("RGB", (300, 200), "white")
    *_, last = painter.redraw(image, [stroke(image.size, 0, 0, 150, 200)], "a cat", 0, "3", "1")
    assert last.image.size == (80, 48)
    assert last.image.getpixel((79, 0)) == (255, 255, 255)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("a cat", 1.0, None, "3", "1"), "the seed must be a whole number, at least 0, got nothing"),
        (("a cat", 1.0, -1, "3", "1"), "the seed must be a whole number, at least 0, got -1"),
        (("a cat", 1.0, 0, "much", "1"), "guidance: expected one number, or one per scale as .*, got 'much'"),
        (("a cat", 1.0, 0, "3", "1,2"), "temperature has 2 values"),
        (("a cat", 1.0, 0, "-3", "1"), "guidance must be"),
        (("  ", 1.0, 0, "3", "1"), "non-empty text"),
    ],
)
def test_a_mistake_is_one_sentence(painter: Painter, settings: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        list(painter.draw(*settings))


def test_painting_nothing_is_a_mistake(painter: Painter) -> None:
    image = Image.new("RGB", (64, 64))
    for strokes in ([], [Image.new("RGBA", (64, 64))]):
        with pytest.raises(ValueError, match="nothing is painted: paint over"):
            list(painter.redraw(image, strokes, "a cat", 0, "3", "1"))


def test_a_prompt_is_rewritten_where_that_is_asked_for_and_its_frames_say_so(painter: Painter) -> None:
    rewriting = Painter(painter.pipeline, CachedRewriter(build_rewriter("tests.rewriters:at_sea")))
    plain = list(rewriting.draw("a cat", 1.0, 3, "3", "1"))
    rewritten = list(rewriting.draw("a cat", 1.0, 3, "3", "1", True))
    expected = list(painter.draw("a cat at sea", 1.0, 3, "3", "1"))
    assert [frame.image.tobytes() for frame in rewritten] == [frame.image.tobytes() for frame in expected]
    assert plain[-1].image.tobytes() != rewritten[-1].image.tobytes()
    record = {
        "prompt": "a cat",
        "rewritten_prompt": "a cat at sea",
        "rewriter": rewriting.rewriter.fingerprint,
    }
    assert [frame.rewriting for frame in plain + rewritten] == [{}] * 3 + [record] * 3
    image = Image.effect_noise((64, 64), 60).convert("RGB")
    arguments = (image, [stroke(image.size, 0, 0, 31, 31)])
    *_, last = rewriting.redraw(*arguments, "a cat", 0, "3", "1", True)
    *_, same = painter.redraw(*arguments, "a cat at sea", 0, "3", "1")
    assert last.image.tobytes() == same.image.tobytes()
    assert last.rewriting == record


class Crowded:
    """A text encoder that notes how many use it at a time."""

    def __init__(self, encoder: TextEncoder) -> None:
        self.encoder = encoder
        self.most = self.now = 0

    def encode(self, captions: list[str]) -> TextStates:
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.1)
        self.now -= 1
        return self.encoder.encode(captions)


def test_one_image_is_drawn_at_a_time() -> None:
    pipeline = tiny_pipeline()
    pipeline.text_encoder = crowded = Crowded(pipeline.text_encoder)  # pyright: ignore[reportAttributeAccessIssue]
    painter, image = Painter(pipeline), Image.new("RGB", (64, 64))
    frames = (
        painter.draw("a cat", 1.0, 1, "3", "1"),
        painter.redraw(image, [stroke(image.size, 0, 0, 40, 40)], "a cat", 1, "3", "1"),
    )
    with ThreadPoolExecutor() as threads:
        drawn = list(threads.map(list, frames))
    assert [len(some) for some in drawn] == [3, 3]
    assert crowded.most == 1
