"""Text in, images out."""

from __future__ import annotations

import copy
import hashlib
import json
import sys

import pytest
import torch
from PIL import Image

from infinity.checkpoints.io import save_pretrained, weights_sha256
from infinity.pipeline import InfinityPipeline
from infinity.sampling import SamplingConfig
from infinity.sampling.known import KnownBits
from infinity.schedules import Resolution
from infinity.seeds import image_seed
from tests.pipelines import tiny_pipeline

PROMPTS = ["a red circle", "a blue square and a much longer caption"]


def same_bits(ours, theirs):
    return all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_images_are_pil_of_the_size_of_their_aspect_ratio(pipeline):
    images = pipeline(PROMPTS, aspect_ratio=0.6).images
    assert all(isinstance(image, Image.Image) for image in images)
    assert [image.size for image in images] == [(80, 48)] * 2
    assert pipeline(PROMPTS[0], height=48, width=80).images[0].size == (80, 48)


def test_an_image_depends_on_its_own_seed_only(pipeline):
    together = pipeline(PROMPTS, seeds=[5, 6], output_type="pt")
    alone = pipeline(PROMPTS[1], seeds=[6], output_type="pt")
    other_seed = pipeline(PROMPTS[1], seeds=[7], output_type="pt")
    assert same_bits((bits[1:] for bits in together.bits), alone.bits)
    torch.testing.assert_close(together.images[1:], alone.images, rtol=0, atol=1e-4)
    assert (alone.images - other_seed.images).abs().max() > 0.01


@pytest.mark.parametrize("negative", [None, "green and a caption that is the longest of them all"])
def test_batches_of_any_size_give_the_same_bits(pipeline, negative):
    prompts = [*PROMPTS, "x"]
    draws = [
        pipeline(
            prompts,
            num_images_per_prompt=2,
            seeds=1,
            batch_size=size,
            negative_prompt=negative,
            output_type="bits",
        )
        for size in (1, 4, 6)
    ]
    assert draws[0].seeds == [image_seed(1, i, k) for i in range(3) for k in range(2)]
    assert same_bits(draws[0].bits, draws[1].bits)
    assert same_bits(draws[0].bits, draws[2].bits)


def test_a_generator_gives_seeds_that_draw_the_images_again(pipeline):
    drawn = pipeline(PROMPTS, generator=torch.Generator().manual_seed(1), output_type="bits")
    assert same_bits(drawn.bits, pipeline(PROMPTS, seeds=drawn.seeds, output_type="bits").bits)


def test_bits_are_latents_of_every_scale_and_decode_to_the_image(pipeline):
    output = pipeline(PROMPTS, seeds=3, output_type="pt")
    assert [tuple(bits.shape) for bits in output.bits] == [(2, 4, 2, 2), (2, 4, 4, 4), (2, 4, 8, 8)]
    decoded = pipeline.vae.detokenize(output.bits, pipeline.schedule())
    torch.testing.assert_close(decoded / 2 + 0.5, output.images, rtol=0, atol=1e-5)


def test_decoding_in_parts_changes_nothing(pipeline, monkeypatch):
    features = pipeline.encode(torch.rand(3, 3, 64, 64))
    whole = pipeline.decode(features)
    sizes = []
    decode = pipeline.vae.decode
    monkeypatch.setattr(pipeline.vae, "decode", lambda part: sizes.append(len(part)) or decode(part))
    monkeypatch.setattr("infinity.vae.parts._PIXELS", 2 * 64 * 64)
    torch.testing.assert_close(pipeline.decode(features), whole, rtol=0, atol=1e-5)
    assert sizes == [2, 1]


def test_the_callback_sees_every_scale_of_every_batch(pipeline):
    ends = []
    drawn = pipeline([*PROMPTS, "x"], batch_size=2, callback_on_scale_end=ends.append, output_type="bits")
    assert [(end.scale, end.images) for end in ends] == [
        (k, images) for images in (range(2), range(2, 3)) for k in range(3)
    ]
    assert torch.equal(ends[2].bits_BDHW, drawn.bits[2][:2])
    assert pipeline.decode(ends[5].features_BDHW).shape == (1, 3, 64, 64)


def test_known_bits_reach_their_images_in_every_batch(pipeline):
    source = pipeline(PROMPTS, seeds=1, output_type="bits").bits
    drawn = pipeline(PROMPTS, seeds=2, known=KnownBits(source[:2]), batch_size=1, output_type="bits").bits
    assert same_bits(drawn[:2], source[:2])
    assert not torch.equal(drawn[2], source[2])


def test_every_prompt_is_encoded_once(pipeline, monkeypatch):
    encoded = []
    encode = pipeline.text_encoder.encode
    monkeypatch.setattr(pipeline.text_encoder, "encode", lambda texts: encoded.append(texts) or encode(texts))
    pipeline(PROMPTS, num_images_per_prompt=3, batch_size=2, negative_prompt="green", output_type="bits")
    assert sorted(sum(encoded, [])) == sorted([*PROMPTS, "green"])


def test_a_negative_prompt_changes_the_image(pipeline):
    options = {"seeds": [1], "temperature": 0, "output_type": "pt"}
    plain = pipeline(PROMPTS[0], **options).images
    negative = pipeline(PROMPTS[0], negative_prompt="green", **options).images
    assert (plain - negative).abs().max() > 1e-3


def test_a_saved_pipeline_draws_the_same_images_and_keeps_what_it_records(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path / "one", extra={"step": 7})
    loaded = InfinityPipeline.from_pretrained(tmp_path / "one")
    assert loaded.resolution == pipeline.resolution
    assert loaded.extra == {"step": 7}
    ours, theirs = (pipe(PROMPTS, seeds=2, output_type="pt").images for pipe in (pipeline, loaded))
    assert torch.equal(ours, theirs)
    loaded.save_pretrained(tmp_path / "two")
    one, two = ((tmp_path / name / "transformer/config.json").read_text() for name in ("one", "two"))
    assert one == two


