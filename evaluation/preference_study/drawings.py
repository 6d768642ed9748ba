"""The images of a run, by what they were drawn for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from infinity.json_files import expecting, read_json_lines

__all__ = ["Drawing", "Place", "read_drawings"]


class Place(NamedTuple):
    """What two runs have in common of an image."""

    prompt_set: str
    prompt_id: str
    index: int


class Drawing(NamedTuple):
    prompt: str
    path: Path


def read_drawings(run: Path, prompt_set: str | None = None) -> dict[Place, Drawing]:
    """Images of a run: of ``images/<prompt set>/`` as ``evaluation run`` leaves them, or of one folder with a
    ``manifest.jsonl`` as ``infinity generate`` does.
    """
    folders = {path.parent.name: path.parent for path in sorted(run.glob("images/*/manifest.jsonl"))}
    if (run / "manifest.jsonl").is_file():
        folders = {"prompts": run}
    if not folders:
        raise ValueError(
            f"no drawn images in {run}: expected manifest.jsonl, or images/<prompt set>/manifest.jsonl as "
            "`python -m evaluation run --tasks` writes; draw them first"
        )
    if prompt_set is not None and prompt_set not in folders:
        raise ValueError(f"{run} has no prompt set {prompt_set!r}; it has {', '.join(folders)}")
    found: dict[Place, Drawing] = {}
    for name in [prompt_set] if prompt_set else folders:
        found |= _read_folder(name, folders[name])
    return found


def _read_folder(prompt_set: str, folder: Path) -> dict[Place, Drawing]:
    path = folder / "manifest.jsonl"
    found: dict[Place, Drawing] = {}
    seen: Counter[str] = Counter()
    with expecting("manifest of drawn images", path):
        # the last row about every file
        rows: Mapping[str, dict] = {row.get("file", ""): row for row in read_json_lines(path)}
    for file, row in rows.items():
        if not file or not row.get("prompt"):
            raise ValueError(f"{path} must give file and prompt of every image, got {list(row)}")
        prompt_id = str(row.get("prompt_id", row["prompt"]))
        place = Place(prompt_set, prompt_id, int(row.get("index", seen[prompt_id])))
        seen[prompt_id] += 1
        found[place] = Drawing(row["prompt"], folder / file)
    return found
