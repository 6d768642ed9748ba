"""Redraw a part of an image, or draw what lies around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from infinity.inpainting import fill_unknown, inpaint, known_features, outpaint, place_on_canvas

PROMPT = "a red circle"


@pytest.fixture(scope="module")
def image(pipeline):
    return pipeline(PROMPT, seeds=[1]).images[0]


def box(*corners, size=(64, 64)):
    mask = Image.new("L", size)
    mask.paste(255, corners)
    return mask


def array(image):
    return np.asarray(image, dtype=int)


def test_only_the_masked_part_changes(pipeline, image):
    output = inpaint(pipeline, image, box(16, 16, 48, 48), PROMPT, seeds=2, num_images_per_prompt=2)
    for drawn in output.images:
        changed = (array(drawn) != array(image)).any(axis=2)
        assert changed[16:48, 16:48].mean() > 0.9
        changed[16:48, 16:48] = False
        assert not changed.any()
    assert not np.array_equal(*map(array, output.images))


def test_tensors_are_composed_as_pil_images_are(pipeline, image):
    mask = box(16, 16, 48, 48)
    tensor = inpaint(pipeline, image, mask, PROMPT, seeds=2, output_type="pt").images[0]
    drawn = inpaint(pipeline, image, mask, PROMPT, seeds=2).images[0]
    assert np.abs(tensor.permute(1, 2, 0).numpy() * 255 - array(drawn)).max() <= 0.51


def test_without_compositing_the_known_part_goes_through_the_tokenizer(pipeline, image):
    drawn = inpaint(pipeline, image, box(16, 16, 48, 48), PROMPT, seeds=2, composite=False).images[0]
    assert (array(drawn) != array(image)).any(axis=2)[:16].mean() > 0.5


def test_what_the_mask_hides_has_no_influence(pipeline, image):
    mask, other = box(16, 16, 48, 48), image.copy()
    other.paste((0, 255, 0), (16, 16, 48, 48))
    ours, theirs = (inpaint(pipeline, one, mask, PROMPT, seeds=2).bits for one in (image, other))
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_cell_is_known_only_if_all_its_pixels_are(pipeline, image):
    known = known_features(pipeline, image, box(15, 16, 17, 17)).known_B1HW
    stride = pipeline.vae.config.stride
    unknown = {(int(y), int(x)) for _, _, y, x in (~known).nonzero()}
    assert unknown == {(16 // stride, 15 // stride), (16 // stride, 16 // stride)}


def test_unknown_pixels_continue_the_known_ones():
    images = torch.rand(1, 3, 8, 8)
    known = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    known[..., :2] = True
    filled = fill_unknown(images, known)
    assert torch.equal(filled[..., :2], images[..., :2])
    assert filled[..., 2:].max() <= images[..., :2].max()
    torch.testing.assert_close(filled[0, :, 0, 3], images[0, :, :4, :2].mean(dim=(1, 2)))


def test_outpainting_keeps_the_image_where_it_is_put(pipeline, image):
    output = outpaint(
        pipeline,
        image,
        PROMPT,
        aspect_ratio=0.6,
        scale=1.0,
        position=(0.5, 1.0),
        seeds=3,
        num_images_per_prompt=2,
    )
    kept = array(image.resize((48, 48), Image.Resampling.BICUBIC))
    for drawn in output.images:
        assert drawn.size == (80, 48)
        assert np.array_equal(array(drawn)[:, 32:], kept)
    assert not np.array_equal(*(array(drawn)[:, :32] for drawn in output.images))


def test_the_canvas_and_its_mask_agree():
    canvas, mask = place_on_canvas(Image.new("RGB", (10, 20), "white"), (40, 80), 0.5, (0.0, 1.0))
    assert np.array_equal(array(canvas)[..., 0], 255 - array(mask))
    assert (array(mask) == 0).sum() == 20 * 10
    assert (array(mask)[:20, -10:] == 0).all()


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (box(0, 0, 8, 8, size=(64, 48)), "size of the image, 64x64, got 48x64"),
        (box(0, 0, 0, 0), "not all alike"),
        (box(0, 0, 64, 64), "not all alike"),
    ],
)
def test_a_mask_that_marks_nothing_or_does_not_fit_is_refused(pipeline, image, mask, message):
    with pytest.raises(ValueError, match=message):
        inpaint(pipeline, image, mask, PROMPT)


@pytest.mark.parametrize("options", [{"scale": 0}, {"scale": 1.5}, {"position": (0, 2)}])
def test_a_place_outside_of_the_canvas_is_refused(pipeline, image, options):
    with pytest.raises(ValueError, match=r"scale must be in \(0, 1\] and position within \[0, 1\]"):
        outpaint(pipeline, image, PROMPT, **options)


def test_an_image_that_fills_the_canvas_is_refused():
    with pytest.raises(ValueError, match=r"at scale 1 fills all of 40x80 pixels"):
        place_on_canvas(Image.new("RGB", (160, 80)), (40, 80), 1, (0.5, 0.5))
