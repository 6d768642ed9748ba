"""``python -m infinity edit``: variations, edits by prompt, inpainting, outpainting, strips."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from infinity.command_options import (
    DEFAULT_MODEL,
    add_model_options,
    add_rewriter_options,
    add_sampling_options,
    load_pipeline,
    load_rewriter,
    model_record,
    sampling_arguments,
)
from infinity.editing import coarse_to_fine, load_bits, read_image, reconstruct, reconstruct_bits, redraw
from infinity.images import fit_image, image_grid, open_image, save_png
from infinity.inpainting import inpaint, outpaint
from infinity.json_files import write_json
from infinity.pipeline import InfinityPipeline
from infinity.rewriting import CachedRewriter
from infinity.seeds import image_seed

__all__ = ["add_arguments", "run"]

_EXAMPLES = f"""examples (MODEL is {DEFAULT_MODEL} if not given):
  python -m infinity edit variations "a red circle" --keep 2 --num-images 4 --output out/variations
  python -m infinity edit prompt "a blue circle" --from "a red circle" --keep 1 --output out/blue
  python -m infinity edit inpaint photo.png "a red circle" --box 16,16,48,48 --output out/inpaint
  python -m infinity edit outpaint photo.png "a red circle" --scale 0.6 --output out/outpaint
  python -m infinity edit strip "a red circle" --output out/strip
