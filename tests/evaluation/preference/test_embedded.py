"""The stand-in for CLIPScore, trained for real on a small data set."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.packing import pack_dataset
from datamodules.shapesworld.dataset import ShapesWorldConfig, shapesworld_dataset
from evaluation.image_folders import write_image
from evaluation.preference.captioned import captioned_images
from evaluation.preference.embedded import EmbeddedScorer, train_towers
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.tasks.registry import build_task
from evaluation.weights import WeightFinder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("captioned")
    config = ShapesWorldConfig(tier="basic", size=64, num_train=96, num_val=24, prompts_per_task=1)
    pack_dataset(root, shapesworld_dataset(config))
    return root


def held_out_samples(data: Path, folder: Path, *, shift: int) -> list[EvalSample]:
    """Images with their captions, or with those of images further on."""
    pairs = list(captioned_images(data, "val", 24))
    samples = []
    for number, (image, _) in enumerate(pairs):
        path = folder / f"{shift}-{number}.png"
        write_image(path, image)
        prompt = EvalPrompt(id=f"{shift}-{number}", text=pairs[(number + shift) % len(pairs)][1])
        samples.append(EvalSample(prompt=prompt, index=0, path=path, sha256="", seed=0))
    return samples


def test_right_captions_score_higher_under_a_name_of_its_own(data: Path, tmp_path: Path) -> None:
    samples = [*held_out_samples(data, tmp_path, shift=0), *held_out_samples(data, tmp_path, shift=5)]
    score = build_task("clipscore-embedded").score(samples, EvalContext(weights=WeightFinder(), data=data))
    values = [row["score"] for row in score.rows]
    assert np.mean(values[:24]) > np.mean(values[24:]) + 0.05
    assert score.metrics[0].id.startswith("clipscore_embedded[cos,effnet-lite0@64,hashing-")
    assert "is a stand-in trained on the data's captions" in score.caveats[0]


def test_it_needs_data() -> None:
    with pytest.raises(ValueError, match="name one with --data"):
        build_task("clipscore-embedded").score([], EvalContext(weights=WeightFinder()))


def test_it_needs_captions_of_both_splits(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="train holds no shards"):
        EmbeddedScorer(tmp_path)
    (tmp_path / "train").symlink_to(data / "train")
    with pytest.raises(ValueError, match="val holds no shards"):
        EmbeddedScorer(tmp_path)


def test_towers_learn_a_linear_relation_and_repeat_by_seed() -> None:
    generator = torch.Generator().manual_seed(0)
    meanings = torch.randn(200, 6, generator=generator)
    images, texts = (meanings @ torch.randn(6, width, generator=generator) for width in (40, 24))
    captions = [str(number) for number in range(200)]
    towers = train_towers(images[:150], texts[:150], captions[:150], seed=1, num_steps=60)
    cosines = towers.image(images[150:]) @ towers.text(texts[150:]).T
    assert (cosines.argmax(dim=1) == torch.arange(50)).float().mean() > 0.9  # of pairs never seen
    again = train_towers(images[:150], texts[:150], captions[:150], seed=1, num_steps=60)
    assert torch.equal(again.image.head.weight, towers.image.head.weight)
    other = train_towers(images[:150], texts[:150], captions[:150], seed=2, num_steps=60)
    assert not torch.equal(other.image.head.weight, towers.image.head.weight)


def test_images_of_one_caption_are_right_answers_for_each_other() -> None:
    generator = torch.Generator().manual_seed(0)
    meanings = torch.randn(4, 6, generator=generator).repeat(40, 1)
    images = meanings + 0.1 * torch.randn(160, 6, generator=generator)
    towers = train_towers(images, meanings, [str(number % 4) for number in range(160)], num_steps=60)
    cosines = towers.image(images) @ towers.text(meanings[:4]).T
    assert (cosines.argmax(dim=1) == torch.arange(160) % 4).all()


def test_captioned_images_come_with_their_captions(data: Path) -> None:
    pairs = list(captioned_images(data, "val", 5))
    assert len(pairs) == 5
    assert all(image.dtype == np.uint8 and image.shape[2] == 3 and caption for image, caption in pairs)
    assert {caption for _, caption in pairs} != {pairs[0][1]}
