"""The emoji source, on a package folder made by hand."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from datamodules.index import ShardIndex
from datamodules.module import ImageTextDataModule
from datamodules.packing import pack_dataset
from datamodules.shards import Sample
from datamodules.sources.emoji import EmojiConfig, caption, concept, emoji_dataset, match_emoji
from infinity.schedules import Resolution
from tests.datamodules.sources.packages import silent

LABELS = {
    "1F34E": "red apple",
    "1F9D1-200D-1F3A8": "artist",
    "1F468-200D-1F3A8": "man artist",
    "1F469-200D-1F3A8": "woman artist",
    "1F1EB-1F1F7": "flag: France",
    "0039-FE0F-20E3": "keycap: 9",
    **{f"1F40{digit:X}": f"animal {digit}" for digit in range(16)},
}
FILES = {"0039-FE0F-20E3": "39-fe0f-20e3"}
RED = (220, 20, 30)


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    assets = tmp_path / "packages" / "lobehub-fluent-emoji-3d-1.1.0" / "assets"
    assets.mkdir(parents=True)
    picture = Image.new("RGBA", (64, 64), (0, 0, 255, 0))  # transparent pixels of a colour that must not show
    ImageDraw.Draw(picture).ellipse((8, 8, 55, 55), fill=(*RED, 255))
    for code in [*LABELS, "1F44B", "1F44B-1F3FD", "1FFFF"]:
        picture.save(assets / f"{FILES.get(code, code.lower())}.webp", lossless=True, exact=True)
    picture.save(assets / "0039-fe0f-20e3.webp", lossless=True)  # the same keycap once more
    names = tmp_path / "packages" / "emojibase-data-17.0.0" / "en"
    names.mkdir(parents=True)
    entries = [{"label": label, "hexcode": code, "tags": ["x"]} for code, label in LABELS.items()]
    skin = {"label": "waving hand: medium skin tone", "hexcode": "1F44B-1F3FD"}
    entries.append({"label": "waving hand", "hexcode": "1F44B", "tags": ["hi"], "skins": [skin]})
    (names / "data.json").write_text(json.dumps(entries))
    return tmp_path / "packages"


def samples(packages: Path, **options: object) -> dict[str, list[Sample]]:
    parts = emoji_dataset(EmojiConfig(size=32, **options), packages, silent)  # type: ignore[arg-type]
    return {split: [source[k] for k in range(len(source))] for split, source in parts.splits.items()}


def test_every_file_is_matched_or_named(packages: Path) -> None:
    folders = [packages / "lobehub-fluent-emoji-3d-1.1.0", packages / "emojibase-data-17.0.0"]
    emoji, unmatched = match_emoji(*folders)
    assert {one.label for one in emoji} == {*LABELS.values(), "waving hand", "waving hand: medium skin tone"}
    assert len(emoji) == len(LABELS) + 2
    assert sorted(unmatched) == ["1ffff.webp", "39-fe0f-20e3.webp"]
    assert [one.tags for one in emoji if one.skin_tone] == [("hi",)]


def test_the_background_is_the_colour_that_the_caption_names(packages: Path) -> None:
    colors = {"white": (250, 250, 250), "light blue": (170, 210, 245), "black": (15, 15, 18)}
    seen = set()
    for sample in [s for split in samples(packages).values() for s in split]:
        pixels = np.asarray(Image.open(io.BytesIO(sample.image)))
        background = sample.metadata["background"]
        assert sample.caption.endswith(f"{background} background")
        assert pixels.shape == (32, 32, 3)
        assert np.ptp(pixels[0], 0).max() == 0
        if background in colors:
            assert np.abs(pixels[0, 0].astype(int) - colors[background]).max() <= 6
            seen.add(background)
    assert seen == set(colors)


def test_an_emoji_is_visible_on_its_background(packages: Path) -> None:
    for sample in samples(packages)["train"]:
        assert sample.metadata["background"] != "red"
        pixels = np.asarray(Image.open(io.BytesIO(sample.image))).astype(int)
        assert np.abs(pixels[16, 16] - RED).max() <= 3


def test_hidden_colours_do_not_bleed_into_the_rim(packages: Path) -> None:
    for sample in samples(packages)["train"]:
        pixels = np.asarray(Image.open(io.BytesIO(sample.image))).astype(int)
        low = np.minimum(pixels[0, 0], RED) - 12
        high = np.maximum(pixels[0, 0], RED) + 12
        assert ((pixels >= low) & (pixels <= high)).all()


def test_variants_have_backgrounds_of_their_own(packages: Path) -> None:
    train = samples(packages, variants=3)["train"]
    for start in range(0, len(train), 3):
        variants = train[start : start + 3]
        assert len({sample.metadata["label"] for sample in variants}) == 1
        assert len({sample.metadata["background"] for sample in variants}) == 3


def test_splits_share_no_concept(packages: Path) -> None:
    for fraction in (0.2, 0.5):
        parts = samples(packages, val_fraction=fraction, variants=1)
        concepts = {split: {concept(s.metadata["label"]) for s in own} for split, own in parts.items()}
        assert not concepts["train"] & concepts["val"]
        assert sum(len(own) for own in parts.values()) == len(LABELS) + 1


@pytest.mark.parametrize("skin_tones", [True, False])
def test_skin_tones_are_taken_when_asked_for(packages: Path, skin_tones: bool) -> None:
    labels = {s.metadata["label"] for own in samples(packages, skin_tones=skin_tones).values() for s in own}
    assert ("waving hand: medium skin tone" in labels) == skin_tones


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("red apple", "a red apple"),
        ("umbrella", "an umbrella"),
        ("unicorn", "a unicorn"),
        ("hourglass done", "an hourglass done"),
        ("grapes", "grapes"),
        ("octopus", "an octopus"),
        ("person lifting weights", "a person lifting weights"),
        ("flag: France", "the flag of France"),
        ("keycap: 9", "a keycap with the sign 9"),
        ("family: woman, boy", "a family with woman and boy"),
        ("man: red hair", "a man with red hair"),
    ],
)
def test_captions_are_sentences(label: str, text: str) -> None:
    assert caption(label) == text


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("man artist", "artist"),
        ("woman artist: medium skin tone", "artist"),
        ("woman walking facing right", "walking"),
        ("person", "person"),
        ("flag: Isle of Man", "flag: isle of"),
        ("flag: France", "flag: france"),
    ],
)
def test_concepts_ignore_who_does_it(label: str, shown: str) -> None:
    assert concept(label) == shown


def test_packed_emoji_can_be_streamed(packages: Path, tmp_path: Path) -> None:
    pack_dataset(tmp_path / "out", emoji_dataset(EmojiConfig(size=32), packages, silent))
    index = ShardIndex.load(tmp_path / "out" / "train")
    assert index[0].key == "39-20E3-0"
    module = ImageTextDataModule(str(tmp_path / "out"), Resolution(stride=8, sides=(1, 4)), batch_size=2)
    batch = next(iter(module.train_dataloader()))
    assert batch.images_B3HW.shape == (2, 3, 32, 32)
    assert all(text.endswith("background") for text in batch.captions)
    description = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert description["license"] == "MIT"
    assert description["matched"] == len(LABELS) + 2


def test_a_damaged_picture_is_left_out_and_named(packages: Path, tmp_path: Path) -> None:
    victim = packages / "lobehub-fluent-emoji-3d-1.1.0" / "assets" / "1f403.webp"
    victim.write_bytes(victim.read_bytes()[:30])
    result = pack_dataset(tmp_path / "out", emoji_dataset(EmojiConfig(size=32, variants=1), packages, silent))
    left_out = result["left_out"]["train"] + result["left_out"]["val"]
    assert len(left_out) == 1
    assert "1f403.webp: undecodable" in left_out[0]


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"size": 512}, r"size must be in \[16, 256\]"),
        ({"variants": 0}, r"variants must be in \[1, 14\], got 0"),
        ({"val_fraction": 0.0}, "val_fraction must be between 0 and 1"),
    ],
)
def test_wrong_options_are_named(option: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EmojiConfig(**option)  # type: ignore[arg-type]
