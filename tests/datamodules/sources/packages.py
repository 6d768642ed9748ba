"""Packages made by hand, in the formats of the real ones."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

from PIL import Image, ImageDraw

from datamodules.packing import DatasetParts
from datamodules.shards import Sample


def silent(what: str, done: int, total: int) -> None:
    pass


def write_deb(path: Path, files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> None:
    """A .deb: an `ar` archive of debian-binary, control.tar.xz and data.tar.xz."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(f"./{name}")
            info.type, info.linkname = tarfile.SYMTYPE, target
            tar.addfile(info)
    members = {"debian-binary": b"2.0\n", "control.tar.xz": b"odd", "data.tar.xz": data.getvalue()}
    with path.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members.items():
            file.write(f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))


def cut_out(color: tuple[int, int, int], size: tuple[int, int] = (96, 96), rim: int = 0) -> bytes:
    """A PNG of a filled ellipse; what is transparent has a colour that must not show."""
    picture = Image.new("RGBA", (size[0] + 2 * rim, size[1] + 2 * rim), (0, 0, 255, 0))
    ImageDraw.Draw(picture).ellipse((rim, rim, rim + size[0] - 1, rim + size[1] - 1), fill=(*color, 255))
    return png(picture)


def plain(color: tuple[int, int, int], size: tuple[int, int] = (96, 96)) -> bytes:
    return png(Image.new("RGB", size, color))


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def made(parts: DatasetParts) -> dict[str, list[Sample]]:
    """All samples by split."""
    return {split: [source[k] for k in range(len(source))] for split, source in parts.splits.items()}


def opened(sample: Sample) -> Image.Image:
    return Image.open(io.BytesIO(sample.image))
