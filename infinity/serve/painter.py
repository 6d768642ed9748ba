"""What the page's buttons do: take settings as people type them, give images as they grow."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from PIL import Image, ImageChops

from infinity.images import fit_image
from infinity.inpainting import inpaint
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter
from infinity.sampling.config import parse_per_scale
from infinity.sampling.results import PipelineOutput, ScaleEnd
from infinity.schedules import nearest_aspect_ratio
from infinity.serve.live import live_images

__all__ = ["Frame", "Painter"]

_Draw = Callable[[Callable[[ScaleEnd], None]], PipelineOutput]


class Frame(NamedTuple):
    """A drawing after some scale."""

    image: Image.Image
    scale: str  # its size, as "2x2" tokens
    rewriting: dict[str, str]  # the prompt, what was drawn instead, and by which rewriter; empty without one


class Painter:
    """Draws with a pipeline. A mistake in the settings is a ValueError with one sentence.

    Args:
        rewriter: of prompts, for those calls that ask for it.
    """

    def __init__(self, pipeline: InfinityPipeline, rewriter: CachedRewriter | None = None) -> None:
        self.pipeline = pipeline
        self.rewriter = rewriter
        self._drawing = threading.Lock()  # a stopped drawing goes on to the end of its scale

    def draw(
        self,
        prompt: str,
        aspect_ratio: float,
        seed: int | None,
        guidance: str,
        temperature: str,
        rewrite: bool = False,
    ) -> Iterator[Frame]:
        """Draw an image: the one that ``python -m infinity generate`` draws with this seed."""
        settings = _settings(seed, guidance, temperature)
        text, rewriting = self._rewritten(prompt, rewrite)
        return self._frames(
            aspect_ratio,
            rewriting,
            lambda hook: self.pipeline(
                text, aspect_ratio=aspect_ratio, callback_on_scale_end=hook, **settings
            ),
        )

    def redraw(
        self,
        image: Image.Image,
        strokes: Sequence[Image.Image],
        prompt: str,
        seed: int | None,
        guidance: str,
        temperature: str,
        rewrite: bool = False,
    ) -> Iterator[Frame]:
        """Draw a part of an image anew.

        Args:
            image: cut to the model's nearest shape.
            strokes: RGBA images of the size of `image`, opaque where it is to be drawn anew.
        """
        settings = _settings(seed, guidance, temperature)
        resolution = self.pipeline.resolution
        ratio = nearest_aspect_ratio(image.height, image.width, resolution.aspect_ratios)
        mask = Image.new("L", image.size)
        for stroke in strokes:
            mask = ImageChops.lighter(mask, stroke.getchannel("A"))
        if mask.getbbox() is None:
            raise ValueError("nothing is painted: paint over the part of the image to draw anew")
        known, redrawn = (fit_image(part, *resolution.image_size(ratio)) for part in (image, mask))
        text, rewriting = self._rewritten(prompt, rewrite)
        return self._frames(
            ratio,
            rewriting,
            lambda hook: inpaint(self.pipeline, known, redrawn, text, callback_on_scale_end=hook, **settings),
        )

    def _rewritten(self, prompt: str, rewrite: bool) -> tuple[str, dict[str, str]]:
        """The prompt to draw, and the record of how it was rewritten."""
        if self.rewriter is None or not rewrite or not prompt.strip():
            return prompt, {}
        [text] = self.rewriter.rewrite([prompt])
        return text, {"prompt": prompt, "rewritten_prompt": text, "rewriter": self.rewriter.fingerprint}

    def _frames(self, aspect_ratio: float, rewriting: dict[str, str], draw: _Draw) -> Iterator[Frame]:
        def draw_alone(hook: Callable[[ScaleEnd], None]) -> PipelineOutput:
            with self._drawing:
                return draw(hook)

        scales = self.pipeline.schedule(aspect_ratio)
        for scale, image in zip(scales, live_images(self.pipeline, draw_alone), strict=True):
            yield Frame(image, f"{scale.h}x{scale.w}", rewriting)


def _settings(seed: int | None, guidance: str, temperature: str) -> dict[str, Any]:
    if seed is None or seed < 0:
        raise ValueError(
            f"the seed must be a whole number, at least 0, got {'nothing' if seed is None else seed}"
        )
    return {
        "seeds": seed,
        "guidance_scale": _per_scale("guidance", guidance),
        "temperature": _per_scale("temperature", temperature),
    }


def _per_scale(name: str, text: str) -> float | tuple[float, ...]:
    try:
        return parse_per_scale(text)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
