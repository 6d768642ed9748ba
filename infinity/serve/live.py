"""Images while they are drawn: a pipeline's callback turned into an iterator."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator

from PIL import Image

from infinity.images import to_pil
from infinity.pipeline import InfinityPipeline
from infinity.sampling.results import PipelineOutput, ScaleEnd

__all__ = ["live_images"]


class _StoppedError(Exception):
    """Nobody looks any more."""


def live_images(
    pipeline: InfinityPipeline, draw: Callable[[Callable[[ScaleEnd], None]], PipelineOutput]
) -> Iterator[Image.Image]:
    """The first image of `draw`, as far as it is drawn, after every scale.

    Args:
        draw: calls `pipeline` with the callback that it is given. It runs in a thread of its own and is
            stopped at the end of a scale once the iterator is closed. Its errors are raised here.
    """
    results: queue.SimpleQueue[Image.Image | BaseException | None] = queue.SimpleQueue()
    closed = threading.Event()

    def on_scale_end(end: ScaleEnd) -> None:
        if closed.is_set():
            raise _StoppedError
        if end.bits_BDHW.shape != end.features_BDHW.shape:  # else it is the last scale, and `draw` decodes it
            results.put(to_pil(pipeline.decode(end.features_BDHW[:1]))[0])

    def work() -> None:
        try:
            results.put(draw(on_scale_end).images[0])
            results.put(None)
        except BaseException as error:  # this thread has nobody to tell
            results.put(error)

    threading.Thread(target=work, daemon=True).start()
    try:
        while (result := results.get()) is not None:
            if isinstance(result, BaseException):
                raise result
            yield result
    finally:
        closed.set()
