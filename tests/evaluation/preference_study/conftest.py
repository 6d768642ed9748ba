"""Two runs with images of the same prompts, and votes on them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

PROMPTS = ["a red circle", "a blue <b>square</b>", "two rings", "a star above a heart"]
COLORS = {"alpha": (200, 30, 30), "beta": (30, 30, 200)}

WriteVotes = Callable[..., Path]


def write_run(folder: Path, *, prompts: list[str] | None = None, images: int = 2) -> Path:
    """Images of one colour a run, whose files name the model as the sampling command's do."""
    place = folder / "images" / "things"
    place.mkdir(parents=True)
    rows = []
    for number, prompt in enumerate(prompts or PROMPTS):
        for index in range(images):
            pixels = np.full((48, 40 + 8 * index, 3), COLORS[folder.name], np.uint8)
            pixels[number : number + 4] = 255
            text = PngInfo()
            text.add_text("model", folder.name)
            Image.fromarray(pixels).save(place / f"{number}-{index}.png", pnginfo=text)
            rows.append(
                {"file": f"{number}-{index}.png", "prompt_id": f"p{number}", "index": index, "prompt": prompt}
            )
    (place / "manifest.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture
def runs(tmp_path: Path) -> tuple[Path, Path]:
    return write_run(tmp_path / "alpha"), write_run(tmp_path / "beta")


@pytest.fixture
def write_votes(tmp_path: Path) -> WriteVotes:
    """Write the votes of a rater who prefers a run on every pair, but for some pairs."""

    def write(key: Path, rater: str, favourite: str, others: Mapping[str, str] | None = None) -> Path:
        content = json.loads(key.read_text())
        votes = []
        for pair in content["pairs"]:
            side = next(side for side in ("left", "right") if pair[side]["name"] == favourite)
            vote = (others or {}).get(pair["id"], side)
            votes.append({"pair": pair["id"], "vote": vote, "seconds": 1.5, "at": "2026-01-01T00:00:00Z"})
        path = key.parent / f"votes-{rater}.json"
        path.write_text(
            json.dumps({"schema_version": 1, "study": content["study"], "rater": rater, "votes": votes})
        )
        return path

    return write
