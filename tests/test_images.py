"""Images as files, as PIL images and as tensors."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from infinity.images import fit_image, open_image, save_png, to_tensor, to_uint8


def test_quantization_to_uint8_rounds_and_clamps():
    values = torch.tensor([-0.1, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 1.1]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    assert to_uint8(values).dtype == np.uint8


def test_every_grey_level_survives_the_way_through_a_tensor():
    image = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).convert("RGB")
    tensor = to_tensor([image])
    assert (tensor.min(), tensor.max()) == (-1, 1)
    assert np.array_equal(to_uint8(tensor / 2 + 0.5)[0], np.asarray(image))


def test_images_of_two_sizes_make_no_batch():
    with pytest.raises(ValueError, match="must have one size, got 4x8 and 8x8"):
        to_tensor([Image.new("RGB", (8, 8)), Image.new("RGB", (8, 4))])


def test_files_are_read_as_rgb_with_transparent_parts_on_white(tmp_path):
    image = Image.new("RGBA", (2, 1), (255, 0, 0, 255))
    image.putpixel((1, 0), (0, 0, 0, 0))
    image.save(tmp_path / "a.png")
    read = open_image(tmp_path / "a.png")
    assert [read.getpixel((x, 0)) for x in (0, 1)] == [(255, 0, 0), (255, 255, 255)]


def test_greys_of_16_bits_keep_their_shade_and_32_bits_are_refused(tmp_path):
    greys = np.array([[0, 257, 0x8000, 0xFFFF]], dtype=np.uint16)
    Image.fromarray(greys).save(tmp_path / "a.png")
    assert np.asarray(open_image(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 1, 128, 255]
    Image.new("F", (2, 2), 0.5).save(tmp_path / "a.tiff")
    with pytest.raises(ValueError, match=r"a\.tiff has pixels of 32 bits, expected 8 or 16"):
        open_image(tmp_path / "a.tiff")


def test_files_that_are_no_images_are_refused(tmp_path):
    (tmp_path / "a.png").write_text("no image")
    with pytest.raises(ValueError, match=r"a\.png cannot be read as an image"):
        open_image(tmp_path / "a.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.eps")  # Pillow would run Ghostscript for it
    with pytest.raises(ValueError, match=r"a\.eps cannot be read as an image"):
        open_image(tmp_path / "a.eps")
    with pytest.raises(FileNotFoundError, match="there is no image missing.png"):
        open_image(tmp_path.__class__("missing.png"))


def test_fitting_cuts_out_the_middle():
    image = Image.new("RGB", (40, 10), "white")
    image.paste("black", (15, 0, 25, 10))
    fitted = fit_image(image, 20, 20)
    assert fitted.size == (20, 20)
    assert fitted.crop((3, 3, 17, 17)).getextrema() == ((0, 0),) * 3


def test_texts_are_kept_in_a_png_beside_the_same_pixels(tmp_path):
    image = Image.effect_noise((8, 8), 60).convert("RGB")
    texts = {"prompt": "ein Café\u2028", "rewriter": "function-1"}
    assert save_png(image, tmp_path / "a.png") != save_png(image, tmp_path / "b.png", texts)
    with Image.open(tmp_path / "b.png") as read:
        assert read.text == texts
        assert read.tobytes() == image.tobytes()
