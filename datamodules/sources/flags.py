"""Flags of countries in their true aspect ratios, whole and on flat backgrounds.

The pictures are those of the npm package `svg-country-flags` (public domain), the names those of `flag-icons`
(MIT).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from datamodules.packing import DatasetParts, Progress
from datamodules.sources.npm import fetch_package
from datamodules.sources.pictures import Picture, PictureConfig, PictureSource, inspect_pictures
from datamodules.sources.splits import split_by_concept

__all__ = ["FlagsConfig", "caption", "flags_dataset"]

PICTURES = ("svg-country-flags", "1.2.10")
NAMES = ("flag-icons", "7.5.0")

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_ARTICLE = re.compile(
    r"^(?:United|Federated|Democratic|Republic|State of|Isle of|Holy|Netherlands|Philippines|Bahamas|Gambia|"
    r"Maldives|Comoros|Vatican|British|French|European|Cocos|US )"
    r"|(?:Republic|Islands?(?: \(.*\))?|Territor(?:y|ies))$"
)
# territories that fly the flag of their country
_BORROWED = frozenset(
    ("bl", "bq", "bv", "gf", "gp", "hm", "mf", "mq", "pm", "re", "sh", "sj", "um", "yt", "gb-nir")
)
_NO_ARTICLE = re.compile(r"^French (?:Guiana|Polynesia)|Island$")


@dataclass(frozen=True, kw_only=True)
class FlagsConfig(PictureConfig):
    """What to make of the flags.

    Args:
        size: longest side of the images in pixels.
        variants: images per flag on backgrounds, beside one that it fills.
        val_fraction: share of countries that are held out.
        seed: of backgrounds and scales.
    """


def caption(country: str) -> str:
    """ "Netherlands" becomes "the flag of the Netherlands"."""
    article = _ARTICLE.search(country) and not _NO_ARTICLE.search(country)
    return f"the flag of {'the ' if article else ''}{country}"


def flags_dataset(config: FlagsConfig, packages: Path, progress: Progress) -> DatasetParts:
    """The splits `train` and `val`; fetches the two packages into `packages` if they are not there."""
    pictures, names = (fetch_package(*package, packages, progress) for package in (PICTURES, NAMES))
    countries = {entry["code"]: entry for entry in json.loads((names / "country.json").read_text("utf-8"))}
    found = {path.stem.lower(): path for path in sorted((pictures / "png1000px").glob("*.png"))}
    unnamed = sorted(found.keys() - countries.keys())
    found = {code: path for code, path in found.items() if code in countries and code not in _BORROWED}
    usable, dropped = inspect_pictures(list(found.values()), progress)
    splits = split_by_concept("flags", usable, lambda path: path.stem, config.val_fraction)

    def both(path: Path) -> list[Picture]:
        country = countries[path.stem.lower()]
        metadata = {"country": country["name"], "code": country["code"]}
        metadata |= {"source": "@".join(PICTURES), "license": "public domain"}
        text = caption(country["name"])
        whole = [Picture(country["code"], path, text, metadata, True)] if usable[path] else []
        return [*whole, Picture(f"{country['code']}-background", path, text, metadata)]

    description = {"name": "flags", "version": _VERSION, **asdict(config)}
    description |= {"pictures": "@".join(PICTURES), "names": "@".join(NAMES), "license": "public domain"}
    description |= {"matched": len(usable), "unnamed": unnamed, "dropped": dict(sorted(dropped.items()))}
    sources = {
        split: PictureSource("flags", config, tuple(one for path in members for one in both(path)))
        for split, members in splits.items()
    }
    return DatasetParts(description, sources, {})
