"""Caches: what frozen encoders make of a data set's samples, stored in side shards.

A cache holds "features", the output of a tokenizer's encoder for every image (continuous, as it was before
quantization, which self-correction repeats), or "text", the states of a text encoder for captions. It is a
directory per split: a tar per shard of the data set with ``<key>.safetensors`` for every sample,
``places.npy``, which says where they are, and ``cache.json``, which says what all of it was made of.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from datamodules.damage import SIGNS_OF_DAMAGE
from datamodules.decode import BrokenSampleError
from datamodules.index import Member, ShardIndex, read_member
from datamodules.open_files import OpenFiles
from datamodules.storage import is_url
from infinity.checkpoints.io import read_config, weights_sha256
from infinity.configs import check_literals, config_from_dict, config_to_dict
from infinity.schedules import Resolution

__all__ = [
    "PLACE",
    "CacheFacts",
    "CachedSamples",
    "SampleCache",
    "bucket_sizes",
    "caption_name",
    "check_encoders",
    "open_caches",
    "vae_fingerprint",
]

PLACE = np.dtype([("shard", "<i4"), ("crc", "<u4"), ("start", "<i8"), ("num_bytes", "<i8")])
_REMEDY = "make it again with `python -m datamodules cache`, or take it out of data.caches"


@dataclass(frozen=True, kw_only=True)
class CacheFacts:
    """What a cache's content depends on.

    Args:
        encoder: fingerprint of the encoder's configuration and weights.
        index: fingerprint of the split's index.
        dtype: of the tensors. Features are float32, as they decide bits by their sign.
        precision: of the convolutions behind features, by the names that ``trainer.precision`` has for them.
        sizes: aspect ratio, height and width of the images behind features.
        captions: kinds of the captions behind text states.
        max_pixels: of images behind features; larger ones are not in the cache.
        version: of what is done to images and captions before they are encoded.
    """

    content: Literal["features", "text"]
    encoder: str
    index: str
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    precision: Literal["32-true", "bf16-mixed"] = "32-true"
    sizes: tuple[tuple[float, int, int], ...] = ()
    captions: tuple[str, ...] = ()
    max_pixels: int = 2**26
    version: int = 2

    def __post_init__(self) -> None:
        check_literals(self)

    @property
    def name(self) -> str:
        """A name for the cache of all splits."""
        facts = json.dumps({**config_to_dict(self), "index": ""}, sort_keys=True)
        return f"{self.content}-{hashlib.sha256(facts.encode()).hexdigest()[:8]}"


class SampleCache:
    """One split's cache, complete and open for reading. Pickles as its directory."""

    def __init__(self, directory: Path, facts: CacheFacts, places: np.ndarray) -> None:
        self.directory = directory
        self.facts = facts
        self.places = places
        self._files = OpenFiles()

    @classmethod
    def load(cls, directory: Path) -> SampleCache:
        try:
            header = json.loads((directory / "cache.json").read_text("utf-8"))
            facts = config_from_dict(CacheFacts, header["facts"])
            if not header["shards"]:
                raise ValueError("it isn't complete")
            places = np.load(directory / "places.npy", mmap_mode="r")
            for name, num_bytes in header["shards"].items():
                if (directory / name).stat().st_size != num_bytes:
                    raise ValueError(f"{name} has another size than when it was written")
        except (*SIGNS_OF_DAMAGE, OSError) as error:
            raise ValueError(f"the cache {directory} can't be used ({error}); {_REMEDY}") from error
        return cls(directory, facts, places)

    def __reduce__(self) -> tuple[Callable[[Path], SampleCache], tuple[Path]]:
        return SampleCache.load, (self.directory,)

    def tensor(self, sample: int, name: str) -> Tensor:
        """One of a sample's tensors, by its number in the index."""
        shard, crc, *place = self.places[sample].item()
        path = str(self.directory / f"{shard:05d}.tar")
        data = read_member(self._files[path], Member(*place))
        if data is None:
            raise BrokenSampleError(f"not in the cache {self.directory}")
        try:
            if zlib.crc32(data) != crc:
                raise BrokenSampleError("its bytes have changed")
            return safetensors.torch.load(data)[name]
        except (BrokenSampleError, SafetensorError) as error:
            raise BrokenSampleError(f"damaged in the cache {path} ({error})") from error
        except KeyError as error:
            raise BrokenSampleError(f"its caption is not in the cache {self.directory}") from error


