"""Images through their bits, partial images, variations and edits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infinity.editing import coarse_to_fine, load_bits, reconstruct, reconstruct_bits, redraw, save_bits
from infinity.images import to_tensor
from tests.pipelines import tiny_pipeline


@pytest.fixture(scope="module")
def source(pipeline):
    return pipeline("a red circle", seeds=[1], aspect_ratio=0.6)


def same_image(ours, theirs, tolerance=1):
    """Equal up to rounding: a pixel may lie between two grey levels."""
    return np.abs(np.asarray(ours, dtype=int) - np.asarray(theirs, dtype=int)).max() <= tolerance


def test_a_reconstruction_is_what_the_tokenizer_makes_of_an_image(pipeline, source):
    output = reconstruct(pipeline, source.images)
    codes = pipeline.vae.tokenize(to_tensor(source.images), pipeline.schedule(0.6))
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(output.bits, codes.bits, strict=True))
    assert same_image(output.images[0], reconstruct_bits(pipeline, output.bits)[0])


def test_images_of_another_size_are_refused(pipeline, source):
    with pytest.raises(ValueError, match=r"no images of 10x20 \(height x width\), but of 48x80, 64x64"):
        reconstruct(pipeline, [source.images[0].resize((20, 10))])


def test_a_drawn_image_is_what_its_bits_amount_to(pipeline, source):
    assert same_image(reconstruct_bits(pipeline, source.bits)[0], source.images[0])


def test_partial_images_are_those_that_the_callback_sees(pipeline):
    ends = []
    drawn = pipeline(["a", "b"], seeds=2, output_type="bits", callback_on_scale_end=ends.append)
    stages = coarse_to_fine(pipeline, drawn.bits)
    assert [len(stage) for stage in stages] == [2, 2, 2]
    for stage, end in zip(stages, ends, strict=True):
        seen = pipeline.decode(end.features_BDHW).mul(255).round()
        assert np.abs(np.asarray(stage[1], dtype=int) - seen[1].permute(1, 2, 0).numpy()).max() <= 1


@pytest.mark.parametrize("keep_scales", [0, 1, 2, 3])
def test_redrawing_keeps_the_first_scales_and_draws_the_rest(pipeline, source, keep_scales):
    drawn = redraw(
        pipeline, source.bits, "a red circle", keep_scales=keep_scales, num_images_per_prompt=2, seeds=9
    )
    for k, bits in enumerate(drawn.bits):
        kept = [torch.equal(image, source.bits[k][0]) for image in bits]
        assert kept == [k < keep_scales] * 2, f"scale {k + 1}"
    assert [image.size for image in drawn.images] == [(80, 48)] * 2


def test_redrawing_with_the_same_prompt_and_seed_gives_the_same_image(pipeline):
    options = {"seeds": [1], "guidance_scale": 20, "output_type": "bits"}
    source = pipeline("a red circle", **options).bits
    again = redraw(pipeline, source, "a red circle", keep_scales=1, **options).bits
    other = redraw(pipeline, source, "two blue squares", keep_scales=1, **options).bits
    assert torch.equal(again[2], source[2])
    assert not torch.equal(other[2], source[2])


def test_images_may_be_redrawn_each_from_its_own(pipeline):
    source = pipeline(["a", "b"], seeds=1, output_type="bits").bits
    drawn = redraw(pipeline, source, ["c", "d"], keep_scales=2, seeds=2, batch_size=1, output_type="bits")
    assert torch.equal(drawn.bits[1], source[1])


@pytest.mark.parametrize("keep_scales", [-1, 4])
def test_more_scales_than_there_are_cannot_be_kept(pipeline, source, keep_scales):
    with pytest.raises(ValueError, match=r"keep_scales must be in \[0, 3\]"):
        redraw(pipeline, source.bits, "a", keep_scales=keep_scales)


def test_an_image_is_stored_as_its_bits_and_comes_back(pipeline, source, tmp_path):
    save_bits(pipeline, source.bits, tmp_path / "a.bits")
    bits = load_bits(pipeline, tmp_path / "a.bits")
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(bits, source.bits, strict=True))
    assert (tmp_path / "a.bits").stat().st_size < 140


def test_bits_of_another_tokenizer_are_refused(pipeline, source, tmp_path):
    torch.manual_seed(1)
    other = tiny_pipeline()
    save_bits(other, source.bits, tmp_path / "a.bits")
    with pytest.raises(ValueError, match="written with another tokenizer"):
        load_bits(pipeline, tmp_path / "a.bits")


def test_bits_of_several_images_are_not_left_out_in_silence(pipeline):
    source = pipeline(["a", "b", "c"], seeds=1, output_type="bits").bits
    with pytest.raises(ValueError, match="or of as many as are drawn: got 3 for 2"):
        redraw(pipeline, source, "d", keep_scales=2, num_images_per_prompt=2)


def test_cells_of_another_size_are_refused(pipeline, source, tmp_path):
    save_bits(pipeline, [scale[:, :3] for scale in source.bits], tmp_path / "a.bits")
    with pytest.raises(ValueError, match=r"damaged: its cells have 3 bits, its tokenizer's have 4"):
        load_bits(pipeline, tmp_path / "a.bits")


def test_bits_of_no_size_of_the_model_are_not_decoded(pipeline, source, tmp_path):
    larger = [scale.repeat(1, 1, 4, 4) for scale in source.bits]
    save_bits(pipeline, larger, tmp_path / "a.bits")
    with pytest.raises(ValueError, match=r"holds scales of 8x8, 16x16, 24x40 cells, which is no image size"):
        load_bits(pipeline, tmp_path / "a.bits")
