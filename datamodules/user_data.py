"""What a user's own data is: a folder of images, tables of them, or shards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datamodules.folder import IMAGE_SUFFIXES
from datamodules.indexing import PACKED
from datamodules.tables import TABLE_SUFFIXES

__all__ = ["Kind", "UserData", "recognise"]

Kind = Literal["folder", "table", "shards"]


@dataclass(frozen=True)
class UserData:
    kind: Kind
    place: str
    tables: tuple[Path, ...] = ()

    @property
    def told(self) -> str:
        match self.kind:
            case "folder":
                return "a folder of images with captions beside them"
            case "shards":
                return "shards, which are indexed where they lie"
        return f"{len(self.tables)} tables" if len(self.tables) > 1 else "a table"


def recognise(place: str, kind: Kind | None = None) -> UserData:
    """Tell the kind by what is there.

    Args:
        kind: which of several it shall be taken for, if a folder holds more than one.
    """
    if "://" in place:
        if kind in ("folder", "table"):
            raise ValueError(f"{place} is a URL, where only shards can be, not a {kind}; fetch it first")
        return UserData("shards", place)
    path = Path(place)
    if place.endswith(".tar") and set("{*") & set(place):
        return UserData("shards", place)
    if not path.is_dir():
        return UserData("table", place, (_table(path),))
    contents = _contents(path)
    if len(contents) > 1 and kind is None:
        listed = " and ".join(f"{what} ({example})" for what, example in contents.items())
        raise ValueError(f"{place} holds {listed}; name a table itself, or say --kind {'|'.join(contents)}")
    kind = kind or next(iter(contents), "shards" if _has_compressed_shards(path) else "folder")
    return UserData(kind, place, _tables(path) if kind == "table" else ())


def _table(path: Path) -> Path:
    if not path.is_file():
        raise ValueError(f"there is no {path}")
    if path.suffix.lower() in TABLE_SUFFIXES:
        return path
    advice = {
        ".tar": "name the folder that the shards lie in",
        ".json": "write one JSON object a line, as .jsonl",
    }.get(path.suffix.lower(), f"expected a folder or a table ({', '.join(TABLE_SUFFIXES)})")
    raise ValueError(f"{path} can't be packed as it is; {advice}")


def _contents(folder: Path) -> dict[Kind, str]:
    """The kinds of data in a folder, with an example of each."""
    shard = next((path for pattern in ("*.tar", "*/*.tar") for path in folder.glob(pattern)), None)
    # img2dataset writes a Parquet file of the captions beside every shard
    table = next((path for path in _table_files(folder) if not path.with_suffix(".tar").exists()), None)
    image = next((path for path in folder.rglob("*") if _is_image(path.relative_to(folder))), None)
    found: dict[Kind, Path | None] = {"shards": shard, "table": table, "folder": image}
    return {kind: path.relative_to(folder).as_posix() for kind, path in found.items() if path is not None}


def _is_image(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES


def _has_compressed_shards(folder: Path) -> bool:
    """If so, what looks for shards tells what to do."""
    return any(PACKED.search(path.name) for path in folder.iterdir())


def _table_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("[!.]*") if path.suffix.lower() in TABLE_SUFFIXES)


def _tables(folder: Path) -> tuple[Path, ...]:
    tables = tuple(_table_files(folder))
    if not tables:
        raise ValueError(f"no table ({', '.join(TABLE_SUFFIXES)}) in {folder}")
    suffixes = sorted({path.suffix.lower() for path in tables})
    if len(suffixes) > 1:
        raise ValueError(f"{folder} has tables of several formats ({', '.join(suffixes)}); name one of them")
    return tables
