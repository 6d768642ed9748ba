"""What a folder of drawn images says about them: ``manifest.jsonl``, a row per image.

While several ranks draw, every rank but the first appends to a file of its own, ``manifest.rank1.jsonl``,
which the first merges in the end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from evaluation.image_folders import read_image
from evaluation.provenance import sha256_of_pixels
from evaluation.tasks.api import EvalPrompt, EvalSample
from infinity.atomic import write_atomically

__all__ = ["MANIFEST", "ImageId", "Row", "damaged", "load_samples", "merge_rows", "read_rows"]

MANIFEST = "manifest.jsonl"

ImageId = tuple[str, int]
"""Prompt id, and number among the prompt's images."""

Row = Mapping[str, Any]


def read_rows(folder: Path) -> dict[ImageId, Row]:
    """The last row about every image; a row that a kill cut short is passed over."""
    rows: dict[ImageId, Row] = {}
    for path, text in _texts(folder).items():
        for line in text.splitlines():
            try:
                row = json.loads(line)
            except json.JSONDecodeError:
                continue
            if not isinstance(row, dict) or not row.keys() >= {"file", "prompt_id", "index", "sha256"}:
                raise ValueError(
                    f"{path} is no manifest of drawn images: expected rows with file, prompt_id, index and "
                    f"sha256, got {line[:60]}; choose another --output"
                )
            rows[row["prompt_id"], row["index"]] = row
    return rows


def _texts(folder: Path) -> dict[Path, str]:
    """The manifest, then the ranks' own; read again if one of these has been merged meanwhile."""
    while True:
        paths = [folder / MANIFEST, *sorted(folder.glob("manifest.rank*.jsonl"))]
        try:
            return {
                path: path.read_text(encoding="utf-8")
                for path in paths
                if path.name != MANIFEST or path.is_file()
            }
        except FileNotFoundError:
            continue


def merge_rows(folder: Path, rows: Mapping[ImageId, Row], order: Sequence[ImageId]) -> None:
    """Write one manifest, of the images in `order` and whatever else there is, and drop the ranks' own."""
    others = rows.keys() - set(order)
    text = "".join(json.dumps(rows[image]) + "\n" for image in [*order, *sorted(others)])
    if not (folder / MANIFEST).is_file() or (folder / MANIFEST).read_text(encoding="utf-8") != text:
        write_atomically(folder / MANIFEST, text)
    for path in folder.glob("manifest.rank*.jsonl"):
        path.unlink(missing_ok=True)


def damaged(folder: Path, rows: Iterable[Row]) -> list[str]:
    """Files that are not there, or no longer hold the pixels that were drawn."""

    def is_damaged(row: Row) -> bool:
        try:
            return sha256_of_pixels(read_image(folder / row["file"])) != row["sha256"]
        except ValueError:
            return True

    rows = list(rows)
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:  # decoders let go of the interpreter
        return [row["file"] for row, bad in zip(rows, pool.map(is_damaged, rows), strict=True) if bad]


def load_samples(folder: Path, prompts: Sequence[EvalPrompt], *, check: bool = False) -> list[EvalSample]:
    """The images of `prompts`, in their order; one that is missing is an error.

    Args:
        check: whether the files hold what was drawn, too.
    """
    rows = read_rows(folder)
    wanted = {(prompt.id, index): prompt for prompt in prompts for index in range(prompt.num_images)}
    lost = [f"image {index} of {prompt_id}" for prompt_id, index in wanted if (prompt_id, index) not in rows]
    lost += damaged(folder, [rows[image] for image in wanted]) if check and not lost else []
    if lost:
        raise ValueError(
            f"{len(lost)} of {len(wanted)} images in {folder} are missing or damaged, e.g. "
            f"{', '.join(lost[:3])}; draw them again with `python -m evaluation run`"
        )
    return [
        EvalSample(
            prompt=prompt,
            index=index,
            path=folder / rows[prompt_id, index]["file"],
            sha256=rows[prompt_id, index]["sha256"],
            seed=rows[prompt_id, index]["seed"],
            rewritten=rows[prompt_id, index].get("rewritten", ""),
        )
        for (prompt_id, index), prompt in wanted.items()
    ]
