"""Shards as img2dataset writes them."""

from __future__ import annotations

import io
import json
from pathlib import Path

from PIL import Image

from datamodules.index import ShardIndex, ShardScan, scan_shard, write_index
from tests.datamodules.conftest import write_tar


def image(width: int, height: int, kind: str = "JPEG") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (width % 256, height % 256, 0)).save(buffer, kind)
    return buffer.getvalue()


def write_foreign(folder: Path, num_shards: int = 2) -> Path:
    """Shards with side files, each counting its keys from zero; every other caption is in JSON only."""
    folder.mkdir(exist_ok=True)
    for shard in range(num_shards):
        files: dict[str, bytes] = {}
        for k in range(6):
            key = f"{k:09d}"
            files[f"{key}.jpg"] = image(40 + k, 30 + shard)
            facts = {"caption": f"picture {shard}{k}", "width": 1, "height": 1}
            files[f"{key}.json"] = json.dumps(facts).encode()
            if k % 2:
                files[f"{key}.txt"] = f"text {shard}{k}".encode()
        write_tar(folder / f"{shard:05d}.tar", files)
        (folder / f"{shard:05d}_stats.json").write_text("{}")
    return folder


def scans(folder: Path) -> list[ShardScan]:
    return [scan_shard(path) for path in sorted(folder.glob("*.tar"))]


def indexed(folder: Path) -> ShardIndex:
    write_index(folder, scans(folder))
    return ShardIndex.load(folder)
