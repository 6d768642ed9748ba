"""The captions of a sample: of which kinds it has some, and which one a pass takes.

A kind has one or more texts, which are equally likely:

- ``caption``, the main kind: the sample's ``.txt``, else ``caption`` in its ``.json``, and all texts of a
  list ``captions`` there;
- any other name: ``captions: {short: .., long: [.., ..]}`` in the ``.json``, or fields ``<kind>_caption``;
- ``short``: also the field ``text``, which goes with ``long_caption`` in the official jsonl.

Text is UTF-8. A ``.txt`` in any other encoding is none: no guess turns it into wrong words.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from datamodules.decode import BrokenSampleError

__all__ = ["MAIN_KIND", "CaptionChoice", "Chosen", "caption_of", "captions_of", "record_of", "texts_to_draw"]

MAIN_KIND = "caption"
_SUFFIX = "_caption"
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]+")


class Chosen(NamedTuple):
    text: str
    missing: str | None  # the kind that was drawn, if the sample has none of it


class CaptionChoice:
    """Which caption of a sample a pass takes: a pure function of the seed, the epoch and the sample's key.

    A sample without the drawn kind takes the other kinds, largest weight first, and then its main caption.

    Args:
        weights: of the kinds; none of them for the main caption alone.
        seed: of the draws; None draws nothing, but takes the kind with the largest weight and its first text.
    """

    def __init__(self, weights: Mapping[str, float], seed: int | None) -> None:
        if any(not 0 <= weight < float("inf") for weight in weights.values()):
            raise ValueError(f"captions must give every kind a weight of at least 0, got {dict(weights)}")
        if weights and not any(weights.values()):
            raise ValueError(f"captions must give a kind a weight above 0, got {dict(weights)}")
        self.weights = {kind: weights[kind] for kind in sorted(weights) if weights[kind]}
        self.seed = seed

    def __call__(self, text: bytes | None, metadata: bytes | None, key: str, epoch: int) -> Chosen:
        if not self.weights:
            return Chosen(caption_of(text, metadata), None)
        kinds = captions_of(text, metadata)
        if self.seed is None:
            drawn, place = self._by_weight[0], 0
        else:
            digest = hashlib.blake2b(f"{self.seed}/{epoch}/{key}".encode(), digest_size=16).digest()
            drawn, place = self._kind_at(digest[:8]), int.from_bytes(digest[8:])
        kind = next((kind for kind in (drawn, *self._by_weight) if kind in kinds), next(iter(kinds)))
        texts = kinds[kind]
        return Chosen(texts[place * len(texts) >> 64], None if kind == drawn else drawn)

    @cached_property
    def _by_weight(self) -> list[str]:
        return sorted(self.weights, key=lambda kind: -self.weights[kind])

    def _kind_at(self, draw: bytes) -> str:
        """The kind at a place, in 64 bits, of the weights side by side."""
        left = int.from_bytes(draw) / 2**64 * sum(self.weights.values())
        for kind, weight in self.weights.items():
            left -= weight
            if left < 0:
                return kind
        return kind  # of a sum that rounding has made a little too small


def caption_of(text: bytes | None, metadata: bytes | None) -> str:
    """A sample's main caption: the first of kind ``caption``, else of any other kind.

    A ``.txt`` is enough; the ``.json`` is not looked into then.
    """
    if caption := _clean(_decoded(text)):
        return caption
    return next(iter(captions_of(text, metadata).values()))[0]


def captions_of(text: bytes | None, metadata: bytes | None) -> dict[str, tuple[str, ...]]:
    """All captions of a sample by their kinds, the main kind first; empty ones are none."""
    found: dict[str, dict[str, None]] = {MAIN_KIND: {}}
    for kind, value in _listed(text, metadata):
        for entry in value if isinstance(value, list) else [value]:
            if isinstance(entry, str) and (caption := _clean(entry)):
                found.setdefault(kind, {})[caption] = None
    kinds = {kind: tuple(texts) for kind, texts in found.items() if texts}
    if not kinds:
        raise BrokenSampleError("its .txt is not UTF-8" if text and not _decoded(text) else "no caption")
    return kinds


def record_of(metadata: bytes | None) -> dict[str, Any]:
    """What a ``.json`` holds."""
    try:
        record = json.loads(metadata or b"{}")
    except UnicodeDecodeError:
        raise BrokenSampleError("its .json is not UTF-8") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise BrokenSampleError("its .json is no JSON object")
    return record


def texts_to_draw(text: bytes | None, metadata: bytes | None, kinds: Sequence[str]) -> list[str]:
    """All that a :class:`CaptionChoice` among some of these kinds can take from a sample."""
    try:
        found = captions_of(text, metadata)
    except BrokenSampleError:
        return [caption_of(text, metadata)]  # a ``.txt`` will do where no kinds are asked for
    texts = [caption for kind in kinds for caption in found.get(kind, ())]
    if not texts or any(kind not in found for kind in kinds):
        texts += next(iter(found.values()))
    return list(dict.fromkeys(texts))


def _listed(text: bytes | None, metadata: bytes | None) -> Iterator[tuple[str, Any]]:
    record = record_of(metadata)
    main = _decoded(text)
    yield MAIN_KIND, main if _clean(main) else record.get(MAIN_KIND)
    captions = record.get("captions")
    yield from captions.items() if isinstance(captions, dict) else [(MAIN_KIND, captions)]
    for name, value in record.items():
        if name.endswith(_SUFFIX) and name != _SUFFIX:
            yield name.removesuffix(_SUFFIX), value
    yield "short", record.get("text")


def _decoded(text: bytes | None) -> str:
    """What a ``.txt`` says; nothing if it is not UTF-8."""
    try:
        return (text or b"").decode()
    except UnicodeDecodeError:
        return ""


def _clean(caption: str) -> str:
    """Control characters become spaces; half surrogate pairs, which JSON can hold but UTF-8 can't, "?"."""
    caption = caption.encode("utf-8", "replace").decode()
    return " ".join(_CONTROL_CHARACTERS.sub(" ", caption).split())
