"""The clip-art source, on Debian packages made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.packing import pack_dataset
from datamodules.sources.clipart import (
    ClipartConfig,
    Words,
    caption,
    clipart_dataset,
    read_words,
    subject,
    why_dropped,
)
from datamodules.sources.wording import phrase_concept
from tests.datamodules.sources.packages import cut_out, made, plain, silent, write_deb

PUBLIC_DOMAIN = "http://web.resource.org/cc/PublicDomain"
SVG = """<?xml version="1.0"?>
<svg xmlns="http://www.w3.org/2000/svg" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"
 xmlns:cc="http://web.resource.org/cc/" xmlns:dc="http://purl.org/dc/elements/1.1/"><title>drawing</title>
<metadata><rdf:RDF><cc:Work rdf:about=""><dc:title>{title}</dc:title>
<dc:subject><rdf:Bag>{keywords}</rdf:Bag></dc:subject>
<dc:creator><cc:Agent rdf:about=""><dc:title>Ann &amp; Bob</dc:title></cc:Agent></dc:creator>
<cc:license rdf:resource="{license}"/></cc:Work></rdf:RDF></metadata></svg>"""


def svg(title: str, *keywords: str, license: str = PUBLIC_DOMAIN) -> bytes:
    listed = "".join(f"<rdf:li>{keyword}</rdf:li>" for keyword in keywords)
    return SVG.format(title=title, keywords=listed, license=license).encode()


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    pixels: dict[str, bytes] = {}
    vectors: dict[str, bytes] = {}
    for k in range(12):
        pixels[f"food/fruit/apple_{k}.png"] = cut_out((200, 20 * k, 30), (100 + k, 100))
        vectors[f"food/fruit/apple_{k}.svg"] = svg(f"Thing {'abcdefghijkl'[k]}{k}q", "fruit", "sweet")
    pixels |= {"people/plain.png": plain((9, 200, 9)), "shapes/stars/s.png": plain((1, 1, 1))}
    vectors |= {"people/plain.svg": svg("Crowd"), "shapes/stars/s.svg": svg("Star")}
    pixels |= {"people/none.png": plain((2, 2, 2)), "people/gpl.png": plain((3, 3, 3))}
    vectors |= {"people/gpl.svg": svg("Mine", license="http://creativecommons.org/licenses/GPL/2.0/")}
    pixels |= {"people/a_ann_1.png": plain((4, 4, 4)), "people/twin.png": plain((9, 200, 9))}
    vectors |= {"people/a_ann_1.svg": svg("card"), "people/twin.svg": svg("Twin")}
    folder = tmp_path / "packages"
    for kind, files in (("png", pixels), ("svg", vectors)):
        below = {f"usr/share/openclipart/{kind}/{name}": data for name, data in files.items()}
        below[f"usr/share/doc/openclipart-{kind}/copyright"] = b"by everyone"
        write_deb(folder / f"openclipart-{kind}_1%3a0.18_all.deb", below)
    return folder


def test_every_picture_is_used_or_counted_by_cause(packages: Path, tmp_path: Path) -> None:
    parts = clipart_dataset(ClipartConfig(size=32, val_fraction=0.3), packages, silent)
    assert parts.description["matched"] == 13
    assert parts.description["dropped"] == {
        "a title and a file name that say nothing": 1,
        "folder of near-copies or of unsorted things": 1,
        "no metadata": 1,
        "not in the public domain": 1,
        "same pixels as another": 1,
    }
    result = pack_dataset(tmp_path / "out", parts)
    assert sum(result["counts"].values()) == 12 * 2 + 1
    assert (tmp_path / "out" / "CREDITS.txt").read_text() == "by everyone"


def test_samples_carry_words_author_source_and_licence(packages: Path) -> None:
    samples = made(clipart_dataset(ClipartConfig(size=32, val_fraction=0.3), packages, silent))
    by_key = {sample.key: sample for own in samples.values() for sample in own}
    metadata = by_key["food_fruit_apple_3-0"].metadata
    background = metadata.pop("background")
    assert by_key["food_fruit_apple_3-0"].caption.endswith(f"{background} background")
    assert json.loads(json.dumps(metadata)) == {
        "title": "Thing d3q",
        "keywords": ["fruit", "sweet"],
        "creator": "Ann & Bob",
        "file": "food/fruit/apple_3.png",
        "captions": {"short": "Thing d3q"},
        "source": "openclipart-png=1:0.18",
        "license": "public domain",
    }
    assert by_key["people_plain"].caption == "clip art of a crowd (people)"
    concepts = [{phrase_concept(s.metadata["title"]) for s in own} for own in samples.values()]
    assert not concepts[0] & concepts[1]


@pytest.mark.parametrize(
    ("shown", "keywords", "folder", "text"),
    [
        ("Red Apple", ("food", "fruit", "apple"), "food/fruit", "clip art of a red apple (food, fruit)"),
        ("Map of the USA", (), "geography", "clip art of Map of the USA (geography)"),
        ("cat", ("cats",), "animals/cat", "clip art of a cat"),
        ("a dog", ("pet", "Ann"), "animals", "clip art of a dog (pet, animals)"),
        ("a hat", ("pet 1", "pets", "fur"), "x_y", "clip art of a hat (pet 1, fur)"),
        ("Eiffel Tower", ("eiffeltower", "city"), "town", "clip art of an eiffel tower (city, town)"),
        ("pear in black and white", (), "unsorted", "clip art of a pear in black and white"),
        ("cote d'ivoire", ("africa",), "flags/africa", "clip art of the flag of Cote D'Ivoire (africa)"),
        ("Israeli Flag", (), "flags", "clip art of Israeli Flag"),
        ("No Smoking", (), "signs_and_symbols", "clip art of no smoking"),
    ],
)
def test_captions_are_title_keywords_and_folder(
    shown: str, keywords: tuple[str, ...], folder: str, text: str
) -> None:
    assert caption(folder, shown, Words(shown, keywords, "Ann", PUBLIC_DOMAIN)) == text


@pytest.mark.parametrize(
    "title", ["card", "Stop.svg road signs", "Clipart by Ann - cat", "", "01", "Untitled 3"]
)
def test_a_title_that_says_nothing_gives_way_to_the_files_name(title: str) -> None:
    words = Words(title, (), "Ann Lee", PUBLIC_DOMAIN)
    assert subject("no_smoking_ann_l_01", words, 1) == "no smoking"
    assert subject("ann_02", words, 1) == ""


@pytest.mark.parametrize(
    ("title", "times", "stem", "shown"),
    [
        ("Road Signs", 52, "tram_ann_01", "tram"),
        ("AIGA Symbol Signs", 99, "aiga_waiting_room_", "waiting room"),
        ("Lightning", 11, "lightning_ann_08", "lightning"),
        ("R16", 26, "lemon_bw", "lemon in black and white"),
        ("advertising", 21, "ColdWater", "Cold Water"),
        ("Rana03", 1, "x", "Rana"),
        ("arrow-right", 1, "x", "arrow right"),
        ("Pan Cakes (B and W)", 1, "x", "Pan Cakes in black and white"),
        ("glace bw", 1, "x", "glace in black and white"),
        ("A dog.", 2, "x", "A dog"),
    ],
)
def test_a_title_of_many_pictures_names_their_collection(
    title: str, times: int, stem: str, shown: str
) -> None:
    assert subject(stem, Words(title, (), "Ann Lee", PUBLIC_DOMAIN), times) == shown


@pytest.mark.parametrize(
    "folder", ["shapes/stars", "computer/icons/x", "unsorted", "special", "signs/led", "games/cards/white"]
)
def test_folders_of_near_copies_are_dropped(folder: str) -> None:
    words = Words("Tree", (), "", PUBLIC_DOMAIN)
    assert "folder" in str(why_dropped(f"{folder}/a.png", words))
    assert why_dropped("shapes/a.png", words) is None


@pytest.mark.parametrize(
    "data", [b"", b"<svg", b"<svg/>", SVG.encode()[:300], b'<?xml version="1.0" encoding="odd"?><svg/>']
)
def test_an_svg_without_readable_metadata_has_no_words(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.svg").write_bytes(data)
    assert read_words(tmp_path / "a.svg") is None


def test_words_of_programs_are_no_keywords(tmp_path: Path) -> None:
    (tmp_path / "a.svg").write_bytes(
        svg(" A_cat \n here", "hash(0x82)", "unsorted", "", "pet", "clip art", "foodspicyhotpepper")
    )
    assert read_words(tmp_path / "a.svg") == Words("A cat here", ("pet",), "Ann & Bob", PUBLIC_DOMAIN)