class CachedSamples:
    """Caches of one content for the data sets that make up a split, numbered one after the other."""

    def __init__(self, caches: Sequence[SampleCache]) -> None:
        self.caches = list(caches)
        self._starts = np.cumsum([0, *(len(cache.places) for cache in caches)])

    def tensor(self, sample: int, name: str) -> Tensor:
        part = int(np.searchsorted(self._starts, sample, side="right")) - 1
        return self.caches[part].tensor(sample - int(self._starts[part]), name)


def open_caches(
    directories: Iterable[str],
    split: str,
    indices: Sequence[ShardIndex],
    *,
    resolution: Resolution,
    max_pixels: int,
    captions: Iterable[str],
) -> dict[str, CachedSamples]:
    """Open a split's caches by content, checked to be of these data sets, images and captions.

    Args:
        captions: kinds that will be asked for.
    """
    opened: dict[str, dict[str, SampleCache]] = {}  # by content and index
    for directory in directories:
        if is_url(directory):
            raise ValueError(f"data.caches must be on this machine, got {directory}; copy it here")
        others = sorted(Path(directory).glob("*/cache.json"))
        if others and not (Path(directory) / split).is_dir():  # of a data set without this split?
            opened.setdefault(SampleCache.load(others[0].parent).facts.content, {})  # else missed below
            continue
        cache = SampleCache.load(Path(directory) / split)
        facts = cache.facts
        if facts.index not in {index.fingerprint for index in indices}:
            given = " and ".join(index.fingerprint for index in indices)
            raise _stale(cache, f"the index {facts.index}", f"{split} now has {given}")
        expected: dict[str, Any] = {"version": CacheFacts.version}
        if facts.content == "features":
            expected |= {"sizes": bucket_sizes(resolution), "max_pixels": max_pixels}
        for name, value in expected.items():
            if getattr(facts, name) != value:
                raise _stale(cache, f"{name} = {getattr(facts, name)}", f"this run has {value}")
        if facts.content == "text" and (lacking := sorted(set(captions) - set(facts.captions))):
            raise _stale(cache, f"captions of kind {', '.join(facts.captions)}", f"this run has {lacking[0]}")
        if other := opened.setdefault(facts.content, {}).get(facts.index):
            raise ValueError(
                f"data.caches has {facts.content} twice, in {other.directory} and {cache.directory}"
            )
        opened[facts.content][facts.index] = cache
    for content, caches in opened.items():
        for index in indices:
            if index.fingerprint not in caches:
                raise ValueError(
                    f"data.caches has {content} of other data sets, but none of {index.place}; make them "
                    f"with `python -m datamodules cache`, or do without {content}"
                )
    return {
        content: CachedSamples([caches[index.fingerprint] for index in indices])
        for content, caches in opened.items()
    }


def check_encoders(caches: Iterable[SampleCache], **fingerprints: str) -> None:
    """Refuse caches that were made with other encoders than these, by content."""
    for cache in caches:
        expected = fingerprints[cache.facts.content]
        if cache.facts.encoder != expected:
            raise _stale(cache, f"the encoder {cache.facts.encoder}", f"this run's model has {expected}")


def _stale(cache: SampleCache, made: str, now: str) -> ValueError:
    return ValueError(f"the cache {cache.directory} was made with {made}, but {now}; {_REMEDY}")


def bucket_sizes(resolution: Resolution) -> tuple[tuple[float, int, int], ...]:
    return tuple((ratio, *resolution.image_size(ratio)) for ratio in resolution.aspect_ratios)


def caption_name(caption: str) -> str:
    """What the states of a caption are called among those of its sample: a changed one is not found."""
    return hashlib.sha256(caption.encode()).hexdigest()[:16]


def vae_fingerprint(directory: str | Path) -> str:
    """Names the function from images to features of a saved tokenizer."""
    config, _ = read_config(directory, "vae")
    facts = json.dumps(config_to_dict(config), sort_keys=True) + weights_sha256(directory)
    return f"vae-{hashlib.sha256(facts.encode()).hexdigest()[:16]}"
