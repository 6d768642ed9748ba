from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from datamodules.decode import BrokenSampleError, caption_of, cover_crop, decode_rgb, image_size
from infinity.schedules import ASPECT_RATIOS, Resolution

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
PAPER = Resolution(aspect_ratios=ASPECT_RATIOS)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def test_an_image_of_the_wanted_size_keeps_its_pixels() -> None:
    image = decode_rgb(encode(Image.fromarray(RGB), "PNG"), 1000)
    assert np.array_equal(cover_crop(image, 12, 20), RGB)


def test_cropping_cuts_the_centre_of_the_longer_side() -> None:
    image = Image.fromarray(RGB)
    assert np.array_equal(cover_crop(image, 12, 12), RGB[:, 4:16])
    assert np.array_equal(cover_crop(image, 6, 20), RGB[3:9])


def test_resizing_is_antialiased() -> None:
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    small = cover_crop(Image.fromarray(stripes), 16, 16)
    assert np.abs(small.astype(int) - 127.5).max() < 20


def test_resizing_is_centred() -> None:
    ramp = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    small = cover_crop(Image.fromarray(ramp), 10, 10).astype(int)
    assert np.abs(small + small[:, ::-1] - 255).max() <= 2


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(PAPER.aspect_ratios))
def test_every_size_can_be_cropped_to_every_ratio_of_the_paper(width: int, height: int, ratio: float) -> None:
    target = PAPER.image_size(ratio)
    assert cover_crop(Image.new("L", (width, height)), *target).shape == target


def test_transparency_lies_on_white() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, 0] = (10, 20, 30, 255)
    decoded = np.array(decode_rgb(encode(Image.fromarray(pixels), "PNG"), 100))
    assert decoded[0, 0].tolist() == [10, 20, 30]
    assert decoded[1, 1].tolist() == [255, 255, 255]


def test_a_transparent_palette_lies_on_white() -> None:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([0, 0, 0, 9, 9, 9])
    image.putpixel((0, 0), 1)
    decoded = np.array(decode_rgb(encode(image, "PNG", transparency=0), 100))
    assert decoded[:, :, 0].tolist() == [[9, 255], [255, 255]]


def test_sixteen_bit_greys_are_scaled() -> None:
    greys = np.array([[0, 257 * 100], [257 * 200, 65535]], np.uint16)
    decoded = np.array(decode_rgb(encode(Image.fromarray(greys), "PNG"), 100))
    assert decoded[..., 1].tolist() == [[0, 100], [200, 255]]


def test_cmyk_becomes_rgb() -> None:
    decoded = np.array(decode_rgb(encode(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG"), 100))
    assert decoded.shape == (8, 8, 3)
    assert decoded[4, 4, 0] > 200 > 80 > decoded[4, 4, 1]


def test_orientation_is_applied_to_pixels_and_size() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encode(Image.fromarray(RGB), "PNG", exif=exif)
    assert image_size(io.BytesIO(data)) == (12, 20)
    assert np.array_equal(np.array(decode_rgb(data, 1000)), np.rot90(RGB, -1))


def test_the_size_of_a_png_needs_no_pixels() -> None:
    assert image_size(io.BytesIO(encode(Image.fromarray(RGB), "PNG")[:60])) == (20, 12)


def test_formats_that_run_other_programs_have_no_size() -> None:
    with pytest.raises(BrokenSampleError, match="unreadable image header"):
        image_size(io.BytesIO(EPS))


def test_large_images_are_refused_by_their_header() -> None:
    data = encode(Image.fromarray(RGB), "PNG")
    with pytest.raises(BrokenSampleError, match="20x12 is more than max_pixels = 239"):
        decode_rgb(data[:60], 239)  # no pixel of it is there


@pytest.mark.parametrize("data", [b"", b"nothing", encode(Image.fromarray(RGB), "PNG")[:200], EPS])
def test_damaged_images_are_broken_samples(data: bytes) -> None:
    with pytest.raises(BrokenSampleError, match="undecodable image"):
        decode_rgb(data, 1000)


@pytest.mark.parametrize(
    ("text", "metadata", "caption"),
    [
        (b"a cat", b'{"caption": "a dog"}', "a cat"),
        (None, b'{"caption": "a dog"}', "a dog"),
        ("a\tna\u00efve\r\n  cat\u200b\x00".encode(), None, "a na\u00efve cat"),
        (b"caf\xe9", None, "caf\ufffd"),
        (None, b'{"caption": "a \\ud83d cat"}', "a ? cat"),
        ("\u0645\u06cc\u200c\u062e".encode(), None, "\u0645\u06cc\u200c\u062e"),  # a joiner is spelling
    ],
)
def test_captions_come_from_text_then_metadata_and_are_cleaned(
    text: bytes | None, metadata: bytes | None, caption: str
) -> None:
    assert caption_of(text, metadata) == caption


@pytest.mark.parametrize(
    ("text", "metadata", "message"),
    [
        (None, None, "no caption"),
        (None, b"[1]", "no JSON object"),
        (None, b"{", "no JSON object"),
        (None, b"[" * 10**5, "no JSON object"),
        (None, b'{"caption": 3}', "no caption"),
        (b" \n", None, "empty caption"),
    ],
)
def test_missing_captions_are_broken_samples(
    text: bytes | None, metadata: bytes | None, message: str
) -> None:
    with pytest.raises(BrokenSampleError, match=message):
        caption_of(text, metadata)
