"""Folders of PNG files with a ``manifest.jsonl``: how images travel between generation and evaluation.

Generated images: one line ``{"file", "prompt_id", ...}`` each, or ``{"file", "prompt", ...}`` as
``python -m infinity generate`` writes. Reconstructions: ``{"original",
"reconstruction"}``. Paths are relative to the folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image

__all__ = [
    "decode_image",
    "read_generated",
    "read_image",
    "read_images",
    "read_reconstructions",
    "write_image",
]

_FORMATS = ("PNG", "JPEG", "WEBP")


def read_generated(
    folder: str | Path, ids_by_text: Mapping[str, Sequence[str]] | None = None
) -> dict[str, list[np.ndarray]]:
    """Images (RGB uint8) by prompt id, in the manifest's order.

    Args:
        folder: images and their manifest.
        ids_by_text: ids of the prompts that use a text, for lines that give ``prompt`` alone; the text's
            images go to them in turn.
    """
    turns = {text: cycle(ids) for text, ids in (ids_by_text or {}).items()}
    images: dict[str, list[np.ndarray]] = {}
    for line in _read_manifest(folder, ("file",)):
        prompt_id = line.get("prompt_id") or next(turns.get(line.get("prompt", ""), iter(())), None)
        if prompt_id is None:
            raise ValueError(
                f"{line['file']} of {folder} has no prompt_id, nor a prompt that is to be scored"
            )
        images.setdefault(prompt_id, []).append(read_image(Path(folder) / line["file"]))
    return images


def read_images(folder: str | Path) -> Iterator[np.ndarray]:
    """All generated images (RGB uint8), in the manifest's order."""
    for line in _read_manifest(folder, ("file",)):
        yield read_image(Path(folder) / line["file"])


def read_reconstructions(folder: str | Path) -> Iterator[np.ndarray]:
    """Pairs of original and reconstruction, RGB uint8 (2, H, W, 3), all of one size."""
    shapes: set[tuple[int, ...]] = set()
    for line in _read_manifest(folder, ("original", "reconstruction")):
        pair = [read_image(Path(folder) / line[name]) for name in ("original", "reconstruction")]
        shapes |= {image.shape for image in pair}
        if len(shapes) != 1:
            raise ValueError(f"images of {folder} must have one size, got {sorted(shapes)}")
        yield np.stack(pair)


def read_image(path: str | Path) -> np.ndarray:
    if not Path(path).is_file():
        raise ValueError(f"{path} is named in a manifest but does not exist; make the images again")
    return decode_image(path, str(path))


def decode_image(file: str | Path | IO[bytes], name: str) -> np.ndarray:
    """RGB uint8 (H, W, 3) of a PNG, JPEG or WEBP; other decoders stay shut to files of strangers.

    Args:
        name: of the image, for errors.
    """
    try:
        with Image.open(file, formats=_FORMATS) as image:
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # Pillow's readers raise nearly anything on damaged bytes
        raise ValueError(
            f"{name} is no whole PNG, JPEG or WEBP image ({type(error).__name__}); make it again"
        ) from error


def write_image(path: str | Path, image_HW3: np.ndarray) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image_HW3).save(path)


def _read_manifest(folder: str | Path, fields: tuple[str, ...]) -> list[dict[str, Any]]:
    """The last line about every file (the first field); a line that a kill cut short is passed over."""
    path = Path(folder) / "manifest.jsonl"
    if not path.is_file():
        raise ValueError(f"no manifest.jsonl in {folder}; each line must give {', '.join(fields)}")
    rows: dict[str, dict[str, Any]] = {}
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        if lost := set(fields) - set(line if isinstance(line, dict) else ()):
            raise ValueError(f"line {number} of {path} lacks {', '.join(sorted(lost))}")
        rows[line[fields[0]]] = line
    if not rows:
        raise ValueError(f"{path} is empty")
    return list(rows.values())
