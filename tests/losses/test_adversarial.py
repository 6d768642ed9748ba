from __future__ import annotations

import pytest
import torch
from torch import nn

from infinity.losses.adversarial import (
    LeCam,
    adaptive_weight,
    frozen_call,
    hinge_discriminator_loss,
    hinge_generator_loss,
)


def test_hinge_losses_are_their_formulas() -> None:
    real, fake = torch.tensor([2.0, 0.5]), torch.tensor([-3.0, 1.0])
    assert hinge_discriminator_loss(real, fake).item() == pytest.approx(0.5 * ((0 + 0.5) / 2 + (0 + 2) / 2))
    assert hinge_generator_loss(fake).item() == pytest.approx(1.0)


def test_a_frozen_call_gives_the_same_output_and_no_gradient_to_parameters() -> None:
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)), torch.randn(2, 3, requires_grad=True)
    output = frozen_call(net, x)
    assert torch.equal(output, net(x))
    (grad,) = torch.autograd.grad(net(x).sum(), x)
    output.sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, grad)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in net.parameters())


def test_the_adaptive_weight_is_the_ratio_of_gradient_norms() -> None:
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    reconstruction = (weight * torch.tensor([3.0, 4.0])).sum()  # gradient of norm 5
    generator = (weight * torch.tensor([0.0, 0.5])).sum()  # of norm 1 / 2
    ratio = adaptive_weight(reconstruction, generator, weight)
    assert ratio.item() == pytest.approx(10, rel=1e-3)
    assert not ratio.requires_grad
    assert adaptive_weight(reconstruction * 1e9, generator, weight).item() == 1e4, "it is bounded"


def test_lecam_means_follow_the_logits_in_training_only_and_travel_in_the_state() -> None:
    lecam = LeCam(decay=0.9)
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-4.0])
    for _ in range(2):
        lecam(real, fake)
    assert lecam.real_mean.item() == pytest.approx(2 * (1 - 0.9**2))
    assert lecam.fake_mean.item() == pytest.approx(-4 * (1 - 0.9**2))
    assert set(lecam.state_dict()) == {"real_mean", "fake_mean"}
    before = lecam.real_mean.clone()
    lecam.eval()(real + 5, fake)
    assert torch.equal(lecam.real_mean, before)


def test_lecam_penalises_the_distance_between_the_sides() -> None:
    lecam = LeCam(decay=0.9).eval()
    lecam.real_mean.fill_(1.0)
    lecam.fake_mean.fill_(-1.0)
    real, fake = torch.tensor([2.0, -2.0]), torch.tensor([0.0, 3.0])
    # real logits above the fake mean: 3 and none; fake logits below the real mean: 1 and none
    assert lecam(real, fake).item() == pytest.approx(9 / 2 + 1 / 2)
