"""Steps of published networks: with weights of the published names and shapes, but random values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision import transforms

from datamodules.curation.model_steps import Aesthetic, Watermark
from datamodules.decode import BrokenSampleError
from datamodules.sample_files import SampleFiles
from tests.datamodules.drawn import damaged, texture, write_split
from tests.tolerances import TOL

WIDTH = 16


@pytest.fixture
def files(tmp_path: Path) -> SampleFiles:
    broken = damaged(texture(2))
    samples = [("a", texture(0, 90, 60), "x"), ("b", broken, "x"), ("c", texture(1, 50, 70), "x")]
    return SampleFiles(write_split(tmp_path / "split", samples))


def test_watermark_scores_are_the_published_networks_probability_of_its_first_class(
    files: SampleFiles, tmp_path: Path
) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    network = timm.create_model("efficientnet_b3", num_classes=2)
    layers = [nn.Linear(1536, 625), nn.ReLU(), nn.Dropout(0.3), nn.Linear(625, 256), nn.ReLU()]
    layers.append(nn.Linear(256, 2))
    network.classifier = nn.Sequential(*layers)
    nn.init.normal_(layers[-1].weight, std=3.0)  # type: ignore[arg-type]
    torch.save(network.state_dict(), tmp_path / "watermark.pt")
    step = Watermark(network_weights=str(tmp_path / "watermark.pt"), device="cpu")
    assert not step.missing()
    first, broken, last = step.scores(files[number] for number in range(3))
    assert isinstance(broken, BrokenSampleError)
    prepare = transforms.Compose(
        [
            transforms.Resize((256, 256)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    with torch.inference_mode():
        batch = torch.stack([prepare(files[number].image) for number in (0, 2)])
        expected = network.eval()(batch).softmax(1)[:, 0]
    torch.testing.assert_close(torch.tensor([first, last]), expected, **TOL[torch.float32])


def test_aesthetic_scores_are_the_published_head_on_unit_clip_embeddings(
    files: SampleFiles, tmp_path: Path
) -> None:
    open_clip = pytest.importorskip("open_clip", reason="open_clip is not installed")
    config = {
        "embed_dim": WIDTH,
        "quick_gelu": True,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 32, "width": 64, "heads": 1, "layers": 1},
    }
    (tmp_path / "tiny-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    clip, _, prepare = open_clip.create_model_and_transforms("tiny-clip")
    torch.save(clip.state_dict(), tmp_path / "clip.pt")
    sizes = (WIDTH, 1024, 128, 64, 16, 1)
    layers = [nn.Linear(before, after) for before, after in zip(sizes, sizes[1:], strict=False)]
    published = zip((0, 2, 4, 6, 7), layers, strict=True)
    state = {
        f"layers.{name}.{key}": value
        for name, layer in published
        for key, value in layer.state_dict().items()
    }
    torch.save(state, tmp_path / "head.pth")
    paths = {"clip_weights": str(tmp_path / "clip.pt"), "head_weights": str(tmp_path / "head.pth")}
    step = Aesthetic(**paths, clip_model="tiny-clip", device="cpu")
    first, broken, last = step.scores(files[number] for number in range(3))
    assert isinstance(broken, BrokenSampleError)
    with torch.inference_mode():
        images = torch.stack([prepare(files[number].image) for number in (0, 2)])  # type: ignore[operator]
        embeddings = clip.eval().encode_image(images)
        expected = embeddings / embeddings.norm(dim=-1, keepdim=True)
        for layer in layers:
            expected = layer(expected)
    assert first != last
    torch.testing.assert_close(torch.tensor([[first], [last]]), expected, **TOL[torch.float32])
