"""The stamps source, on a Debian package made by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.sources.stamps import StampsConfig, phrase, read_sentences, stamps_dataset
from datamodules.sources.wording import phrase_concept
from tests.datamodules.sources.packages import cut_out, made, silent, write_deb

ROOT = "usr/share/tuxpaint/stamps"


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    files = {"usr/share/doc/tuxpaint-stamps-default/copyright": b"by painters"}
    for k, letter in enumerate("abcdefghij"):
        files[f"{ROOT}/animals/{letter}.png"] = cut_out((200, 20 * k, 30))
        sentence = f"A green thing{letter}.\nfr.utf8=Un truc {letter} très vert.\nde.utf8=\n"
        files[f"{ROOT}/animals/{letter}.txt"] = sentence.encode()
    files |= {f"{ROOT}/symbols/x.png": cut_out((1, 1, 1)), f"{ROOT}/symbols/x.txt": b"The letter x.\n"}
    files |= {
        f"{ROOT}/town/roadsigns/h.png": cut_out((3, 3, 99)),
        f"{ROOT}/town/roadsigns/h.txt": "“Hospital”.".encode(),
    }
    files |= {f"{ROOT}/animals/a_mirror.png": cut_out((2, 2, 2))}
    write_deb(tmp_path / "tuxpaint-stamps-default_2022_all.deb", files)
    return tmp_path


def test_captions_are_the_sentences_of_the_stamps(packages: Path) -> None:
    parts = stamps_dataset(StampsConfig(size=32, val_fraction=0.3, languages=("fr",)), packages, silent)
    assert parts.description["dropped"] == {"folder of symbols": 1, "no English sentence": 1}
    assert parts.files == {"CREDITS.txt": "by painters"}
    samples = made(parts)
    by_key = {sample.key: sample for own in samples.values() for sample in own}
    assert len(by_key) == 11 * 4
    assert by_key["town_roadsigns_h-0"].caption.startswith("a road sign that says Hospital on a")
    sample = by_key["animals_c-2"]
    assert sample.caption.startswith("a green thingc on a")
    assert sample.metadata["captions"] == {"fr": "Un truc c très vert."}
    assert (sample.metadata["license"], sample.metadata["source"]) == (
        "GPL-2",
        "tuxpaint-stamps-default=2022",
    )
    concepts = [{phrase_concept(s.metadata["file"]) for s in own} for own in samples.values()]
    assert not concepts[0] & concepts[1]


def test_a_language_that_no_stamp_has_is_an_error(packages: Path) -> None:
    with pytest.raises(ValueError, match=r"no stamp has a sentence in xx; languages are written fr"):
        stamps_dataset(StampsConfig(languages=("fr", "xx")), packages, silent)


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        (
            "A cat.\n\nfr.utf8=Un chat.\npt_BR.utf8=Um gato.\n",
            {"en": "A cat.", "fr": "Un chat.", "pt_BR": "Um gato."},
        ),
        ("\ufeffA cat.\r\nzh_TW.utf8=貓。\r\n", {"en": "A cat.", "zh_TW": "貓。"}),
        ("fr.utf8=Un chat.\n", {"fr": "Un chat."}),
        ("\n", {}),
        ("", {}),
    ],
)
def test_the_line_without_a_language_is_english(text: str, sentences: dict[str, str]) -> None:
    assert read_sentences(text) == sentences


@pytest.mark.parametrize(
    ("sentence", "stem", "text"),
    [
        ("A Sumatran tiger.", "x", "a Sumatran tiger"),
        ("The Moon.", "x", "the Moon"),
        ("Teddy bear", "x", "Teddy bear"),
        ("An owl!", "x", "an owl"),
        ("Another tombstone.", "x", "a tombstone"),
        ("A wheelie bin! Give me your trash!", "x", "a wheelie bin"),
        ("Mars—the red planet. It’s just beyond earth.", "4_mars", "Mars"),
        ("Eat your broccoli!", "broccoli", "a broccoli"),
        ("A candy cane is a treat.", "Candy_cane_photo_1", "a candy cane"),
        ("“Yield” means you have to let other people go first.", "yield", "a yield"),
        ("Boom!!!", "explosion", "an explosion"),
    ],
)
def test_a_sentence_becomes_a_phrase_or_gives_way_to_the_files_name(
    sentence: str, stem: str, text: str
) -> None:
    assert phrase(sentence, stem) == text
