from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, PngImagePlugin

from datamodules.decode import BrokenSampleError, bucket_pixels, cover_crop, decode_rgb, image_size
from infinity.schedules import ASPECT_RATIOS, Resolution

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
PAPER = Resolution(aspect_ratios=ASPECT_RATIOS)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


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


def linear_profile() -> bytes:
    """An ICC profile with sRGB's colours, but light itself instead of its curve."""
    primaries = {"r": (0.4360, 0.2225, 0.0139), "g": (0.3851, 0.7169, 0.0971), "b": (0.1431, 0.0606, 0.7139)}
    white = (0.9642, 1.0, 0.8249)

    def xyz(values: tuple[float, ...]) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(value * 65536) for value in values))

    text = b"desc\0\0\0\0" + struct.pack(">I", 7) + b"linear\0" + bytes(78)
    tags = {b"desc": text + bytes(-len(text) % 4), b"cprt": b"text\0\0\0\0none", b"wtpt": xyz(white)}
    for name, values in primaries.items():
        tags[f"{name}XYZ".encode()] = xyz(values)
        tags[f"{name}TRC".encode()] = b"curv" + bytes(8)
    table, body, start = b"", b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    illuminant = xyz(white)[8:]
    head = struct.pack(
        ">I4sI4s4s4s12s4s",
        start + len(body),
        b"none",
        0x02400000,
        b"mntr",
        b"RGB ",
        b"XYZ ",
        struct.pack(">6H", 2000, 1, 1, 0, 0, 0),
        b"acsp",
    )
    head += bytes(28) + illuminant
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def photograph(width: int, height: int) -> Image.Image:
    """Something between a photograph and a drawing: smooth shades with edges at random places."""
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (9, 12, 3), np.uint8))
    image = small.resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(60):
        x, y = rng.integers(0, width), rng.integers(0, height)
        colour = tuple(rng.integers(0, 256, 3).tolist())
        draw.ellipse((int(x), int(y), int(x) + width // 9, int(y) + height // 12), colour)
    return image


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


@pytest.mark.parametrize(
    "profile",
    [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), linear_profile()[:200], b"x"],
)
def test_pixels_stay_if_the_profile_is_srgb_or_damaged(profile: bytes) -> None:
    data = encode(Image.fromarray(RGB), "PNG", icc_profile=profile)
    assert np.array_equal(np.array(decode_rgb(data, 1000)), RGB)


@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_orientation_is_applied_to_pixels_and_size(kind: str, turn: int) -> None:
    shown = {
        1: RGB,
        2: RGB[:, ::-1],
        3: RGB[::-1, ::-1],
        4: RGB[::-1],
        5: RGB.swapaxes(0, 1),
        6: np.rot90(RGB, -1),
        7: RGB[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(RGB),
    }[turn]
    exif = Image.Exif()
    exif[0x0112] = turn
    data = encode(Image.fromarray(RGB), kind, exif=exif)
    assert image_size(io.BytesIO(data)) == shown.shape[1::-1]
    assert np.array_equal(np.array(decode_rgb(data, 1000)), shown)


def test_a_jpeg_is_decoded_smaller_but_at_least_twice_as_large_as_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    resized = []
    monkeypatch.setattr("datamodules.decode.cover_crop", lambda image, *_: resized.append(image.size))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown as 800 x 1200
    data = encode(photograph(1200, 800), "JPEG", quality=95, exif=exif)
    for target, size in {
        (1200, 800): (800, 1200),
        (2400, 1600): (800, 1200),
        (301, 200): (800, 1200),
        (300, 200): (400, 600),
        (300, 400): (800, 1200),
        (100, 100): (200, 300),
        (10, 10): (100, 150),
    }.items():
        bucket_pixels(data, *target, 10**6)
        assert resized.pop() == size, target


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("shape", [(1200, 800), (1201, 801), (1207, 807)])
def test_decoding_smaller_changes_little(shape: tuple[int, int], orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(photograph(*shape), "JPEG", quality=95, exif=exif)
    for side in (48, 100, 200):
        whole = cover_crop(decode_rgb(data, 10**6), side, side).astype(float)
        part = bucket_pixels(data, side, side, 10**6)
        assert np.array_equal(whole, part) == (orientation == 6 and shape != (1200, 800))
        assert np.mean((whole - part) ** 2) < 255**2 / 10**4.7  # 47 dB: the drawing has hard edges


def test_the_size_of_a_png_needs_no_pixels() -> None:
    assert image_size(io.BytesIO(encode(Image.fromarray(RGB), "PNG")[:60])) == (20, 12)


def test_formats_that_run_other_programs_have_no_size() -> None:
    with pytest.raises(BrokenSampleError, match="unreadable image header"):
        image_size(io.BytesIO(EPS))


def test_large_images_are_refused_by_their_header() -> None:
    data = encode(Image.fromarray(RGB), "PNG")
    with pytest.raises(BrokenSampleError, match="20x12 is more than max_pixels = 239"):
        decode_rgb(data[:60], 239)  # no pixel of it is there


@pytest.mark.parametrize("data", [b"", b"nothing", EPS])
def test_damaged_images_are_broken_samples(data: bytes) -> None:
    with pytest.raises(BrokenSampleError, match="undecodable image"):
        decode_rgb(data, 1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_images_that_are_cut_short_are_broken_samples(kind: str) -> None:
    data = encode(Image.fromarray(RGB), kind)
    with pytest.raises(BrokenSampleError, match="undecodable image"):
        decode_rgb(data[: len(data) * 2 // 3], 1000)
