"""Real images with real captions: Microsoft's 3D emoji on flat backgrounds, captioned by their Unicode names.

The pictures come from the npm package `@lobehub/fluent-emoji-3d`, the names from `emojibase-data` (both
MIT); they are fetched when asked for, never shipped. The background's colour is named in the caption: "a
red apple on a light blue background".
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from datamodules.packing import DatasetParts, Progress
from datamodules.sources.npm import fetch_package
from datamodules.sources.pictures import Picture, PictureConfig, PictureSource
from datamodules.sources.splits import split_by_concept
from datamodules.sources.wording import with_article

__all__ = ["Emoji", "EmojiConfig", "caption", "concept", "emoji_dataset", "match_emoji"]

PICTURES = ("@lobehub/fluent-emoji-3d", "1.1.0")
NAMES = ("emojibase-data", "17.0.0")

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_PEOPLE = re.compile(r"\b(?:man|woman|person|men|women|people|boy|girl|child|mr|mrs|mx)\b\.?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class EmojiConfig(PictureConfig):
    """What to make of the emoji.

    Args:
        size: side of the square images in pixels.
        variants: images per emoji, each on another background and of another scale.
        val_fraction: share of concepts that are held out; "man running" and "woman running" are one concept.
        seed: of backgrounds and scales.
        skin_tones: take the skin-tone variants too (1520 near-copies of 304 emoji).
    """

    variants: int = 4
    skin_tones: bool = False
    max_size: ClassVar[int] = 256  # the pictures' own


class Emoji(NamedTuple):
    code: str  # normalised code points, e.g. "1F34E"
    path: Path
    label: str
    tags: tuple[str, ...]
    skin_tone: bool


def caption(label: str) -> str:
    """A phrase from a Unicode name: "red apple" becomes "a red apple"."""
    name, _, detail = label.partition(": ")
    match name if detail else None:
        case None:
            return with_article(name)
        case "flag":
            return f"the flag of {detail}"
        case "keycap":
            return f"a keycap with the sign {detail}"
        case _:
            return f"{with_article(name)} with {detail.replace(', ', ' and ')}"


def concept(label: str) -> str:
    """What an emoji shows, less who does it, skin tone, hair and direction: the unit that is held out."""
    whole = label.startswith(("flag", "keycap"))
    words = _PEOPLE.sub("", label if whole else label.partition(":")[0])
    return " ".join(words.replace("facing right", "").lower().split()) or "person"


def match_emoji(pictures: Path, names: Path) -> tuple[list[Emoji], list[str]]:
    """Join picture files (named by code points) with Unicode names.

    Returns:
        the emoji in the order of their files, and the files without a name (or with the name of an
        earlier one: the package has keycaps twice).
    """
    entries = {}
    for entry, skin_tone in _entries(json.loads((names / "en" / "data.json").read_text("utf-8"))):
        entries[_code(entry["hexcode"])] = (entry, skin_tone)
    emoji: dict[str, Emoji] = {}
    unmatched = []
    for path in sorted((pictures / "assets").glob("*.webp")):
        entry, skin_tone = entries.get(_code(path.stem), (None, False))
        if entry is None or _code(path.stem) in emoji:
            unmatched.append(path.name)
        else:
            tags = tuple(entry.get("tags", ()))
            code = _code(path.stem)
            emoji[code] = Emoji(code, path, entry["label"], tags, skin_tone)
    return list(emoji.values()), unmatched


def _entries(data: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], bool]]:
    for entry in data:
        yield entry, False
        for skin in entry.get("skins", ()):
            yield {**skin, "tags": entry.get("tags", ())}, True


def _code(name: str) -> str:
    """Code points without padding, variation selectors and ends of tags, which the packages write unalike."""
    points = re.split(r"[-_]", name.upper())
    return "-".join(point.lstrip("0") for point in points if point not in ("FE0F", "E007F"))


def emoji_dataset(config: EmojiConfig, packages: Path, progress: Progress) -> DatasetParts:
    """The splits `train` and `val`; fetches the two packages into `packages` if they are not there."""
    folders = [fetch_package(*package, packages, progress) for package in (PICTURES, NAMES)]
    emoji, unmatched = match_emoji(*folders)
    taken = [one for one in emoji if config.skin_tones or not one.skin_tone]
    splits = split_by_concept("emoji", taken, lambda one: concept(one.label), config.val_fraction)
    description = {"name": "emoji", "version": _VERSION, **asdict(config)}
    description |= {"pictures": "@".join(PICTURES), "names": "@".join(NAMES), "license": "MIT"}
    description |= {"matched": len(emoji), "unmatched": unmatched}
    sources = {
        split: PictureSource("emoji", config, tuple(map(_picture, members)), max_ratio=1, trimmed=False)
        for split, members in splits.items()
    }
    return DatasetParts(description, sources, {})


def _picture(emoji: Emoji) -> Picture:
    metadata = {"label": emoji.label, "tags": emoji.tags, "source": "@".join(PICTURES), "license": "MIT"}
    return Picture(emoji.code, emoji.path, caption(emoji.label), metadata)
