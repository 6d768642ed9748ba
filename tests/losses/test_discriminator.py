from __future__ import annotations

from typing import Any

import pytest
import torch

from infinity.losses.discriminator import DiscriminatorConfig, PatchDiscriminator
from tests.tolerances import TOL

NORMS = ["group", "spectral"]


def build(norm: Any = "group", num_layers: int = 2, channels: int = 8) -> PatchDiscriminator:
    return PatchDiscriminator(DiscriminatorConfig(channels=channels, num_layers=num_layers, norm=norm))


@pytest.mark.parametrize(("num_layers", "receptive_field"), [(1, 16), (2, 34), (3, 70)])
def test_a_logit_judges_a_patch_of_the_known_size(num_layers: int, receptive_field: int) -> None:
    """Without the norms, which look at the whole image."""
    net = build("spectral", num_layers).eval()
    x = torch.randn(1, 3, 128, 128, requires_grad=True)
    logits = net(x)
    (grad,) = torch.autograd.grad(logits[0, 0, logits.shape[2] // 2, logits.shape[3] // 2], x)
    rows = grad.abs().sum(dim=(0, 1, 3)).nonzero().flatten()
    assert rows[-1] - rows[0] + 1 == receptive_field


@pytest.mark.parametrize("norm", NORMS)
def test_samples_of_a_batch_do_not_see_each_other(norm: str) -> None:
    net, x = build(norm).eval(), torch.randn(3, 3, 32, 32)
    together = net(x)
    for i in range(3):
        torch.testing.assert_close(net(x[i : i + 1]), together[i : i + 1], **TOL[torch.float32])


def test_channels_double_up_to_eight_times() -> None:
    convs = [m for m in build(num_layers=5, channels=8).modules() if isinstance(m, torch.nn.Conv2d)]
    assert [conv.out_channels for conv in convs] == [8, 16, 32, 64, 64, 64, 1]


def test_spectral_norm_holds_weights_at_norm_one() -> None:
    net = build("spectral").train()
    torch.nn.init.normal_(net.layers[2].parametrizations.weight.original, std=3.0)  # pyright: ignore
    for _ in range(30):
        net(torch.randn(1, 3, 32, 32))
    weight = net.layers[2].weight.flatten(1)  # pyright: ignore
    assert torch.linalg.matrix_norm(weight, 2).item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("norm", NORMS)
def test_weights_start_as_in_pix2pix(norm: str) -> None:
    net = build(norm, channels=32)
    weights = {name: p for name, p in net.named_parameters() if p.ndim == 4}
    assert len(weights) == 4
    for name, weight in weights.items():  # under spectral norm, those that it divides
        assert weight.std().item() == pytest.approx(0.02, rel=0.1), name
    if norm == "spectral":
        normed = net.layers[2].weight.flatten(1)  # pyright: ignore
        assert torch.linalg.matrix_norm(normed, 2).item() == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers must be at least 1, got 0"),
        ({"channels": 12}, "channels must be a positive multiple of 8, got 12"),
        ({"norm": "batch"}, "norm must be 'group' or 'spectral', got 'batch'"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiscriminatorConfig(**options)


@pytest.mark.parametrize("norm", NORMS)
def test_building_takes_no_memory_on_the_meta_device(norm: str) -> None:
    with torch.device("meta"):
        net = build(norm, num_layers=3, channels=64)
    assert all(parameter.is_meta for parameter in net.parameters())
