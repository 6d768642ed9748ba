"""The flags source, on npm packages made by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.sources.flags import FlagsConfig, caption, flags_dataset
from tests.datamodules.sources.packages import cut_out, made, opened, plain, silent

CODES = [f"{letter}{letter}" for letter in "abcdefghij"]


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    pictures, names = tmp_path / "svg-country-flags-1.2.10/png1000px", tmp_path / "flag-icons-7.5.0"
    pictures.mkdir(parents=True)
    names.mkdir()
    for k, code in enumerate(CODES):
        (pictures / f"{code}.png").write_bytes(plain((20 * k, 200, 30), (200, 100 + k)))
    (pictures / "np.png").write_bytes(cut_out((200, 20, 60), (100, 122)))
    (pictures / "zz.png").write_bytes(plain((1, 2, 3)))
    (pictures / "hm.png").write_bytes(plain((4, 5, 6)))  # an island that flies Australia's
    countries = [{"code": code, "name": f"Land {code}"} for code in [*CODES, "np", "qq", "hm"]]
    (names / "country.json").write_text(json.dumps(countries))
    return tmp_path


def test_a_flag_fills_one_image_and_lies_on_backgrounds(packages: Path) -> None:
    parts = flags_dataset(FlagsConfig(size=64, variants=2, val_fraction=0.3), packages, silent)
    assert (parts.description["matched"], parts.description["unnamed"]) == (11, ["zz"])
    samples = made(parts)
    by_key = {sample.key: sample for own in samples.values() for sample in own}
    assert len(by_key) == 10 * 3 + 2
    whole = by_key["cc"]
    assert (whole.caption, opened(whole).size) == ("the flag of Land cc", (64, 33))
    assert by_key["cc-background-1"].caption.startswith("the flag of Land cc on a")
    assert "np" not in by_key  # its shape is no rectangle
    assert opened(by_key["np-background-0"]).size == (52, 64)
    assert whole.metadata["license"] == "public domain"
    codes = [{sample.metadata["code"] for sample in own} for own in samples.values()]
    assert not codes[0] & codes[1]


@pytest.mark.parametrize(
    ("country", "text"),
    [
        ("France", "the flag of France"),
        ("Netherlands", "the flag of the Netherlands"),
        ("United Kingdom", "the flag of the United Kingdom"),
        ("Central African Republic", "the flag of the Central African Republic"),
        ("Faroe Islands", "the flag of the Faroe Islands"),
        ("Virgin Islands (British)", "the flag of the Virgin Islands (British)"),
        ("Norfolk Island", "the flag of Norfolk Island"),
        ("French Guiana", "the flag of French Guiana"),
    ],
)
def test_captions_name_the_country(country: str, text: str) -> None:
    assert caption(country) == text
