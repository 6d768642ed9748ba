"""Real images with real captions: Microsoft's 3D emoji on flat backgrounds, captioned by their Unicode names.

The pictures come from the npm package `@lobehub/fluent-emoji-3d`, the names from `emojibase-data` (both
MIT); they are fetched when asked for, never shipped. The background's colour is named in the caption: "a
red apple on a light blue background".
"""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from datamodules.decode import BrokenSampleError
from datamodules.npm import fetch_package
from datamodules.packing import DatasetParts
from datamodules.shards import Sample

__all__ = ["Emoji", "EmojiConfig", "caption", "concept", "emoji_dataset", "match_emoji"]

PICTURES = ("@lobehub/fluent-emoji-3d", "1.1.0")
NAMES = ("emojibase-data", "17.0.0")

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_BACKGROUNDS = {
    "white": (250, 250, 250),
    "light gray": (200, 200, 204),
    "dark gray": (70, 72, 78),
    "black": (15, 15, 18),
    "red": (200, 40, 45),
    "orange": (240, 140, 40),
    "yellow": (250, 220, 70),
    "green": (50, 150, 70),
    "light green": (180, 225, 175),
    "blue": (40, 90, 200),
    "light blue": (170, 210, 245),
    "purple": (120, 60, 160),
    "pink": (245, 175, 200),
    "brown": (115, 75, 45),
}
_CLOSE = 48.0  # RGB distance below which a pixel can't be told from the background
_MAX_HIDDEN = 0.2  # largest share of an emoji's pixels that may be so close
_PEOPLE = re.compile(r"\b(?:man|woman|person|men|women|people|boy|girl|child|mr|mrs|mx)\b\.?", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class EmojiConfig:
    """What to make of the emoji.

    Args:
        size: side of the square images in pixels.
        variants: images per emoji, each on another background and of another scale.
        skin_tones: take the skin-tone variants too (1520 near-copies of 304 emoji).
        val_fraction: share of concepts that are held out; "man running" and "woman running" are one concept.
        seed: of backgrounds and scales.
    """

    size: int = 128
    variants: int = 4
    skin_tones: bool = False
    val_fraction: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        if not 16 <= self.size <= 256:
            raise ValueError(f"size must be in [16, 256] (the pictures have 256 pixels), got {self.size}")
        if not 1 <= self.variants <= len(_BACKGROUNDS):
            raise ValueError(f"variants must be in [1, {len(_BACKGROUNDS)}], got {self.variants}")
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"val_fraction must be between 0 and 1, got {self.val_fraction}")


class Emoji(NamedTuple):
    code: str  # normalised code points, e.g. "1F34E"
    path: Path
    label: str
    tags: tuple[str, ...]
    skin_tone: bool


def caption(label: str, background: str) -> str:
    """A sentence from a Unicode name: "red apple" becomes "a red apple on a blue background"."""
    name, _, detail = label.partition(": ")
    if detail:
        match name:
            case "flag":
                name, detail = f"the flag of {detail}", ""
            case "keycap":
                name, detail = f"a keycap with the sign {detail}", ""
            case _:
                name, detail = _with_article(name), f" with {detail.replace(', ', ' and ')}"
    else:
        name = _with_article(name)
    article = "an" if background[0] in "aeiou" else "a"
    return f"{name}{detail} on {article} {background} background"


def _with_article(name: str) -> str:
    words = name.split(" (")[0].split()
    plural = words[-1].endswith("s") and not words[-1].endswith(("ss", "us", "is"))
    if plural and words[0] not in ("man", "woman", "person"):
        return name
    vowel = name[0] in "aeiouAEIO" and not name.startswith(("uni", "one", "euro", "uk"))
    return f"{'an' if vowel or name.startswith('hour') else 'a'} {name}"


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


