"""Clip art in the public domain: Open Clip Art Library 0.18, as Debian packages it.

The pixels are those of `openclipart-png`, the words (title, keywords, author, licence) those inside the SVG
of the same name in `openclipart-svg`.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from datamodules.packing import DatasetParts, Progress
from datamodules.shards import clean_key
from datamodules.sources.debian import fetch_deb
from datamodules.sources.pictures import Picture, PictureConfig, PictureSource, inspect_pictures
from datamodules.sources.splits import split_by_concept
from datamodules.sources.wording import phrase_concept, with_article

__all__ = ["ClipartConfig", "Words", "caption", "clipart_dataset", "read_words", "subject", "why_dropped"]

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_ROOT = "usr/share/openclipart"
_DROPPED_FOLDERS = (
    "shapes/stars",
    "shapes/jigsaw",
    "shapes/flowchart",
    "computer/icons",
    "games/cards",
    "unsorted",
    "special",
    "led",
)
_JUNK_TITLE = re.compile(
    r"\bcard$|\.svg\b|\bsvg\b|clip ?art|^(?:untitled|drawing|image|no title|various)\b", re.IGNORECASE
)
_JUNK_KEYWORD = re.compile(
    r"^hash|^0x|clip ?art|^\d*$|^(?:image|media|public domain|png|svg|unsorted|externalsource|sign|symbol|"
    r"shape|signs and symbols|mapsym|networksym|united nations member|webpage|icons?|iconset)s?$|sym$|\S{17}",
    re.IGNORECASE,
)
_PROPER_NAMES = ("flags", "geography", "logos")  # folders where capitals stay
_TAKES_ARTICLE = re.compile(
    r"(?!(?:an?|the|no|do|another|some|my)\b)[a-z]+(?: [a-z]+){0,2}(?: in black and white)?"
)
_SHARED = 3  # pictures with one title from which on it is the collection's name, not the picture's
_KEYWORDS = 2  # in a caption
_MAX_SVG_BYTES = 2**25


@dataclass(frozen=True, kw_only=True)
class ClipartConfig(PictureConfig):
    """What to make of the clip art.

    Args:
        size: longest side of the images in pixels; smaller pictures are not enlarged.
        variants: images per picture with an alpha channel, each on another background and of another scale.
        val_fraction: share of concepts that are held out; "red apple" and "apple 2" are one concept.
        seed: of backgrounds and scales.
    """


class Words(NamedTuple):
    """What an SVG says about itself."""

    title: str
    keywords: tuple[str, ...]
    creator: str
    license: str


def read_words(svg: Path) -> Words | None:
    """The metadata of an SVG; None if it has none that can be read."""
    if svg.stat().st_size > _MAX_SVG_BYTES:
        return None
    try:
        work = ElementTree.fromstring(svg.read_bytes()).find(".//{*}Work")
    except (ElementTree.ParseError, ValueError, LookupError):
        return None
    if work is None:
        return None
    license_ = work.find("{*}license")
    return Words(
        _clean(work.findtext("{*}title")),
        _keywords([item.text for item in work.iterfind("{*}subject//{*}li")]),
        _clean(work.findtext("{*}creator//{*}title")),
        "" if license_ is None else next(iter(license_.attrib.values()), ""),
    )


def _clean(text: str | None) -> str:
    return " ".join(html.unescape(text or "").replace("_", " ").split())


def _keywords(texts: Iterable[str | None]) -> tuple[str, ...]:
    """Those that say something about a picture."""
    return tuple(text for text in map(_clean, texts) if not _JUNK_KEYWORD.search(text))


def why_dropped(name: str, words: Words | None) -> str | None:
    """Why a picture is not used, by its name below the package's root and its words; None if it is."""
    if any(f"/{folder}/" in f"/{name}" for folder in _DROPPED_FOLDERS):
        return "folder of near-copies or of unsorted things"
    if words is None:
        return "no metadata"
    if "publicdomain" not in words.license.lower().replace("-", ""):
        return "not in the public domain"
    return None


