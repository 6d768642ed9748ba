"""``python -m infinity generate``: prompts to a folder of PNG files; reruns skip what is there."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from rich.progress import Progress

from infinity.checkpoints.io import weights_sha256
from infinity.pipeline import InfinityPipeline, image_seed
from infinity.sampling.config import parse_per_scale

__all__ = [
    "GenerateOptions",
    "add_arguments",
    "image_grid",
    "read_manifest",
    "read_prompts",
    "run",
    "run_generate",
]

_EXAMPLES = r"""examples:
  python -m infinity generate --model runs/demo-basic-15/ar/export "a picture of a red circle"
  python -m infinity generate --model runs/demo-basic-15/ar/export \
      --prompts prompts.txt --num-images 4 --output samples
"""
_MANIFEST = "manifest.jsonl"
_MAX_GRID = 64


@dataclass(frozen=True, kw_only=True)
class GenerateOptions:
    """What the command line asks for; see ``python -m infinity generate --help``."""

    prompts: Sequence[str] = ()
    prompt_file: Path | None = None
    model: Path
    output: Path
    num_images: int = 1
    seed: int = 0
    aspect_ratio: float | None = None
    guidance: float | tuple[float, ...] | None = None
    temperature: float | tuple[float, ...] | None = None
    top_p: float | tuple[float, ...] | None = None
    negative_prompt: str | None = None
    batch_size: int = 32
    device: str = "cpu"
    bf16: bool = False

    @property
    def settings(self) -> dict[str, Any]:
        """What an image depends on, beside model, prompt and seed."""
        names = ("aspect_ratio", "guidance", "temperature", "top_p", "negative_prompt", "bf16")
        return {name: value for name, value in asdict(self).items() if name in names}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.description = "Draw images from prompts into a folder, with a grid and a manifest."
    parser.epilog = _EXAMPLES
    parser.add_argument("prompts", nargs="*", help="prompts; or none, with --prompts")
    parser.add_argument(
        "--prompts",
        dest="prompt_file",
        type=Path,
        help="file with one prompt a line, or JSON lines with 'prompt'",
    )
    parser.add_argument(
        "--model",
        type=Path,
        default=Path("runs/demo-basic-15/ar/export"),
        help="saved pipeline (default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("runs/samples"), help="folder to write to (default: %(default)s)"
    )
    parser.add_argument("--num-images", type=int, default=1, help="images per prompt (default: 1)")
    parser.add_argument(
        "--seed", type=int, default=0, help="every image's own seed follows from it (default: 0)"
    )
    parser.add_argument("--aspect-ratio", type=float, help="height / width, one of the model's")
    parser.add_argument(
        "--guidance", type=parse_per_scale, help="one value, or one per scale as 1,2,3 (default: the model's)"
    )
    parser.add_argument(
        "--temperature", type=parse_per_scale, help="one value or one per scale (default: the model's)"
    )
    parser.add_argument(
        "--top-p", type=parse_per_scale, help="one value or one per scale (default: the model's)"
    )
    parser.add_argument("--negative-prompt", help="what guidance leads away from")
    parser.add_argument("--batch-size", type=int, default=32, help="images drawn at once (default: 32)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, mps (default: cpu)")
    parser.add_argument("--bf16", action="store_true", help="run the networks under bfloat16 autocast")


def run(options: argparse.Namespace) -> None:
    values = {name: value for name, value in vars(options).items() if name != "run"}
    run_generate(GenerateOptions(**values))


def run_generate(options: GenerateOptions) -> None:
    """Draw every image that the output folder does not hold yet."""
    prompts = [*options.prompts, *(read_prompts(options.prompt_file) if options.prompt_file else [])]
    if not prompts:
        raise ValueError("no prompt was given: pass some as arguments, or a file with --prompts")
    if options.num_images < 1 or options.batch_size < 1:
        raise ValueError(
            f"--num-images and --batch-size must be positive, got {options.num_images}, {options.batch_size}"
        )
    pipeline = InfinityPipeline.from_pretrained(options.model)
    pipeline.schedule(options.aspect_ratio)
    pipeline.to(options.device, torch.bfloat16 if options.bf16 else None)
    options.output.mkdir(parents=True, exist_ok=True)
    run = {"model_sha256": weights_sha256(options.model / "transformer"), **options.settings}
    done = _finished(options.output, run)
    wanted = [
        (f"{i:05d}_{k}.png", prompt, image_seed(options.seed, i * options.num_images + k))
        for i, prompt in enumerate(prompts)
        for k in range(options.num_images)
    ]
    if other := [name for name, prompt, seed in wanted if done.get(name, (prompt, seed)) != (prompt, seed)]:
        raise ValueError(
            f"{options.output} holds images of other prompts or seeds ({other[0]}); choose another --output"
        )
    missing = [job for job in wanted if job[0] not in done]
    with Progress() as progress, open(options.output / _MANIFEST, "a") as manifest:
        task = progress.add_task("images", total=len(wanted), completed=len(wanted) - len(missing))
        for start in range(0, len(missing), options.batch_size):
            batch = missing[start : start + options.batch_size]
            drawn = pipeline(
                [prompt for _, prompt, _ in batch],
                seeds=[seed for _, _, seed in batch],
                aspect_ratio=options.aspect_ratio,
                guidance_scale=options.guidance,
                temperature=options.temperature,
                top_p=options.top_p,
                negative_prompt=options.negative_prompt,
                batch_size=options.batch_size,
            )
            for (name, prompt, seed), image in zip(batch, drawn.images, strict=True):
                assert isinstance(image, Image.Image)
                sha256 = _save_image(image, options.output / name)
                row = {"file": name, "prompt": prompt, "seed": seed, "sha256": sha256, **run}
                manifest.write(json.dumps(row) + "\n")
            manifest.flush()
            progress.advance(task, len(batch))
    shown = [Image.open(options.output / name) for name, _, _ in wanted[:_MAX_GRID]]
    _save_image(image_grid(shown), options.output / "grid.png")


def read_prompts(path: Path) -> list[str]:
    """Prompts of a file: one a line, or JSON lines that have a "prompt"."""
    if not path.is_file():
        raise FileNotFoundError(f"there is no prompt file {path}")
    lines = [line for line in path.read_text().splitlines() if line.strip()]
    if path.suffix != ".jsonl":
        return lines
    rows = [json.loads(line) for line in lines]
    if not all(isinstance(row, dict) and isinstance(row.get("prompt"), str) for row in rows):
        raise ValueError(f'every line of {path} must be a JSON object with a "prompt"')
    return [row["prompt"] for row in rows]


def read_manifest(directory: Path) -> dict[str, dict[str, Any]]:
    """The last row about every file of an output folder; a row that a kill cut short is passed over."""
    rows: dict[str, dict[str, Any]] = {}
    path = directory / _MANIFEST
    for line in path.read_text().splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        rows[row["file"]] = row
    return rows


def image_grid(images: Sequence[Image.Image], columns: int = 8) -> Image.Image:
    """Images side by side, on white; all of the size of the first one."""
    columns = min(columns, len(images))
    width, height = images[0].size
    grid = Image.new("RGB", (columns * (width + 2), -(-len(images) // columns) * (height + 2)), "white")
    for i, image in enumerate(images):
        grid.paste(image, (i % columns * (width + 2) + 1, i // columns * (height + 2) + 1))
    return grid


def _finished(directory: Path, run: dict[str, Any]) -> dict[str, tuple[str, int]]:
    """Prompt and seed of the files that are there, made by the same model and settings."""
    run = json.loads(json.dumps(run))  # tuples become lists, as in the file
    rows = read_manifest(directory)
    for name, row in rows.items():
        if any(row.get(key) != value for key, value in run.items()):
            raise ValueError(
                f"{directory} holds images of another model or other settings ({name}); "
                "choose another --output"
            )
    return {name: (row["prompt"], row["seed"]) for name, row in rows.items() if (directory / name).is_file()}


def _save_image(image: Image.Image, path: Path) -> str:
    """Write a PNG in one atomic step and return its SHA-256."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    image.save(temporary, format="PNG")
    os.replace(temporary, path)
    return hashlib.sha256(path.read_bytes()).hexdigest()
