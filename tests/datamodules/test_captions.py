from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from datamodules.captions import CaptionChoice, caption_of, captions_of, texts_to_draw
from datamodules.decode import BrokenSampleError
from datamodules.module import ImageTextDataModule
from datamodules.stream import BatchStream
from infinity.types import ImageTextBatch
from tests.datamodules.conftest import RESOLUTION, on_rank

BOTH = json.dumps({"captions": {"short": "a cat", "long": ["a black cat", "a cat on a mat"]}}).encode()
LONG_AND_SHORT = {"long": 0.75, "short": 0.25}
KEYS = [f"key-{number}" for number in range(400)]


def drawn(choice: CaptionChoice, metadata: bytes = BOTH, epoch: int = 0) -> list[str]:
    return [choice(None, metadata, key, epoch).text for key in KEYS]


@pytest.mark.parametrize(
    ("text", "metadata", "caption"),
    [
        (b"a cat", b'{"caption": "a dog"}', "a cat"),
        (b"a cat", b"no JSON", "a cat"),
        (b" \n", b'{"caption": "a dog"}', "a dog"),
        (None, b'{"caption": "a dog"}', "a dog"),
        (None, b'{"text": "a dog", "long_caption": "a brown dog", "caption": ""}', "a brown dog"),
        ("a\tna\u00efve\r\n  \u2067cat\u2069\u200b\x00".encode(), None, "a na\u00efve cat"),
        (b"caf\xe9", b'{"caption": "caf\\u00e9"}', "caf\u00e9"),  # no UTF-8
        (b"\xef\xbb\xbfa cat", None, "a cat"),
        (None, b'{"caption": "a \\ud83d cat"}', "a ? cat"),
        ("\u0645\u06cc\u200c\u062e".encode(), None, "\u0645\u06cc\u200c\u062e"),  # a joiner is spelling
    ],
)
def test_the_main_caption_comes_from_text_then_metadata_and_is_cleaned(
    text: bytes | None, metadata: bytes | None, caption: str
) -> None:
    assert caption_of(text, metadata) == caption


@pytest.mark.parametrize(
    ("text", "metadata", "message"),
    [
        (None, None, "no caption"),
        (b"caf\xe9", None, "its .txt is not UTF-8"),
        (b"\xff\xfea\0", b'{"author": "me"}', "its .txt is not UTF-8"),
        (None, b'{"caption": "caf\xe9"}', "its .json is not UTF-8"),
        (None, b"[1]", "no JSON object"),
        (None, b"{", "no JSON object"),
        (None, b"[" * 10**5, "no JSON object"),
        (None, b'{"caption": 3, "captions": [3, {}], "x_caption": null}', "no caption"),
        (b" \n", None, "no caption"),
    ],
)
def test_missing_captions_are_broken_samples(
    text: bytes | None, metadata: bytes | None, message: str
) -> None:
    with pytest.raises(BrokenSampleError, match=message):
        caption_of(text, metadata)


@pytest.mark.parametrize(
    ("text", "record", "kinds"),
    [
        (b"a", {"captions": ["b", "a", "c "]}, {"caption": ("a", "b", "c")}),
        (
            None,
            {"caption": "a", "captions": {"long": "b\nc", "x": ""}},
            {"caption": ("a",), "long": ("b c",)},
        ),
        (
            None,
            {"long_caption": "b", "text": "a", "long_caption_type": "t"},
            {"long": ("b",), "short": ("a",)},
        ),
        (None, {"captions": {"short": ["a", "b"]}, "text": "a"}, {"short": ("a", "b")}),
        (
            None,
            {"caption": ["a", "b"], "long_caption": ["c", 3, "d"]},
            {"caption": ("a", "b"), "long": ("c", "d")},
        ),
    ],
)
def test_kinds_come_from_lists_mappings_and_the_fields_of_the_official_jsonl(
    text: bytes | None, record: dict[str, object], kinds: dict[str, tuple[str, ...]]
) -> None:
    assert captions_of(text, json.dumps(record).encode()) == kinds


def test_kinds_are_drawn_by_their_weights_and_texts_of_a_kind_evenly() -> None:
    counts = Counter(drawn(CaptionChoice(LONG_AND_SHORT, seed=0)))
    assert abs(counts["a cat"] - 100) < 30  # 3.5 standard deviations
    assert abs(counts["a black cat"] - 150) < 35
    assert counts.total() == len(KEYS)


