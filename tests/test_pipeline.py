"""Text in, images out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from infinity.checkpoints.io import save_pretrained
from infinity.pipeline import InfinityPipeline, image_seed, to_uint8
from infinity.sampling import SamplingConfig
from infinity.schedules import Resolution
from tests.pipelines import tiny_pipeline

PROMPTS = ["a red circle", "a blue square and a much longer caption"]


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    return tiny_pipeline()


def test_images_are_pil_of_the_size_of_their_aspect_ratio(pipeline):
    images = pipeline(PROMPTS, aspect_ratio=0.6).images
    assert [image.size for image in images] == [(80, 48)] * 2


def test_an_image_depends_on_its_own_seed_only(pipeline):
    together = pipeline(PROMPTS, seeds=[5, 6], output_type="pt").images
    alone = pipeline(PROMPTS[1], seeds=[6], output_type="pt").images
    other_seed = pipeline(PROMPTS[1], seeds=[7], output_type="pt").images
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-4)
    assert (alone - other_seed).abs().max() > 0.01


def test_one_seed_gives_every_image_its_own_whatever_the_batch_size(pipeline):
    first = pipeline(PROMPTS[0], num_images_per_prompt=3, seeds=1, output_type="bits")
    second = pipeline(PROMPTS[0], num_images_per_prompt=3, seeds=1, output_type="bits", batch_size=2)
    assert first.seeds == [image_seed(1, i) for i in range(3)]
    assert len(set(first.seeds)) == 3
    for ours, theirs in zip(first.bits, second.bits, strict=True):
        assert torch.equal(ours, theirs)


def test_bits_are_latents_of_every_scale_and_decode_to_the_image(pipeline):
    output = pipeline(PROMPTS, seeds=3, output_type="pt")
    assert [tuple(bits.shape) for bits in output.bits] == [(2, 4, 2, 2), (2, 4, 4, 4), (2, 4, 8, 8)]
    decoded = pipeline.vae.detokenize(output.bits, pipeline.schedule())
    torch.testing.assert_close(decoded / 2 + 0.5, output.images, rtol=0, atol=1e-5)


def test_the_callback_sees_every_scale(pipeline):
    seen = []
    pipeline(
        PROMPTS,
        output_type="bits",
        callback_on_scale_end=lambda k, bits, total: seen.append((k, bits.shape[-1])),
    )
    assert seen == [(0, 2), (1, 4), (2, 8)]


def test_a_negative_prompt_changes_the_image(pipeline):
    plain = pipeline(PROMPTS[0], seeds=[1], temperature=0, output_type="pt").images
    negative = pipeline(
        PROMPTS[0], seeds=[1], temperature=0, negative_prompt="green", output_type="pt"
    ).images
    assert (plain - negative).abs().max() > 1e-3


def test_a_saved_pipeline_draws_the_same_images(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path, extra={"step": 7})
    loaded = InfinityPipeline.from_pretrained(tmp_path)
    assert loaded.resolution == pipeline.resolution
    ours, theirs = (pipe(PROMPTS, seeds=2, output_type="pt").images for pipe in (pipeline, loaded))
    assert torch.equal(ours, theirs)


def test_bfloat16_stays_close_to_float32(pipeline):
    seeds = {"seeds": 4, "temperature": 0.0, "output_type": "pt"}
    full = pipeline(PROMPTS, **seeds)
    try:
        pipeline.to(dtype=torch.bfloat16)
        reduced = pipeline(PROMPTS, **seeds)
    finally:
        pipeline.to(dtype=torch.float32)
    same = (
        torch.cat([(a == b).flatten() for a, b in zip(full.bits, reduced.bits, strict=True)]).float().mean()
    )
    assert same > 0.9


def test_settings_travel_with_the_model_and_arguments_override_them(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    loaded = InfinityPipeline.from_pretrained(tmp_path)
    assert loaded.sampling == pipeline.sampling == SamplingConfig()
    loaded.sampling = SamplingConfig(guidance=1.0, temperature=0.0)
    default = loaded(PROMPTS, seeds=1, output_type="pt").images
    explicit = pipeline(PROMPTS, seeds=2, guidance_scale=1.0, temperature=0.0, output_type="pt").images
    other = loaded(PROMPTS, seeds=1, guidance_scale=4.0, output_type="pt").images
    assert torch.equal(default, explicit)
    assert (default - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"prompts": []}, "every prompt must be a non-empty text"),
        ({"prompts": ["a", " "]}, "every prompt must be a non-empty text"),
        ({"prompts": "a", "aspect_ratio": 2.0}, "2.0"),
        ({"prompts": "a", "seeds": [1, 2]}, "got 2 for 1 images"),
        ({"prompts": "a", "temperature": (1.0, 0.5)}, "has 2 values but the schedule .* has 3 scales"),
    ],
)
def test_bad_input_is_refused(pipeline, arguments, message):
    with pytest.raises(ValueError, match=message):
        pipeline(**arguments)


def test_parts_that_do_not_fit_are_refused(pipeline):
    with pytest.raises(ValueError, match="resolution has stride 8"):
        InfinityPipeline(
            pipeline.vae,
            pipeline.transformer,
            text=pipeline.text,
            resolution=Resolution(stride=8, sides=(1, 2)),
        )


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="is no saved pipeline"):
        InfinityPipeline.from_pretrained(tmp_path)


def test_a_transformer_saved_without_its_surroundings_is_refused(pipeline, tmp_path):
    save_pretrained(tmp_path / "vae", pipeline.vae)
    save_pretrained(tmp_path / "transformer", pipeline.transformer, extra={"text": {}})
    with pytest.raises(ValueError, match="does not say resolution, sampling: .*export the model again"):
        InfinityPipeline.from_pretrained(tmp_path)


def test_quantization_to_uint8_rounds_and_clamps():
    values = torch.tensor([-0.1, 0.0, 0.499 / 255, 0.501 / 255, 1.0, 1.1]).view(1, 1, 1, 6).expand(1, 3, 1, 6)
    assert to_uint8(values)[0, 0, :, 0].tolist() == [0, 0, 0, 1, 255, 255]
    assert to_uint8(values).dtype == np.uint8