def subject(stem: str, words: Words, times: int) -> str:
    """What a picture shows: its title, or the words of its file's name.

    The latter where the title says nothing, or is shared by many pictures (`times`): it names a collection.
    File names end in the author's name and a number: ``no_smoking_jorkon_01``.
    """
    title = re.sub(r"(?<=[^\W\d_])\d+$| \d+$", "", words.title.rstrip("."))
    title = re.sub(r" (?:\(B and W\)|bw)$", " in black and white", title)
    if times < _SHARED and re.search(r"[^\W\d_]{3}", title) and not _JUNK_TITLE.search(title):
        return title if " " in title else title.replace("-", " ")
    authors = re.findall(r"[^\W\d_]+", words.creator.lower())
    own = [
        word
        for word in re.findall(r"[^\W\d_]{2,}", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", stem))
        if word != "svg" and not any(author.startswith(word.lower()) for author in authors)
    ]
    collection = title.lower().split()
    own = [word for word in own if word.lower() not in collection] or own
    if max(map(len, own), default=0) < 3:
        return ""
    suffix = " in black and white" if "bw" in own else ""
    return " ".join(word for word in own if word != "bw") + suffix


def caption(folder: str, shown: str, words: Words) -> str:
    """ "Red Apple" with keywords in food/fruit becomes "clip art of a red apple (food, fruit)"."""
    parts = folder.split("/")
    if "flags" in parts and "flag" not in shown.lower():
        shown = f"the flag of {shown.title() if shown.islower() else shown}"
    elif not any(part in _PROPER_NAMES for part in parts):
        shown = " ".join(word.lower() if word.istitle() else word for word in shown.split())
        if _TAKES_ARTICLE.fullmatch(shown):
            shown = with_article(shown)
    said = set(phrase_concept(f"{shown} {words.creator}").split())
    extra: list[str] = []
    for keyword in map(str.lower, [*words.keywords, *_keywords([parts[-1]])]):
        concept = phrase_concept(keyword).split()
        repeated = said.intersection(concept) or keyword.replace(" ", "") in shown.lower().replace(" ", "")
        if len(extra) < _KEYWORDS and not repeated:
            said.update(concept)
            extra.append(keyword)
    return f"clip art of {shown} ({', '.join(extra)})" if extra else f"clip art of {shown}"


def clipart_dataset(config: ClipartConfig, packages: Path, progress: Progress) -> DatasetParts:
    """The splits `train` and `val`; fetches the two packages into `packages` if they are not there."""
    pixels, vectors = (fetch_deb(f"openclipart-{kind}", packages, progress) for kind in ("png", "svg"))
    root, svg_root = pixels.folder / _ROOT / "png", vectors.folder / _ROOT / "svg"
    described: dict[Path, Words] = {}
    dropped: Counter[str] = Counter()
    for path in sorted(root.rglob("*.png")):
        name = path.relative_to(root).as_posix()
        svg = (svg_root / name).with_suffix(".svg")
        words = read_words(svg) if svg.is_file() else None
        cause = why_dropped(name, words)
        if cause or words is None:
            dropped[str(cause)] += 1
        else:
            described[path] = words
    times = Counter(words.title.lower() for words in described.values())
    shown = {path: subject(path.stem, words, times[words.title.lower()]) for path, words in described.items()}
    dropped["a title and a file name that say nothing"] += sum(not text for text in shown.values())
    usable, unusable = inspect_pictures([path for path, text in shown.items() if text], progress)
    splits = split_by_concept(
        "clipart", usable, lambda path: phrase_concept(shown[path]), config.val_fraction
    )

    def picture(path: Path) -> Picture:
        words, name = described[path], path.relative_to(root).as_posix()
        text = caption(name.rpartition("/")[0], shown[path], words)
        metadata = {"captions": {"short": shown[path]}, "title": words.title, "keywords": words.keywords}
        metadata |= {"creator": words.creator, "file": name, "source": pixels.id, "license": "public domain"}
        key = clean_key(name.removesuffix(".png"))
        return Picture(key, path, text, metadata, usable[path])

    description = {"name": "clipart", "version": _VERSION, **asdict(config)}
    description |= {"pictures": pixels.id, "words": vectors.id, "license": "public domain"}
    description |= {"matched": len(usable), "dropped": dict(sorted((dropped + unusable).items()))}
    sources = {
        split: PictureSource("clipart", config, tuple(map(picture, members)))
        for split, members in splits.items()
    }
    return DatasetParts(description, sources, {"CREDITS.txt": pixels.copyright()})
