"""Folders of images with a manifest, as other programs leave them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.image_folders import write_image


def write_generated(folder: Path, images_by_prompt: Mapping[str, Sequence[np.ndarray]]) -> None:
    """Images (RGB uint8), several of a prompt."""
    lines = []
    for prompt_id, images in images_by_prompt.items():
        for index, image in enumerate(images):
            lines.append({"file": f"{prompt_id}-{index:02d}.png", "prompt_id": prompt_id})
            write_image(folder / lines[-1]["file"], image)
    _write_manifest(folder, lines)


def write_reconstructions(folder: Path, originals_NHW3: np.ndarray, others_NHW3: np.ndarray) -> None:
    """Pairs of images (RGB uint8)."""
    lines = []
    for index, (original, other) in enumerate(zip(originals_NHW3, others_NHW3, strict=True)):
        lines.append({"original": f"{index:06d}-original.png", "reconstruction": f"{index:06d}.png"})
        write_image(folder / lines[-1]["original"], original)
        write_image(folder / lines[-1]["reconstruction"], other)
    _write_manifest(folder, lines)


def _write_manifest(folder: Path, lines: Sequence[Mapping[str, str]]) -> None:
    (folder / "manifest.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