"""


class Pictures(NamedTuple):
    """What an edit started from (if from an image), and its results."""

    sources: list[Image.Image]
    results: list[Image.Image]
    seeds: list[int]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = "Edit images by their bits. Results and a grid.png go to a new folder."
    parser.epilog = _EXAMPLES
    edits = parser.add_subparsers(metavar="EDIT", required=True)

    def add(name: str, draw: Callable[..., Pictures], summary: str) -> argparse.ArgumentParser:
        command = edits.add_parser(name, help=summary, description=summary)
        command.set_defaults(edit=name, draw=draw)
        command.add_argument("--output", type=Path, required=True, help="new folder to write to")
        add_model_options(command)
        add_sampling_options(command)
        add_rewriter_options(command)
        return command

    variations = add("variations", _variations, "keep the first scales of an image, draw the rest anew")
    variations.add_argument("prompt", help="of the image and its variations")
    variations.add_argument("--image", type=Path, help="image or .bits file (default: drawn from the prompt)")
    prompt = add("prompt", _prompt, "keep the first scales of an image, draw the rest from another prompt")
    prompt.add_argument("prompt", help="the new prompt")
    source = prompt.add_mutually_exclusive_group(required=True)
    source.add_argument("--from", dest="source", metavar="PROMPT", help="the image is drawn from this prompt")
    source.add_argument("--image", type=Path, help="image or .bits file")
    inpainting = add("inpaint", _inpaint, "draw a part of an image anew")
    where = inpainting.add_mutually_exclusive_group(required=True)
    where.add_argument("--mask", type=Path, help="image of the same size, bright where it is redrawn")
    where.add_argument("--box", type=_numbers(4), metavar="X0,Y0,X1,Y1", help="redraw these pixels")
    outpainting = add("outpaint", _outpaint, "draw what lies around an image")
    outpainting.add_argument("--aspect-ratio", type=float, help="of the result (height / width)")
    outpainting.add_argument(
        "--scale", type=float, default=0.5, help="image / largest that fits (default: 0.5)"
    )
    outpainting.add_argument(
        "--position",
        type=_numbers(2),
        default=(0.5, 0.5),
        metavar="Y,X",
        help="0,0 top left (default: 0.5,0.5)",
    )
    for command in (variations, prompt):
        command.add_argument("--keep", type=int, default=2, help="scales to keep (default: 2)")
    for command in (inpainting, outpainting):
        command.add_argument("image", type=Path)
        command.add_argument("prompt", help="describes the whole result")
        command.add_argument(
            "--no-composite", dest="composite", action="store_false", help="don't put known pixels back"
        )
    for command in (variations, prompt, inpainting, outpainting):
        command.add_argument("--num-images", type=int, default=1, help="results (default: 1)")
    strip = add("strip", _strip, "an image decoded after every scale")
    strip.add_argument("prompt", nargs="?", help="the image is drawn from it")
    strip.add_argument("--image", type=Path, help="image or .bits file, instead of a prompt")


def run(options: argparse.Namespace) -> None:
    """Edit, then write ``0.png``, .. , ``grid.png`` (with the source first) and ``edit.json``."""
    if options.output.exists() and any(options.output.iterdir()):
        raise ValueError(f"{options.output} is not empty; choose another --output")
    pipeline = load_pipeline(options)
    rewriter = load_rewriter(options)
    rewritten = _rewritten_prompts(options, rewriter)
    pictures = options.draw(pipeline, argparse.Namespace(**{**vars(options), **rewritten}))
    options.output.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(pictures.results):
        save_png(image, options.output / f"{number}.png")
    save_png(image_grid([*pictures.sources, *pictures.results]), options.output / "grid.png")
    record = model_record(options, pipeline) | pipeline.settings(**sampling_arguments(options)).record()
    del record["aspect_ratio"]  # which the source decides
    record["rewriter"] = None if rewriter is None else rewriter.fingerprint
    record |= {f"rewritten_{name}": text for name, text in rewritten.items()}
    unrecorded = {"run", "draw", "output", "model", "device", "bf16", "batch_size", "rewrite_cache"}
    given = {
        key: str(value) if isinstance(value, Path) else value
        for key, value in vars(options).items()
        if key not in unrecorded
    }
    write_json(options.output / "edit.json", {**given, **record, "seeds": pictures.seeds})


def _rewritten_prompts(options: argparse.Namespace, rewriter: CachedRewriter | None) -> dict[str, str]:
    """The rewritten prompts, by the names of the options that gave them."""
    if rewriter is None:
        return {}
    given = {name: text for name in ("prompt", "source") if (text := getattr(options, name, None))}
    return dict(zip(given, rewriter.rewrite(list(given.values())), strict=True))


def _variations(pipeline: InfinityPipeline, options: argparse.Namespace) -> Pictures:
    return _redraw(pipeline, options, options.prompt, first=1)  # with number 0, the source itself


def _prompt(pipeline: InfinityPipeline, options: argparse.Namespace) -> Pictures:
    return _redraw(pipeline, options, options.source, first=0)


def _redraw(
    pipeline: InfinityPipeline, options: argparse.Namespace, source: str | None, first: int
) -> Pictures:
    bits = _source_bits(pipeline, options, source)
    seeds = [image_seed(options.seed, 0, first + k) for k in range(options.num_images)]
    arguments = {**_arguments(options), "seeds": seeds}
    drawn = redraw(pipeline, bits, options.prompt, keep_scales=options.keep, **arguments)
    return Pictures(reconstruct_bits(pipeline, bits), drawn.images, drawn.seeds)


def _inpaint(pipeline: InfinityPipeline, options: argparse.Namespace) -> Pictures:
    image = open_image(options.image)
    if options.mask is None:
        mask = Image.new("L", image.size)
        x0, y0, x1, y1 = map(int, options.box)
        if not (0 <= x0 < x1 <= image.width and 0 <= y0 < y1 <= image.height):
            raise ValueError(
                f"--box must be X0,Y0,X1,Y1 within {options.image}, {image.width}x{image.height} pixels, and "
                f"not empty, got {x0},{y0},{x1},{y1}"
            )
        mask.paste(255, (x0, y0, x1, y1))
    else:
        mask = open_image(options.mask).convert("L")
    if mask.size != image.size:
        raise ValueError(
            f"{options.mask} must have the size of {options.image}, {image.width}x{image.height}, "
            f"got {mask.width}x{mask.height}"
        )
    image = read_image(pipeline, options.image)
    mask = fit_image(mask, image.height, image.width)
    drawn = inpaint(pipeline, image, mask, options.prompt, composite=options.composite, **_arguments(options))
    return Pictures([image], drawn.images, drawn.seeds)


def _outpaint(pipeline: InfinityPipeline, options: argparse.Namespace) -> Pictures:
    drawn = outpaint(
        pipeline,
        open_image(options.image),
        options.prompt,
        aspect_ratio=options.aspect_ratio,
        scale=options.scale,
        position=options.position,
        composite=options.composite,
        **_arguments(options),
    )
    return Pictures([], drawn.images, drawn.seeds)


def _strip(pipeline: InfinityPipeline, options: argparse.Namespace) -> Pictures:
    if (options.prompt is None) == (options.image is None):
        raise ValueError("give either a prompt or --image")
    settings = ("guidance", "temperature", "top_p", "negative_prompt", "rewriter")
    idle = [name for name in settings if getattr(options, name) is not None] + ["seed"] * (options.seed != 0)
    if options.image is not None and idle:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
        raise ValueError(f"the strip of an --image is decoded, not drawn: leave out {names}")
    bits = _source_bits(pipeline, options, options.prompt)
    return Pictures([], [image for stage in coarse_to_fine(pipeline, bits) for image in stage], [])


def _source_bits(
    pipeline: InfinityPipeline, options: argparse.Namespace, prompt: str | None
) -> Sequence[Any]:
    """Bits of the image that is edited: read from a file, or drawn from a prompt."""
    if options.image is None:
        assert prompt is not None
        seed = image_seed(options.seed, 0, 0)
        return pipeline(prompt, seeds=[seed], output_type="bits", **sampling_arguments(options)).bits
    if options.image.suffix == ".bits":
        return load_bits(pipeline, options.image)
    return reconstruct(pipeline, [read_image(pipeline, options.image)]).bits


def _arguments(options: argparse.Namespace) -> dict[str, Any]:
    return {
        "num_images_per_prompt": options.num_images,
        "seeds": options.seed,
        "batch_size": options.batch_size,
        **sampling_arguments(options),
    }


def _numbers(count: int) -> Callable[[str], tuple[float, ...]]:
    def parse(text: str) -> tuple[float, ...]:
        try:
            numbers = tuple(float(number) for number in text.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != count or not all(map(math.isfinite, numbers)):
            raise argparse.ArgumentTypeError(
                f"expected {count} numbers with commas between them, got {text!r}"
            )
        return numbers

    return parse
