"""What becomes of every kind of pixel that a file can hold: known values in, known values out."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from datamodules.decode import BrokenSampleError, decode_rgb
from tests.datamodules.icc_profiles import cmyk_profile, linear_profile
from tests.datamodules.test_decode import RGB, encode


def decoded(data: bytes) -> list[list[list[int]]]:
    return np.array(decode_rgb(data, 1000)).tolist()


def png_of_16_bits(rows: np.ndarray, colour_type: int) -> bytes:
    """A PNG from uint16 (H, W, channels), which Pillow itself can't write in colour."""
    height, width, _ = rows.shape
    buffer = io.BytesIO(b"\x89PNG\r\n\x1a\n")
    buffer.seek(0, io.SEEK_END)
    header = struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows)
    for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")):
        PngImagePlugin.putchunk(buffer, name, content)
    return buffer.getvalue()


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
    assert decoded(encode(image, "PNG", transparency=0)) == [[[9] * 3, [255] * 3], [[255] * 3] * 2]


def test_a_palette_becomes_its_colours() -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([1, 2, 3, 200, 100, 50])
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "GIF", "BMP", "TIFF"):
        assert decoded(encode(image, kind)) == [[[1, 2, 3], [200, 100, 50]]], kind


def test_half_transparent_greys_lie_on_white() -> None:
    image = Image.fromarray(np.array([[[100, 255], [0, 51]]], np.uint8), "LA")
    assert decoded(encode(image, "PNG")) == [[[100] * 3, [204] * 3]]


def test_one_bit_images_are_black_and_white() -> None:
    image = Image.new("1", (2, 1), 0)
    image.putpixel((1, 0), 1)
    for kind in ("PNG", "BMP", "TIFF"):
        assert decoded(encode(image, kind)) == [[[0] * 3, [255] * 3]], kind


def test_sixteen_bit_greys_are_scaled() -> None:
    greys = np.array([[0, 257 * 100, 257 * 100 + 128], [257 * 100 + 129, 257 * 200, 65535]], np.uint16)
    expected = [[[value] * 3 for value in row] for row in ([0, 100, 100], [101, 200, 255])]
    assert decoded(encode(Image.fromarray(greys), "PNG")) == expected
    assert decoded(encode(Image.fromarray(greys), "TIFF")) == expected


@pytest.mark.parametrize(("colour_type", "alpha"), [(2, ()), (6, (0xFFFF,))], ids=["RGB", "RGBA"])
def test_of_sixteen_bit_colours_the_upper_byte_counts(colour_type: int, alpha: tuple[int, ...]) -> None:
    rows = np.array([[[0x0102, 0x80FF, 0xFFFF, *alpha], [0xFF00, 0x00FF, 0x7F80, *alpha]]], np.uint16)
    assert decoded(png_of_16_bits(rows, colour_type)) == [[[1, 128, 255], [255, 0, 127]]]


def test_a_sixteen_bit_tiff_in_colour_is_read() -> None:
    pixels = np.array([[[0x0102, 0x80FF, 0xFFFF]]], "<u2").tobytes()
    fields = [(256, 1), (257, 1), (259, 1), (262, 2), (273, 8), (277, 3), (278, 1), (279, 6)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields[:2])
    bits_at = 8 + len(pixels)
    entries += struct.pack("<HHII", 258, 3, 3, bits_at)
    entries += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields[2:])
    head = b"II*\0" + struct.pack("<I", bits_at + 6)
    data = head + pixels + struct.pack("<3H", 16, 16, 16) + struct.pack("<H", 9) + entries + bytes(4)
    assert decoded(data) == [[[1, 128, 255]]]


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_of_32_bits_are_refused(kind: type) -> None:
    with pytest.raises(BrokenSampleError, match="its pixels have 32 bits"):
        decode_rgb(encode(Image.fromarray(np.zeros((2, 2), kind)), "TIFF"), 100)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_several_frames_the_first_one_counts(kind: str) -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    options = {"lossless": True} if kind == "WEBP" else {}
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 2
    assert decoded(data) == [[[255, 0, 0]] * 4] * 4


def test_cmyk_becomes_rgb() -> None:
    red = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert decoded(encode(red, "TIFF"))[4][4] == [255, 0, 0]
    red_jpeg = np.array(decode_rgb(encode(red, "JPEG", quality=100), 100))
    assert np.abs(red_jpeg - np.array([255, 0, 0])).max() <= 2


def test_a_cmyk_jpeg_is_inverted_as_the_marker_of_adobe_says() -> None:
    grey = Image.new("CMYK", (8, 8), (0, 0, 0, 55))
    data = encode(grey, "JPEG", quality=100)  # Pillow stores it inverted, with the marker
    start = data.index(b"\xff\xee\x00\x0eAdobe")
    unmarked = data[:start] + data[start + 16 :]
    assert np.abs(np.array(decode_rgb(data, 100)).astype(int) - 200).max() <= 2
    # stored 255 255 255 200: full ink of every colour
    assert np.array(decode_rgb(unmarked, 100)).max() <= 2
    again = Image.eval(grey, lambda value: 255 - value)
    plain = encode(again, "JPEG", quality=100).replace(data[start : start + 16], b"")
    assert np.abs(np.array(decode_rgb(plain, 100)).astype(int) - 200).max() <= 2


def test_a_colour_profile_is_converted_to_srgb() -> None:
    half, full = round(255 * 0.2140), 255  # of the light; 0.214 is half of sRGB's range
    image = Image.new("RGB", (2, 2), (half, full, 0))
    data = encode(image, "PNG", icc_profile=linear_profile())
    assert np.abs(np.array(decode_rgb(data, 100))[0, 0].astype(int) - (128, 255, 0)).max() <= 1
    grey = encode(Image.new("L", (2, 2), half), "PNG", icc_profile=linear_profile())
    assert np.abs(np.array(decode_rgb(grey, 100))[0, 0].astype(int) - 128).max() <= 1


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk_becomes_rgb_by_its_profile(kind: str) -> None:
    grey = Image.new("CMYK", (8, 8), (0, 0, 0, 118))
    decoded = np.array(decode_rgb(encode(grey, kind, icc_profile=cmyk_profile()), 100))
    assert np.abs(decoded.astype(int) - 128).max() <= 3  # sRGB's grey of lightness 137 / 255
    coloured = encode(Image.fromarray(RGB), "PNG", icc_profile=cmyk_profile())
    assert np.array_equal(np.array(decode_rgb(coloured, 1000)), RGB)


def test_a_profile_of_greys_is_about_greys_only() -> None:
    profile = linear_profile(b"GRAY")
    half = round(255 * 0.2140)
    grey = encode(Image.new("L", (2, 2), half), "PNG", icc_profile=profile)
    assert np.abs(np.array(decode_rgb(grey, 100))[0, 0].astype(int) - 128).max() <= 1
    coloured = encode(Image.fromarray(RGB), "PNG", icc_profile=profile)
    assert np.array_equal(np.array(decode_rgb(coloured, 1000)), RGB)


@pytest.mark.parametrize(
    "profile",
    [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), linear_profile()[:200], b"x"],
)
def test_pixels_stay_if_the_profile_is_srgb_or_damaged(profile: bytes) -> None:
    data = encode(Image.fromarray(RGB), "PNG", icc_profile=profile)
    assert np.array_equal(np.array(decode_rgb(data, 1000)), RGB)
