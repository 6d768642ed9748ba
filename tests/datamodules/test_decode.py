from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from datamodules.decode import (
    BrokenSampleError,
    bucket_pixels,
    check_pixels,
    cover_crop,
    decode_rgb,
    image_size,
)
from infinity.schedules import ASPECT_RATIOS, Resolution
from tests.static.project import ROOT

RGB = np.random.default_rng(0).integers(0, 256, (12, 20, 3), np.uint8)
EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n%%EOF\n"
PAPER = Resolution(aspect_ratios=ASPECT_RATIOS)


def encode(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


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


@pytest.mark.parametrize(("width", "height"), [(384, 256), (90, 60), (1536, 1024)])
def test_resizing_is_pillows_to_a_level_or_two(width: int, height: int) -> None:
    image = photograph(width, height)
    ours = cover_crop(image, 128, 192).astype(int)
    pillows = np.asarray(image.resize((192, 128), Image.Resampling.BICUBIC))
    assert np.abs(ours - pillows).max() <= 2
    assert np.mean(ours != pillows) < 0.01


def test_resizing_is_centred() -> None:
    ramp = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None, :, None], 40, 0).repeat(3, 2)
    small = cover_crop(Image.fromarray(ramp), 10, 10).astype(int)
    assert np.abs(small + small[:, ::-1] - 255).max() <= 2


@settings(max_examples=150, deadline=None)
@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from(PAPER.aspect_ratios))
def test_every_size_can_be_cropped_to_every_ratio_of_the_paper(width: int, height: int, ratio: float) -> None:
    target = PAPER.image_size(ratio)
    assert cover_crop(Image.new("RGB", (width, height)), *target).shape == (*target, 3)


def test_nothing_beyond_the_edge_is_shown() -> None:
    # 7 * (29 / 7) is more than 29
    assert (cover_crop(Image.new("RGB", (29, 29), "white"), 7, 7) == 255).all()


@pytest.mark.parametrize("turn", [1, 2, 3, 4, 5, 6, 7, 8])
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
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
    data = encode(Image.fromarray(RGB), kind, exif=exif, lossless=True)
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


def test_images_beyond_pillows_own_limit_are_refused_with_their_cause() -> None:
    data = bytearray(encode(Image.fromarray(RGB), "BMP"))
    data[18:26] = struct.pack("<ii", 30000, 6000)  # what its header says of width and height
    for read in (lambda: image_size(io.BytesIO(data)), lambda: decode_rgb(data, 2**40)):
        with pytest.raises(BrokenSampleError, match=r"^more than \d+ pixels$"):
            read()


@pytest.mark.parametrize("data", [b"", b"nothing", EPS])
def test_damaged_images_are_broken_samples(data: bytes) -> None:
    with pytest.raises(BrokenSampleError, match="undecodable image"):
        decode_rgb(data, 1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF"])
def test_images_that_are_cut_short_are_broken_samples(kind: str) -> None:
    data = encode(Image.fromarray(RGB), kind)
    with pytest.raises(BrokenSampleError, match="undecodable image"):
        decode_rgb(data[: len(data) * 2 // 3], 1000)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_images_that_are_cut_short_behind_their_header_are_told_from_whole_ones(kind: str) -> None:
    buffer = io.BytesIO()
    Image.effect_noise((40, 30), 60).convert("RGB").save(buffer, kind)
    check_pixels(buffer.getvalue())
    cut = buffer.getvalue()[:-200]
    if kind != "WEBP":  # whose header tells how long the file has to be
        assert image_size(io.BytesIO(cut)) == (40, 30)
    with pytest.raises(BrokenSampleError, match="undecodable"):
        check_pixels(cut)


def test_large_images_are_decoded_without_pillows_warning() -> None:
    code = (
        "import io; from PIL import Image; from datamodules.decode import image_size; data = io.BytesIO(); "
        "Image.new('L', (9, 9)).save(data, 'PNG'); Image.MAX_IMAGE_PIXELS = 60; print(image_size(data))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("(9, 9)\n", "")
