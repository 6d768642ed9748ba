"""Photographs that packages ship, cut into crops to train and measure a tokenizer on: few, but real ones.

Distances between distributions (FID, KID) on crops of so few photographs compare models, and are no published
numbers.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, NamedTuple

from datamodules.decode import image_size
from datamodules.packing import DatasetParts, Progress
from datamodules.sources.crops import Crop, CropSource, Photograph, crops_of, with_contrast
from datamodules.sources.debian import fetch_deb
from datamodules.sources.debian_copyright import copyright_of
from datamodules.sources.photograph_names import LICENSES, PHOTOGRAPHS
from datamodules.sources.splits import split_by_concept

__all__ = ["PhotographsConfig", "photographs_dataset"]

_VERSION = 1  # of how images and captions are made: part of the data set's fingerprint
_PYTHON = {"scikit-image": ("skimage", "data"), "scikit-learn": ("sklearn", "datasets/images")}
_SIZE_NAME = re.compile(r"\d+x\d+")  # KDE's wallpapers: NAME/contents/images/1920x1080.jpg

Collection = Literal[
    "scikit-image",
    "scikit-learn",
    "mate-backgrounds",
    "plasma-workspace-wallpapers",
    "lxqt-themes",
    "opencv-doc",
]


@dataclass(frozen=True, kw_only=True)
class PhotographsConfig:
    """What to make of the photographs.

    Args:
        size: a crop has about size x size pixels, in any ratio.
        aspect_ratios: of crops, width / height.
        levels: 1 takes the largest crops only, 2 also their quarters, 3 also their sixteenths.
        min_contrast: standard deviation (of 255) that a crop's greys must have.
        val_fraction: share of photographs that are held out with all their crops.
        collections: packages; the Python packages are used as they are installed, the others are fetched. Of
            opencv-doc's pictures it is not known who made them.
    """

    size: int = 256
    aspect_ratios: tuple[float, ...] = (9 / 16, 3 / 4, 1.0, 4 / 3, 16 / 9)
    levels: int = 3
    min_contrast: float = 12.0
    val_fraction: float = 0.2
    collections: tuple[Collection, ...] = (
        "scikit-image",
        "mate-backgrounds",
        "plasma-workspace-wallpapers",
        "lxqt-themes",
    )

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 1024:
            raise ValueError(f"size must be in [32, 1024], got {self.size}")
        if not self.aspect_ratios or not all(1 / 4 <= ratio <= 4 for ratio in self.aspect_ratios):
            raise ValueError(f"aspect_ratios must be in [1/4, 4], got {list(self.aspect_ratios)}")
        if not 1 <= self.levels <= 5:
            raise ValueError(f"levels must be in [1, 5], got {self.levels}")
        if not 0 <= self.min_contrast < 100:
            raise ValueError(f"min_contrast must be in [0, 100), got {self.min_contrast}")
        if not 0 < self.val_fraction < 1:
            raise ValueError(f"val_fraction must be between 0 and 1, got {self.val_fraction}")
        unknown = set(self.collections) - PHOTOGRAPHS.keys()
        if unknown or not self.collections:
            raise ValueError(
                f"collections must be some of {', '.join(PHOTOGRAPHS)}, got {list(self.collections)}"
            )


class _Package(NamedTuple):
    name: str
    id: str  # with its version
    folder: Path
    copyright: str  # Debian's record, or empty


def photographs_dataset(config: PhotographsConfig, packages: Path, progress: Progress) -> DatasetParts:
    """The splits `train` and `val`; fetches packages into `packages` if they are not there."""
    found: list[Photograph] = []
    files: dict[str, str] = {}
    used = [_package(name, packages, progress) for name in config.collections]
    for package in used:
        found += _photographs(package)
        if package.copyright:
            files[f"{package.name}.copyright.txt"] = package.copyright
    splits = split_by_concept("photographs", found, lambda photograph: photograph.key, config.val_fraction)
    files["CREDITS.txt"] = "".join(
        f"{one.key}: {one.metadata['file']} of {one.metadata['source']}, {one.metadata['license']}; "
        f"{'; '.join(one.metadata['creators']) or 'see the package'}\n"
        for one in found
    )
    description = {"name": "photographs", "version": _VERSION, **asdict(config)}
    description |= {"pictures": [package.id for package in used], "matched": len(found)}
    description |= {"photographs": [photograph.key for photograph in found]}
    sources = {}
    for split, members in splits.items():
        crops: list[tuple[Photograph, Crop]] = []
        for one in members:
            progress("look at photographs", 1, len(found))
            cut = crops_of(one.width, one.height, config.size, config.aspect_ratios, config.levels)
            crops += ((one, crop) for crop in with_contrast(one, cut, config.min_contrast))
        sources[split] = CropSource(tuple(crops))
    return DatasetParts(description, sources, files)


def _package(name: str, packages: Path, progress: Progress) -> _Package:
    if name not in _PYTHON:
        fetched = fetch_deb(name, packages, progress)
        return _Package(name, fetched.id, fetched.folder, fetched.copyright())
    module, below = _PYTHON[name]
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ValueError(f"{name} is not installed; pip install {name}, or leave it out of `collections`")
    return _Package(name, f"{name}=={metadata.version(name)}", Path(spec.origin).parent / below, "")


def _photographs(package: _Package) -> Iterator[Photograph]:
    """The listed photographs of a package, each in its largest size."""
    largest: dict[str, tuple[int, int, Path]] = {}
    for path in sorted(package.folder.rglob("*")):
        name = path.parents[2].name if _SIZE_NAME.fullmatch(path.stem) else path.stem
        if name not in PHOTOGRAPHS[package.name] or path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
            continue
        with path.open("rb") as file:
            width, height = image_size(file)
        if name not in largest or width * height > largest[name][0] * largest[name][1]:
            largest[name] = (width, height, path)
    for name, (width, height, path) in largest.items():
        below = path.relative_to(package.folder).as_posix()
        stated = copyright_of(package.copyright, below)
        facts = {"file": below, "source": package.id, "creators": stated.holders}
        facts["license"] = LICENSES.get(package.name, {}).get(name, stated.license)
        words = PHOTOGRAPHS[package.name][name]
        yield Photograph(f"{package.name}_{name}", path, width, height, words, facts)