def test_a_caption_is_a_function_of_seed_epoch_and_key_alone() -> None:
    first = drawn(CaptionChoice(LONG_AND_SHORT, seed=0))
    assert drawn(CaptionChoice(dict(reversed(LONG_AND_SHORT.items())), seed=0)) == first
    assert first[:4] == ["a black cat", "a cat", "a black cat", "a black cat"], "for ever"
    others = CaptionChoice(LONG_AND_SHORT, seed=1), CaptionChoice(LONG_AND_SHORT, seed=0)
    for other in (drawn(others[0]), drawn(others[1], epoch=1)):
        assert sum(a != b for a, b in zip(first, other, strict=True)) > 100


def test_validation_takes_the_first_text_of_the_weightiest_kind() -> None:
    assert set(drawn(CaptionChoice(LONG_AND_SHORT, seed=None))) == {"a black cat"}


def test_a_missing_kind_is_told_and_replaced_by_the_weightiest_other_one() -> None:
    choice = CaptionChoice({"long": 0.5, "short": 0.2, "tags": 0.3}, seed=0)
    chosen = [choice(b"main", b'{"captions": {"short": "s", "tags": "t"}}', key, 0) for key in KEYS]
    assert set(chosen) == {("t", "long"), ("s", None), ("t", None)}
    assert {choice(b"main", None, key, 0).text for key in KEYS} == {"main"}


def test_what_a_choice_can_take_is_known_before_it() -> None:
    kinds = ("short", "long")
    full, part = BOTH, b'{"caption": "main", "captions": {"short": "s", "tags": "t"}}'
    assert texts_to_draw(None, full, kinds) == ["a cat", "a black cat", "a cat on a mat"]
    assert texts_to_draw(None, part, kinds) == ["s", "main"]
    assert texts_to_draw(b"main", part, ("caption",)) == ["main"]
    assert texts_to_draw(b"main", b"no JSON", ("caption",)) == ["main"]
    assert CaptionChoice({}, 0)(b"main", b"no JSON", "key", 0).text == "main"
    for metadata in (full, part):
        for weights in (LONG_AND_SHORT, {"long": 1.0}):
            assert set(drawn(CaptionChoice(weights, 0), metadata)) <= set(
                texts_to_draw(None, metadata, kinds)
            )


@pytest.mark.parametrize("weights", [{"long": -0.1}, {"long": float("inf")}, {"long": 0.0}])
def test_weights_that_say_nothing_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="captions must give"):
        CaptionChoice(weights, seed=0)


WEIGHTS = {"long": 0.7, "short": 0.3}


def endless(stream: BatchStream) -> Iterator[ImageTextBatch]:
    while True:
        yield from stream


def captions_by_key(streams: list[BatchStream], num_batches: int) -> list[dict[str, str]]:
    """Captions of the next global batches, by key, from the streams of all ranks."""
    parts = [islice(endless(stream), num_batches) for stream in streams]
    return [
        {key: caption for batch in ranks for key, caption in zip(batch.keys, batch.captions, strict=True)}
        for ranks in zip(*parts, strict=True)
    ]


def module_of(root: Path, **options: object) -> ImageTextDataModule:
    return ImageTextDataModule(str(root), RESOLUTION, **{"batch_size": 4, "captions": WEIGHTS, **options})


def test_captions_change_between_epochs_and_so_go_on_after_a_stop(captioned: Path) -> None:
    stream = module_of(captioned).train_dataloader()
    straight = captions_by_key([stream], 4 * len(stream))
    first, second = ({}, {})
    for batch in straight[: len(stream)]:
        first |= batch
    for batch in straight[len(stream) : 2 * len(stream)]:
        second |= batch
    assert any(first[key] != second[key] for key in first.keys() & second.keys())
    stopped = module_of(captioned)
    captions_by_key([stopped.train_dataloader()], 2 * len(stream) - 1)
    resumed = module_of(captioned, num_workers=1)
    resumed.load_state_dict(stopped.state_dict())
    rest = captions_by_key([resumed.train_dataloader()], 2 * len(stream) + 1)
    assert rest == straight[2 * len(stream) - 1 :]
    resumed.teardown()


def test_two_ranks_draw_the_captions_of_one(captioned: Path) -> None:
    alone = module_of(captioned).train_dataloader()
    ranks = [on_rank(module_of(captioned, batch_size=2), rank, 2).train_dataloader() for rank in range(2)]
    num_batches = 3 * len(alone)
    assert captions_by_key(ranks, num_batches) == captions_by_key([alone], num_batches)


def test_missing_kinds_are_counted_and_warned_of_once(
    captioned: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = module_of(captioned, captions={"long": 1.0, "tags": 1e-9}).val_dataloader()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            list(stream)
    assert stream.faults.missing_captions == {"long": 1}
    assert caplog.text.count("have no caption of kind long and take another") == 1
