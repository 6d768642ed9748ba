"""Tux Paint's rubber stamps: photographs cut out and drawings, each with a sentence that a person wrote.

From the Debian package `tuxpaint-stamps-default` (GPL-2): ``cat.png`` has its words in ``cat.txt``, the first
line in English, further ones as ``fr.utf8=Un chat.``
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from datamodules.packing import DatasetParts, Progress
from datamodules.shards import clean_key
from datamodules.sources.debian import fetch_deb
from datamodules.sources.pictures import Picture, PictureConfig, PictureSource, inspect_pictures
from datamodules.sources.splits import split_by_concept
from datamodules.sources.wording import phrase_concept, with_article

__all__ = ["StampsConfig", "phrase", "read_sentences", "stamps_dataset"]

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_ROOT = "usr/share/tuxpaint/stamps"
_DROPPED_FOLDERS = ("symbols",)  # letters, coins, signs of the deaf
_FIRST_WORDS = ("A", "An", "The", "Some", "Two", "Three", "Our", "Big", "Another")
# what a sentence has that talks to children, instead of naming what they see
_TALK = re.compile(
    r"\b(?:you|your|it|this|we|because|means?|stands|lets|carr(?:y|ies)|ends|are|is|remember|eat|enter)\b",
    re.I,
)
_TRANSLATION = re.compile(r"^([a-zA-Z@_]+)\.utf8=(.*)$")


@dataclass(frozen=True, kw_only=True)
class StampsConfig(PictureConfig):
    """What to make of the stamps.

    Args:
        size: longest side of the images in pixels; smaller pictures are not enlarged.
        variants: images per picture with an alpha channel, each on another background and of another scale.
        val_fraction: share of concepts that are held out; "a green fedora" and "a fedora" are one concept.
        seed: of backgrounds and scales.
        languages: whose sentences go into `captions` beside the English one, e.g. [fr, de, zh_TW].
    """

    variants: int = 4
    languages: tuple[str, ...] = ()


def read_sentences(text: str) -> dict[str, str]:
    """By language, what a stamp's text file says; the line without a language is English."""
    lines = [line.strip().lstrip("\ufeff") for line in text.splitlines()]
    sentences = {"en": lines[0]} if lines and not _TRANSLATION.match(lines[0]) else {}
    for line in lines:
        if match := _TRANSLATION.match(line):
            sentences.setdefault(match[1], match[2].strip())
    return {language: sentence for language, sentence in sentences.items() if sentence}


def phrase(sentence: str, stem: str) -> str:
    """ "A green fedora." becomes "a green fedora"; what is no description gives way to the file's name.

    "Eat your broccoli!" in ``broccoli.png`` becomes "a broccoli".
    """
    first = re.split(r"(?<=[.!?])\s|—", sentence)[0].strip('“”"– ')
    article, _, rest = first.partition(" ")
    if article in _FIRST_WORDS:
        first = f"{'a' if article == 'Another' else article.lower()} {rest}"
    if _TALK.search(first) or (first.endswith(("!", "?")) and article not in _FIRST_WORDS):
        words = re.findall(r"[^\W\d_]{2,}", stem.lower())
        return with_article(" ".join(word for word in words if word != "photo"))
    return first.rstrip(" .!?“”…")


def stamps_dataset(config: StampsConfig, packages: Path, progress: Progress) -> DatasetParts:
    """The splits `train` and `val`; fetches the package into `packages` if it is not there."""
    package = fetch_deb("tuxpaint-stamps-default", packages, progress)
    root = package.folder / _ROOT
    said: dict[Path, dict[str, str]] = {}
    dropped: Counter[str] = Counter()
    for path in sorted(root.rglob("*.png")):
        text = path.with_suffix(".txt")
        sentences = read_sentences(text.read_text("utf-8", "replace")) if text.is_file() else {}
        if path.relative_to(root).parts[0] in _DROPPED_FOLDERS:
            dropped["folder of symbols"] += 1
        elif "en" not in sentences:
            dropped["no English sentence"] += 1
        else:
            said[path] = sentences
    unknown = set(config.languages) - {language for sentences in said.values() for language in sentences}
    if unknown:
        raise ValueError(
            f"no stamp has a sentence in {', '.join(sorted(unknown))}; languages are written fr, pt_BR"
        )
    shown = {path: phrase(sentences["en"], path.stem) for path, sentences in said.items()}
    for path, text in shown.items():
        if path.parent.name == "roadsigns" and not re.search("sign|light", text):
            shown[path] = f"a road sign that says {text.removeprefix('a ')}"
    usable, unusable = inspect_pictures(list(said), progress)
    splits = split_by_concept("stamps", usable, lambda path: phrase_concept(shown[path]), config.val_fraction)

    def picture(path: Path) -> Picture:
        name = path.relative_to(root).as_posix()
        captions = {language: said[path][language] for language in config.languages if language in said[path]}
        metadata = {"file": name, "captions": captions, "source": package.id, "license": "GPL-2"}
        key = clean_key(name.removesuffix(".png"))
        return Picture(key, path, shown[path], metadata, usable[path])

    description = {"name": "stamps", "version": _VERSION, **asdict(config)}
    description |= {"pictures": package.id, "license": "GPL-2"}
    description |= {"matched": len(usable), "dropped": dict(sorted((dropped + unusable).items()))}
    sources = {
        split: PictureSource("stamps", config, tuple(map(picture, members)))
        for split, members in splits.items()
    }
    return DatasetParts(description, sources, {"CREDITS.txt": package.copyright()})