def test_the_tokenizers_hash_is_that_of_its_file(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    recorded = json.loads((tmp_path / "transformer/config.json").read_text())["extra"]["vae_sha256"]
    assert pipeline.vae_sha256 == weights_sha256(tmp_path / "vae") == recorded


def record(directory, key, value):
    path = directory / "transformer/config.json"
    content = json.loads(path.read_text())
    content["extra"][key] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("vae_sha256", "is not the tokenizer that"),
        ("text_fingerprint", "but the transformer was trained with"),
    ],
)
def test_parts_of_another_training_are_refused(pipeline, tmp_path, key, message):
    pipeline.save_pretrained(tmp_path)
    record(tmp_path, key, "another")
    with pytest.raises(ValueError, match=message):
        InfinityPipeline.from_pretrained(tmp_path)


def test_the_hash_of_the_tokenizers_file_names_it_too_as_older_versions_recorded_it(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    weights = (tmp_path / "vae/model.safetensors").read_bytes()
    record(tmp_path, "vae_sha256", hashlib.sha256(weights).hexdigest())
    assert InfinityPipeline.from_pretrained(tmp_path).resolution == pipeline.resolution


def test_a_tokenizer_in_shards_is_the_same_tokenizer(pipeline, tmp_path):
    pipeline.save_pretrained(tmp_path)
    save_pretrained(tmp_path / "vae", pipeline.vae, max_shard_size=10_000)
    assert not (tmp_path / "vae/model.safetensors").exists()
    assert InfinityPipeline.from_pretrained(tmp_path).vae_sha256 == pipeline.vae_sha256
    record(tmp_path, "vae_sha256", "0" * 64)
    with pytest.raises(ValueError, match="is not the tokenizer that the transformer beside it"):
        InfinityPipeline.from_pretrained(tmp_path)


def test_bfloat16_stays_close_to_autocast_and_to_float32(pipeline):
    options = {"seeds": 4, "temperature": 0.0, "output_type": "pt"}
    full = pipeline(PROMPTS, **options)
    with torch.autocast("cpu", torch.bfloat16):
        autocast = pipeline(PROMPTS, **options)
    rounded = copy.deepcopy(pipeline).to(torch.bfloat16)
    reduced = rounded(PROMPTS, **options)
    for other in (autocast, full):
        same = [(a == b).flatten() for a, b in zip(other.bits, reduced.bits, strict=True)]
        assert torch.cat(same).float().mean() > 0.9


def test_rounding_keeps_the_tokenizers_name():
    exact = tiny_pipeline()
    rounded = copy.deepcopy(exact).to(torch.bfloat16)
    assert rounded.vae_sha256 == exact.vae_sha256


def test_rounded_weights_are_neither_saved_nor_made_exact_again(pipeline, tmp_path):
    rounded = copy.deepcopy(pipeline).to(dtype=torch.bfloat16)
    with pytest.raises(ValueError, match="load the pipeline again for float32"):
        rounded.to(torch.float32)
    with pytest.raises(ValueError, match=r"save the pipeline before \.to"):
        rounded.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"must be torch.float32 or torch.bfloat16, got torch.float16"):
        rounded.to(dtype=torch.float16)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("device", ["nonsense", "cuda:99", "meta"])
def test_a_device_that_is_not_there_is_refused(pipeline, device):
    with pytest.raises(ValueError, match=f"the device '{device}' cannot be used here"):
        pipeline.to(device)


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
        ({"prompts": None}, "every prompt must be a non-empty text"),
        ({"prompts": ["a", 1]}, "every prompt must be a non-empty text"),
        ({"prompts": "a", "aspect_ratio": 2.0}, "2.0"),
        ({"prompts": "a", "seeds": [1, 2]}, "got 2 for 1 images"),
        ({"prompts": "a", "output_type": "jpg"}, "output_type must be pil, pt or bits, got 'jpg'"),
        ({"prompts": "a", "num_images_per_prompt": 0}, "must be at least 1, got 0 and 32"),
        ({"prompts": "a", "batch_size": 0}, "must be at least 1, got 1 and 0"),
        ({"prompts": "a", "negative_prompt": ["b"]}, "must be one text, for all prompts, got \\['b'\\]"),
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


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            "runs/none/export",
            "there is no directory runs/none/export: expected a saved pipeline, or a hub id",
        ),
        (
            "nobody/nothing",
            "there is no directory nobody/nothing, and the Hugging Face hub has no such model",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_refused(model, message):
    with pytest.raises(FileNotFoundError, match=message):
        InfinityPipeline.from_pretrained(model)


def test_without_the_hubs_package_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ValueError, match="needs the package huggingface_hub: pip install"):
        InfinityPipeline.from_pretrained("some/model")


def test_a_model_of_the_hub_is_read_from_its_cache(pipeline, tmp_path, monkeypatch):
    snapshot = tmp_path / "models--some--model/snapshots/1"
    pipeline.save_pretrained(snapshot)
    (tmp_path / "models--some--model/refs").mkdir()
    (tmp_path / "models--some--model/refs/main").write_text("1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert InfinityPipeline.from_pretrained("some/model").resolution == pipeline.resolution


def test_a_transformer_saved_without_its_surroundings_is_refused(pipeline, tmp_path):
    save_pretrained(tmp_path / "vae", pipeline.vae)
    save_pretrained(tmp_path / "transformer", pipeline.transformer, extra={"text": {}})
    with pytest.raises(ValueError, match="does not say resolution, sampling: .*export the model again"):
        InfinityPipeline.from_pretrained(tmp_path)
