"""``python -m infinity generate``: prompts to a folder of PNG files; reruns skip what is there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from PIL import Image
from rich.progress import Progress

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
from infinity.images import image_grid, save_png
from infinity.manifests import finished_images, open_manifest, read_prompts
from infinity.seeds import image_seed

__all__ = ["add_arguments", "run"]

_EXAMPLES = f"""examples:
  python -m infinity generate --model {DEFAULT_MODEL} "a picture of a red circle"
  python -m infinity generate --model {DEFAULT_MODEL} \\
      --prompts prompts.txt --num-images 4 --output samples
"""
_MAX_GRID = 64

_Job = tuple[str, str, int]
"""File name, prompt and seed of an image."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = "Draw images from prompts into a folder, with a grid and a manifest."
    parser.epilog = _EXAMPLES
    parser.add_argument("prompts", nargs="*", help="prompts; or none, with --prompts")
    parser.add_argument(
        "--prompts",
        dest="prompt_file",
        type=Path,
        metavar="FILE",
        help="file with one prompt a line, or (.jsonl) JSON objects with 'prompt'",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/samples"), help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--num-images", type=int, default=1, help="images per prompt (default: 1)")
    parser.add_argument("--aspect-ratio", type=float, help="height / width, one of the model's")
    parser.add_argument("--height", type=int, help="with --width, instead of the aspect ratio")
    parser.add_argument("--width", type=int)
    add_rewriter_options(parser, cache="rewritten_prompts.jsonl in the output folder")
    add_model_options(parser)
    add_sampling_options(parser)


def run(options: argparse.Namespace) -> None:
    """Draw every image that the output folder does not hold yet."""
    prompts = [*options.prompts, *(read_prompts(options.prompt_file) if options.prompt_file else [])]
    if not all(prompt.strip() for prompt in prompts) or not prompts:
        raise ValueError("no prompt was given: pass some as arguments, or a file with --prompts")
    if options.num_images < 1 or options.batch_size < 1:
        raise ValueError(
            f"--num-images and --batch-size must be positive, got {options.num_images}, {options.batch_size}"
        )
    pipeline = load_pipeline(options)
    size = {name: getattr(options, name) for name in ("aspect_ratio", "height", "width")}
    settings = sampling_arguments(options) | size
    origin = model_record(options, pipeline) | pipeline.settings(**settings).record()
    rewriter = load_rewriter(options, options.output / "rewritten_prompts.jsonl")
    origin["rewriter"] = None if rewriter is None else rewriter.fingerprint
    wanted = [
        (f"{i:05d}_{k}.png", prompt, image_seed(options.seed, i, k))
        for i, prompt in enumerate(prompts)
        for k in range(options.num_images)
    ]
    missing = _missing(wanted, options.output, origin)
    options.output.mkdir(parents=True, exist_ok=True)
    with Progress() as progress, open_manifest(options.output) as manifest:
        task = progress.add_task("images", total=len(wanted), completed=len(wanted) - len(missing))
        for start in range(0, len(missing), options.batch_size):
            names, given, seeds = zip(*missing[start : start + options.batch_size], strict=True)
            texts = given if rewriter is None else rewriter.rewrite(given)
            drawn = pipeline(texts, seeds=seeds, batch_size=options.batch_size, **settings)
            for name, prompt, text, seed, image in zip(names, given, texts, seeds, drawn.images, strict=True):
                sha256 = save_png(image, options.output / name)
                row = {"file": name, "prompt": prompt, "seed": seed, "sha256": sha256, **origin}
                if rewriter is not None:
                    row["rewritten_prompt"] = text
                manifest.write(json.dumps(row) + "\n")
            manifest.flush()
            progress.advance(task, len(names))
    shown = [Image.open(options.output / name) for name, _, _ in wanted[:_MAX_GRID]]
    save_png(image_grid(shown), options.output / "grid.png")


def _missing(wanted: list[_Job], output: Path, origin: dict[str, Any]) -> list[_Job]:
    """The images that a folder lacks; those that it has must be of the same prompts, seeds and `origin`."""
    done = finished_images(output, origin)
    if other := [name for name, prompt, seed in wanted if done.get(name, (prompt, seed)) != (prompt, seed)]:
        raise ValueError(
            f"{output} holds images of other prompts or seeds ({other[0]}); choose another --output"
        )
    return [job for job in wanted if job[0] not in done]
