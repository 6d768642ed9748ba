"""A pipeline's callback as an iterator."""

from __future__ import annotations

import threading

import pytest

from infinity.serve.live import live_images
from tests.pipelines import tiny_pipeline


def test_an_image_after_every_scale_and_the_finished_one_last() -> None:
    pipeline = tiny_pipeline()
    images = list(live_images(pipeline, lambda hook: pipeline("a cat", seeds=3, callback_on_scale_end=hook)))
    finished = pipeline("a cat", seeds=3).images[0]
    assert len(images) == len(pipeline.schedule())
    assert images[-1].tobytes() == finished.tobytes()
    assert images[0].tobytes() != finished.tobytes()


def test_images_come_while_the_next_ones_are_drawn() -> None:
    pipeline = tiny_pipeline()
    seen = threading.Event()

    def draw(hook):
        def patient(end):
            assert end.scale == 0 or seen.wait(timeout=10)
            hook(end)

        return pipeline("a cat", callback_on_scale_end=patient)

    images = live_images(pipeline, draw)
    next(images)
    seen.set()
    assert len(list(images)) == len(pipeline.schedule()) - 1


def test_errors_are_raised_where_the_images_are_taken() -> None:
    pipeline = tiny_pipeline()
    with pytest.raises(ValueError, match="non-empty text"):
        next(live_images(pipeline, lambda hook: pipeline(" ", callback_on_scale_end=hook)))


def test_closing_the_iterator_stops_the_drawing() -> None:
    pipeline = tiny_pipeline()
    closed, ended = threading.Event(), threading.Event()
    scales = []

    def draw(hook):
        def slow(end):
            scales.append(end.scale)
            assert end.scale == 0 or closed.wait(timeout=10)
            hook(end)

        try:
            return pipeline("a cat", callback_on_scale_end=slow)
        finally:
            ended.set()

    images = live_images(pipeline, draw)
    next(images)
    images.close()
    closed.set()
    assert ended.wait(timeout=10)
    assert scales == [0, 1]
