from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.provenance import sha256_of_pixels
from evaluation.shapeseval.oracles import colour_blind, nearest_captions, retrieved_images
from evaluation.shapeseval.results import ScoredImage, ShapesEvalResult
from evaluation.shapeseval.scorer import judge
from evaluation.shapeseval.world import load_prompts
from evaluation.shard_captions import read_captioned_images, read_shard_captions


def test_the_nearest_caption_shares_most_words_in_their_order() -> None:
    captions = ["a red circle", "a blue circle", "a circle left of a square", "a square left of a circle"]
    texts = ["a red circle", "a green circle", "a square left of a cross", "a circle left of a square now"]
    assert nearest_captions(texts, captions) == [captions[0], captions[0], captions[3], captions[2]]


def test_random_colours_are_right_as_often_as_chance_says(basic) -> None:
    """One of six colours, two different ones of six: 1/6 and 1/30."""
    images = tuple(
        ScoredImage(prompt=prompt, index=0, sha256="", verdict=judge(found, prompt))
        for prompt, found in zip(basic.prompts, basic.detections, strict=True)
    )
    truth = ShapesEvalResult(knobs="basic,64px", arm="ground truth", images=images)
    right: dict[str, list[bool]] = {}
    for seed in range(60):
        painted = colour_blind(truth, basic.world, seed=seed)
        assert painted.arm == "random colours"
        for image in painted.images:
            right.setdefault(image.prompt.tag, []).append(image.verdict.correct)
    for tag, chance in (("colors", 1 / 6), ("color_attr", 1 / 30)):
        num = len(right[tag])
        assert np.mean(right[tag]) == pytest.approx(chance, abs=4 * (chance * (1 - chance) / num) ** 0.5)
    for tag in ("single_object", "two_object", "counting", "position"):
        assert np.mean(right[tag]) == 1
    assert colour_blind(truth, basic.world, seed=1) == colour_blind(truth, basic.world, seed=1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    pack_dataset(
        root, shapesworld_dataset(ShapesWorldConfig(size=32, num_train=40, num_val=1, prompts_per_task=2))
    )
    return root


def test_the_picture_of_the_nearest_caption_is_retrieved(data: Path) -> None:
    samples = list(read_captioned_images(data, "train"))
    captions = [caption for _, caption in read_shard_captions(data, "train")]
    assert [caption for *_, caption in samples] == captions
    assert len(captions) == 40
    prompts = load_prompts(data)
    found = retrieved_images(data, prompts)
    assert set(found) == {prompt.id for prompt in prompts}
    by_pixels = {sha256_of_pixels(image): caption for _, image, caption in samples}
    nearest = nearest_captions([prompt.text for prompt in prompts], captions)
    for prompt, caption in zip(prompts, nearest, strict=True):
        assert by_pixels[sha256_of_pixels(found[prompt.id])] == caption
    exact = [prompt for prompt in prompts if prompt.text in captions]
    for prompt in exact:
        assert by_pixels[sha256_of_pixels(found[prompt.id])] == prompt.text


def test_data_without_a_training_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train holds no shards; make the data set first"):
        retrieved_images(tmp_path, [])
