from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torchmetrics.functional.image.lpips import _LPIPS

from infinity.losses.perceptual import LPIPS, TRUNK_FILES, LpipsNet, load_lpips
from tests.tolerances import TOL


def images(batch: int = 2, side: int = 64) -> torch.Tensor:
    return torch.rand(batch, 3, side, side) * 2 - 1


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty torch hub folder."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


def write_random_trunk(folder: Path, net: LpipsNet = "alex") -> LPIPS:
    """A file with torchvision's keys, as a trunk's would be; returns the trunk that it holds."""
    lpips = LPIPS(net)
    trunk = {
        "features." + key.split(".", 2)[2]: value
        for key, value in lpips.state_dict().items()
        if key.startswith("stages.")
    }
    torch.save(trunk | {"classifier.1.weight": torch.zeros(1)}, folder / TRUNK_FILES[net])
    return lpips


@pytest.mark.parametrize(("net", "builder"), [("vgg", "vgg16"), ("alex", "alexnet")])
def test_the_trunk_has_torchvisions_layers(net: Any, builder: str) -> None:
    with torch.device("meta"):
        ours, theirs = LPIPS(net), getattr(torchvision.models, builder)(weights=None).features
    layers = {
        name.split(".")[1]: layer for name, layer in ours.stages.named_modules() if name.count(".") == 1
    }
    for number, layer in layers.items():
        expected = theirs[int(number)]
        assert type(layer) is type(expected)
        assert layer.extra_repr().replace("inplace=True", "") == expected.extra_repr().replace(
            "inplace=True", ""
        )
    assert len(layers) >= len(theirs) - 1, "only the last pooling is left out"


@pytest.mark.parametrize("net", ["alex", "squeeze"])
def test_the_distance_is_torchmetrics_with_the_same_weights(hub: Path, net: LpipsNet) -> None:
    write_random_trunk(hub, net)
    ours, theirs = load_lpips(net), _LPIPS(net=net, pnet_rand=True)
    trunk = {
        key.split(".", 2)[2]: value for key, value in ours.state_dict().items() if key.startswith("stages.")
    }
    for name, parameter in theirs.net.named_parameters():  # slice3.6.weight, or slices.2.6.squeeze.weight
        parameter.data.copy_(trunk[re.sub(r"^slice(\d|s\.\d)\.", "", name)])
    x, y = images(), images()
    torch.testing.assert_close(ours(x, y), theirs(x, y).flatten(), **TOL[torch.float32])


def test_squeezenets_names_and_shapes_are_torchvisions() -> None:
    with torch.device("meta"):
        ours, theirs = LPIPS("squeeze"), torchvision.models.squeezenet1_1(weights=None).features
    found = {
        key.split(".", 2)[2]: value.shape
        for key, value in ours.state_dict().items()
        if key.startswith("stages.")
    }
    assert found == {key: value.shape for key, value in theirs.state_dict().items()}


def test_the_distance_is_zero_for_equal_images_and_grows_with_noise() -> None:
    torch.manual_seed(0)
    lpips, x, noise = LPIPS("alex"), images(), torch.randn(2, 3, 64, 64)
    near, far = lpips(x + 0.05 * noise, x), lpips(x + 0.5 * noise, x)
    assert lpips(x, x).abs().max() == 0
    assert (near > 0).all()
    assert (far > near).all()


def test_gradients_reach_the_image_only_and_stay_finite_on_a_flat_one() -> None:
    lpips = LPIPS("alex")
    x, y = torch.zeros(1, 3, 64, 64, requires_grad=True), images(1).requires_grad_()
    lpips(x, y).sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.abs().sum() > 0
    assert y.grad is None
    assert not any(parameter.requires_grad for parameter in lpips.parameters())


def test_weights_are_read_from_torch_hubs_folder(hub: Path) -> None:
    written, read = write_random_trunk(hub), load_lpips("alex")
    assert torch.equal(read.stages[0][0].weight, written.stages[0][0].weight)  # pyright: ignore[reportIndexIssue]
    assert not torch.equal(read.channel_weights[0], written.channel_weights[0]), "torchmetrics' are learned"
    assert not any(
        tensor.is_meta or tensor.requires_grad for tensor in read.state_dict(keep_vars=True).values()
    )


def test_a_missing_file_is_named_with_its_place(hub: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"vgg16-397923af\.pth in .*checkpoints.*lpips_weight to 0"):
        load_lpips("vgg")
