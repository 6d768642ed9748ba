"""The page itself: what is on it, and what happens when a button is pressed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.themes import Default
from PIL import Image

from infinity.images import save_png
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter
from infinity.serve.painter import Frame, Painter

__all__ = ["serve"]

_MAX_WAITING = 16  # calls in the queue; one is served at a time
_CSS = """
.gradio-container { max-width: 1000px !important; margin: 0 auto !important; }
#image img { width: 100%; height: 100%; object-fit: contain; }
#strip .grid-wrap { min-height: 0; max-height: none; padding-top: 36px; }
"""
_RANDOM_SEED = "() => Math.floor(Math.random() * 1e9)"

# file of the image; files and captions of the strip; the prompt as it was drawn, if it was rewritten
_Shown = tuple[str, list[tuple[str, str]], str]


def serve(
    pipeline: InfinityPipeline,
    *,
    title: str,
    host: str = "127.0.0.1",
    port: int,
    rewriter: CachedRewriter | None = None,
    block: bool = True,
) -> gr.Blocks:
    """Show a page that draws with `pipeline`: until interrupted; or, not to `block`, until it is closed."""
    page = _page(Painter(pipeline, rewriter), title)
    page.queue(max_size=_MAX_WAITING, default_concurrency_limit=1)
    page.launch(
        server_name=host,
        server_port=port,
        share=False,
        ssr_mode=False,
        prevent_thread_lock=not block,
        theme=Default(primary_hue="indigo"),  # its fonts come with the package
        css=_CSS,
        footer_links=[],
    )
    return page


def _page(painter: Painter, title: str) -> gr.Blocks:
    pipeline, can_rewrite = painter.pipeline, painter.rewriter is not None
    ratios, sampling = pipeline.resolution.aspect_ratios, pipeline.sampling
    side = min(pipeline.resolution.image_size(ratios[0]))

    def draw(*settings: Any) -> Iterator[_Shown]:
        with _mistakes_told():
            yield from _as_files(painter.draw(*settings))

    def redraw(painted: dict[str, Any] | None, *settings: Any) -> Iterator[_Shown]:
        with _mistakes_told():
            yield from _as_files(painter.redraw(*_image_and_strokes(painted), *settings))

    with gr.Blocks(title="Infinity", analytics_enabled=False, delete_cache=(3600, 86400)) as page:
        gr.Markdown(f"# Infinity\nImages from text, bit by bit, from coarse to fine. Model: `{title}`")
        with gr.Row():
            with gr.Column(scale=3):
                prompt = gr.Textbox(label="Prompt", max_lines=4, autofocus=True)
                shape = gr.Dropdown(
                    [(_size_text(pipeline, ratio), ratio) for ratio in ratios], value=ratios[0], label="Shape"
                )
                with gr.Group(), gr.Row():
                    seed = gr.Number(0, label="Seed", precision=0, min_width=80)
                    guidance = gr.Textbox(_setting_text(sampling.guidance), label="Guidance", min_width=80)
                    temperature = gr.Textbox(
                        _setting_text(sampling.temperature), label="Temperature", min_width=80
                    )
                gr.Markdown("Guidance and temperature: one value, or one per scale.")
                rewrite = gr.Checkbox(can_rewrite, label="Rewrite the prompt first", visible=can_rewrite)
                with gr.Row():
                    start = gr.Button("Draw", variant="primary", min_width=80)
                    dice = gr.Button("New seed", min_width=80)
                    stop = gr.Button("Stop", min_width=80)
            with gr.Column(scale=4):
                image = gr.Image(
                    label="Image",
                    type="filepath",
                    height=400,
                    interactive=False,
                    buttons=["download", "fullscreen"],
                    elem_id="image",
                )
                drawn = gr.Textbox(label="Prompt as drawn", interactive=False, visible=can_rewrite)
        strip = gr.Gallery(
            label="Coarse to fine",
            columns=max(5, min(7, len(pipeline.schedule()))),
            fit_columns=False,
            interactive=False,
            buttons=["download", "fullscreen"],
            elem_id="strip",
        )
        with gr.Accordion("Draw a part anew", open=False):
            gr.Markdown(
                "Take the image, or load another. Paint over what should change, and describe the result."
            )
            editor = gr.ImageEditor(
                label="Paint",
                type="pil",
                format="png",
                height=480,
                layers=False,
                transforms=(),
                sources=("upload", "clipboard"),
                brush=gr.Brush(default_size=side // 12 + 1, colors=["#e11d48"], color_mode="fixed"),
                elem_id="editor",
            )
            with gr.Row():
                take = gr.Button("Take the image")
                restart = gr.Button("Draw the painted part", variant="primary")
        settings = [seed, guidance, temperature, rewrite]
        outputs: dict[str, Any] = {
            "outputs": [image, strip, drawn],
            "show_progress_on": image,
            "concurrency_id": "drawing",  # one of either kind at a time
        }
        drawing = gr.on([start.click, prompt.submit], draw, [prompt, shape, *settings], **outputs)
        redrawing = restart.click(redraw, [editor, prompt, *settings], **outputs)
        stop.click(None, cancels=[drawing, redrawing])
        take.click(lambda path: path, image, editor)
        dice.click(None, None, seed, js=_RANDOM_SEED)
    return page


@contextmanager
def _mistakes_told() -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise gr.Error(str(error), print_exception=False) from error


def _as_files(frames: Iterator[Frame]) -> Iterator[_Shown]:
    """The last image and the strip so far. Gradio copies a file once and whole, but writes an image again
    whenever it is shown, also while a browser reads it."""
    strip: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for frame in frames:
            path = Path(folder) / f"infinity_{frame.scale}.png"
            save_png(frame.image, path, frame.rewriting)
            strip.append((str(path), frame.scale))
            yield str(path), strip, frame.rewriting.get("rewritten_prompt", "")


def _image_and_strokes(painted: dict[str, Any] | None) -> tuple[Image.Image, list[Image.Image]]:
    if painted is None or painted["background"] is None:
        raise ValueError("there is no image to paint over: take the one that was drawn, or load another")
    return painted["background"].convert("RGB"), painted["layers"]


def _size_text(pipeline: InfinityPipeline, aspect_ratio: float) -> str:
    height, width = pipeline.resolution.image_size(aspect_ratio)
    return f"{width} x {height} (height / width {aspect_ratio:g})"


def _setting_text(value: float | tuple[float, ...]) -> str:
    return ",".join(f"{one:g}" for one in (value if isinstance(value, tuple) else (value,)))
