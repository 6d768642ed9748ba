"""DINOv2 and CLIP with random weights: what the published pipelines feed them, and what is taken out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection, Dinov2Config, Dinov2Model

from evaluation.transformer_features import ClipFeatures, DinoV2Features

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}


@pytest.fixture
def dinov2(tmp_path: Path) -> Path:
    Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=2, patch_size=14, image_size=70)).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    config = CLIPVisionConfig(**SIZES, intermediate_size=32, projection_dim=8, patch_size=14, image_size=42)
    CLIPVisionModelWithProjection(config).save_pretrained(tmp_path)
    return tmp_path


def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 50, 80, 3), dtype=np.uint8)


def resized(box: tuple[int, int, int, int], size: int) -> torch.Tensor:
    pictures = [
        Image.fromarray(image).crop(box).resize((size, size), Image.Resampling.BICUBIC) for image in images()
    ]
    return torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures])).permute(0, 3, 1, 2) / 255


def test_dinov2_sees_224_pixels_with_imagenets_normalization(dinov2: Path) -> None:
    extractor = DinoV2Features(dinov2)
    mean, std = torch.tensor([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]])[..., None, None]
    pixels = (resized((0, 0, 80, 50), 224) - mean) / std
    with torch.no_grad():
        expected = extractor._net(pixel_values=pixels).last_hidden_state[:, 0]
    found = extractor(images())
    assert found.shape == (2, 16)
    np.testing.assert_allclose(found, expected.double().numpy(), rtol=1e-4, atol=1e-5)


def test_dinov2s_positions_are_interpolated_as_the_original_does(dinov2: Path) -> None:
    """Sampled at (i + 0.5) * 5 / 16.1 - 0.5, where a port that goes by size alone has 5 / 16."""
    table = Dinov2Model.from_pretrained(dinov2).embeddings.position_embeddings.detach()
    found = DinoV2Features(dinov2)._net.embeddings.position_embeddings
    assert found.shape == (1, 1 + 16 * 16, 16)
    torch.testing.assert_close(found[:, 0], table[:, 0])
    grid = found[0, 1:].unflatten(0, (16, 16)).permute(2, 0, 1)
    place = (torch.arange(16) + 0.5) * 5 / 16.1 - 0.5
    y, x = torch.meshgrid(place, place, indexing="ij")
    points = torch.stack([x, y], dim=-1)[None] * 2 / 4 - 1
    source = table[0, 1:].unflatten(0, (5, 5)).permute(2, 0, 1)[None]
    expected = F.grid_sample(source, points, mode="bicubic", padding_mode="border", align_corners=True)[0]
    torch.testing.assert_close(grid, expected, rtol=1e-3, atol=1e-5)
    by_size = F.interpolate(source, (16, 16), mode="bicubic")[0]
    assert not torch.allclose(grid, by_size, atol=1e-4)


def test_clip_sees_the_middle_square_and_gives_projected_embeddings(clip: Path) -> None:
    extractor = ClipFeatures(clip)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]
    pixels = (resized((15, 0, 65, 50), 42) - mean) / std
    with torch.no_grad():
        expected = extractor._net(pixel_values=pixels).image_embeds
    found = extractor(images())
    assert found.shape == (2, 8)
    np.testing.assert_allclose(found, expected.double().numpy(), rtol=1e-4, atol=1e-5)


def test_ids_name_the_weights_and_small_models_are_stand_ins(dinov2: Path) -> None:
    extractor = DinoV2Features(dinov2)
    assert extractor.is_stand_in
    assert extractor.id.endswith(",pil-bicubic-224")
    Dinov2Model(Dinov2Config(**SIZES, mlp_ratio=2, patch_size=14, image_size=70)).save_pretrained(dinov2)
    assert DinoV2Features(dinov2).id != extractor.id


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"holds no config\.json; clone the whole model"):
        ClipFeatures(tmp_path)