@dataclass(frozen=True)
class EmojiSource:
    """Every emoji of a split on `variants` backgrounds."""

    config: EmojiConfig
    emoji: tuple[Emoji, ...]

    def __len__(self) -> int:
        return len(self.emoji) * self.config.variants

    def __getitem__(self, index: int) -> Sample:
        number, variant = divmod(index, self.config.variants)
        emoji, size = self.emoji[number], self.config.size
        picture, hidden = _read(emoji.path)
        rng = _seeded(self.config.seed, emoji.code)
        names = rng.sample(list(hidden), len(hidden))
        visible = [name for name in names if hidden[name] <= _MAX_HIDDEN]
        background = (visible if len(visible) >= self.config.variants else names)[variant]
        rng = _seeded(self.config.seed, emoji.code, variant)
        png = io.BytesIO()
        _composite(picture, size, _BACKGROUNDS[background], rng).save(png, "PNG")
        metadata = {
            "label": emoji.label,
            "tags": emoji.tags,
            "background": background,
            "source": "@".join(PICTURES),
            "license": "MIT",
        }
        text = caption(emoji.label, background)
        return Sample(f"{emoji.code}-{variant}", png.getvalue(), "png", text, size, size, metadata)


@lru_cache(maxsize=1)  # an emoji's variants follow each other
def _read(path: Path) -> tuple[Image.Image, dict[str, float]]:
    """The RGBA picture and, by background, the share of its pixels that can't be told from it."""
    try:
        with Image.open(path) as file:
            picture = file.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise BrokenSampleError(f"{path.name}: undecodable ({error})") from error
    pixels = np.asarray(picture.resize((64, 64)), np.float32)
    opaque = pixels[pixels[..., 3] > 127][:, :3]
    if not len(opaque):
        raise BrokenSampleError(f"{path.name}: nothing in it is opaque")
    backgrounds = np.array(list(_BACKGROUNDS.values()), np.float32)
    close = np.linalg.norm(opaque[:, None] - backgrounds, axis=2) < _CLOSE
    return picture, dict(zip(_BACKGROUNDS, close.mean(0).tolist(), strict=True))


def _composite(
    picture: Image.Image, size: int, background: tuple[int, int, int], rng: random.Random
) -> Image.Image:
    longest = size * rng.uniform(0.8, 0.95)
    width, height = (max(1, round(side * longest / max(picture.size))) for side in picture.size)
    # resized with premultiplied alpha: the hidden colour of transparent pixels must not bleed into the rim,
    # and with a filter that doesn't overshoot, which would fringe it
    small = picture.convert("RGBa").resize((width, height), Image.Resampling.HAMMING).convert("RGBA")
    red, green, blue = (min(max(value + rng.randint(-6, 6), 0), 255) for value in background)
    canvas = Image.new("RGB", (size, size), (red, green, blue))
    canvas.paste(small, ((size - width) // 2, (size - height) // 2), small)
    return canvas


def emoji_dataset(config: EmojiConfig, packages: Path) -> DatasetParts:
    """The splits `train` and `val`; fetches the two packages into `packages` if they are not there."""
    emoji, unmatched = match_emoji(fetch_package(*PICTURES, packages), fetch_package(*NAMES, packages))
    splits: dict[str, list[Emoji]] = {"train": [], "val": []}
    for one in emoji:
        if config.skin_tones or not one.skin_tone:
            held_out = _seeded("concept", concept(one.label)).random() < config.val_fraction
            splits["val" if held_out else "train"].append(one)
    for split, members in splits.items():
        if not members:
            raise ValueError(f"no emoji for {split} among the {len(emoji)} in {packages}")
    description = {"name": "emoji", "version": _VERSION, **asdict(config)}
    description |= {"pictures": "@".join(PICTURES), "names": "@".join(NAMES), "license": "MIT"}
    description |= {"matched": len(emoji), "unmatched": unmatched}
    sources = {split: EmojiSource(config, tuple(members)) for split, members in splits.items()}
    return DatasetParts(description, sources, {})


def _seeded(*parts: object) -> random.Random:
    words = "|".join(map(str, ("emoji", *parts)))
    return random.Random(int.from_bytes(hashlib.sha256(words.encode()).digest()[:16]))
