"""``python -m infinity reconstruct``: images through the tokenizer, and to packed bits and back."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from infinity.command_options import DEFAULT_MODEL, add_model_options, load_pipeline
from infinity.editing import load_bits, read_image, reconstruct, reconstruct_bits, save_bits
from infinity.images import save_png, to_tensor

__all__ = ["add_arguments", "run"]

_EXAMPLES = f"""examples:
  python -m infinity reconstruct --model {DEFAULT_MODEL} a.png b.png --output out --bits
  python -m infinity reconstruct --model {DEFAULT_MODEL} out/a.bits --output decoded
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = (
        "Run images through the tokenizer and back. Images are scaled and cropped to the nearest of the "
        "model's sizes; .bits files are only decoded."
    )
    parser.epilog = _EXAMPLES
    parser.add_argument("images", type=Path, nargs="+", help="image or .bits files")
    parser.add_argument("--output", type=Path, required=True, help="folder to write to")
    parser.add_argument("--bits", action="store_true", help="store each image's bits too, as NAME.bits")
    add_model_options(parser)


def run(options: argparse.Namespace) -> str:
    """Write ``NAME.png`` for every file, and report how close it is."""
    names = [path.stem for path in options.images]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"several files would be written as {min(twice)}.png; reconstruct them apart")
    pipeline = load_pipeline(options)
    options.output.mkdir(parents=True, exist_ok=True)
    lines = []
    for path in options.images:
        if (options.output / f"{path.stem}.png").resolve() == path.resolve():
            raise ValueError(f"{path} would be overwritten by its reconstruction; choose another --output")
        if path.suffix == ".bits":
            decoded = reconstruct_bits(pipeline, load_bits(pipeline, path))
            for number, image in enumerate(decoded):
                suffix = f"_{number}" if len(decoded) > 1 else ""
                save_png(image, options.output / f"{path.stem}{suffix}.png")
            lines.append(f"{path}: decoded")
            continue
        image = read_image(pipeline, path)
        output = reconstruct(pipeline, [image])
        save_png(output.images[0], options.output / f"{path.stem}.png")
        error = torch.mean((to_tensor([image]) - to_tensor(output.images)).square()).item()
        line = f"{path}: PSNR {10 * math.log10(4 / error) if error else math.inf:.1f} dB"
        if options.bits:
            stored = options.output / f"{path.stem}.bits"
            save_bits(pipeline, output.bits, stored)
            line += f", {stored.stat().st_size} bytes"
        lines.append(line)
    return "\n".join(lines)
