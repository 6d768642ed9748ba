from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from infinity.losses import LPIPS, AutoencoderLoss, AutoencoderLossConfig, DiscriminatorConfig
from infinity.losses.adversarial import hinge_generator_loss
from infinity.quantizers import QuantizerConfig
from infinity.schedules import ScaleSchedule
from infinity.types import LossTerms
from infinity.vae import VAE, VAEConfig

SCHEDULE = ScaleSchedule(((1, 1), (2, 2), (8, 8)))
NO_QUANTIZER_LOSS = {"entropy_weight": 0.0, "commitment_weight": 0.0}
SMALL = DiscriminatorConfig(channels=8, num_layers=1)


class Setup:
    """A tiny tokenizer, its loss and a batch; the same weights for the same seed, whatever the options."""

    def __init__(self, quantizer: dict[str, Any] | None = None, **loss: Any) -> None:
        config = QuantizerConfig(**({"num_bits": 6} | NO_QUANTIZER_LOSS | (quantizer or {})))
        torch.manual_seed(1)
        self.vae = VAE(
            VAEConfig(
                quantizer=config,
                base_channels=8,
                encoder_multipliers=(1, 2),
                decoder_multipliers=(1, 2),
                num_res_blocks=1,
                stem_patch=4,
            )
        )
        perceptual = LPIPS("alex") if loss.get("lpips_weight") else None
        torch.manual_seed(2)
        self.loss = AutoencoderLoss(
            AutoencoderLossConfig(**({"discriminator": SMALL} | loss)), config, perceptual
        )
        self.images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2 - 1

    def __call__(self, step: int = 100) -> LossTerms:
        output = self.vae(self.images, SCHEDULE)
        return self.loss(self.images, output, step=step, last_layer=self.vae.last_layer)

    def vae_grad(self, step: int = 100) -> Tensor:
        grads = torch.autograd.grad(self(step).total, list(self.vae.parameters()))
        return torch.cat([grad.flatten() for grad in grads])


WEIGHTS = [
    ({}, {"l1_weight": 0.5}, {"l1_weight": 0.25}, "l1"),
    ({}, {"l2_weight": 0.5}, {}, "l2"),
    ({}, {"lpips_weight": 0.5}, {}, "lpips"),
    ({}, {"gan_weight": 0.5}, {}, "generator"),
    ({"entropy_weight": 0.5, "inv_temperature": 2.0}, {}, {}, "entropy_sample"),
    ({"commitment_weight": 0.5}, {}, {}, "commitment"),
]


@pytest.mark.parametrize(
    ("quantizer", "options", "baseline", "name"), WEIGHTS, ids=[row[-1] for row in WEIGHTS]
)
def test_every_weight_moves_the_tokenizer(
    quantizer: dict[str, Any], options: dict[str, Any], baseline: dict[str, Any], name: str
) -> None:
    with_term, without = Setup(quantizer, **options), Setup(**baseline)
    difference = (with_term.vae_grad() - without.vae_grad()).norm()
    assert difference > 1e-6 * without.vae_grad().norm()
    assert name in with_term().logs


@pytest.mark.parametrize("option", ["diversity_gamma", "inv_temperature"])
@pytest.mark.parametrize("kind", ["bsq", "lfq", "vq"])
def test_every_option_of_the_entropy_penalty_moves_every_quantizer(kind: str, option: str) -> None:
    base = {"kind": kind, "entropy_weight": 1.0, "inv_temperature": 3.0, "diversity_gamma": 1.0}
    grads = [Setup(base | {option: value}).vae_grad() for value in (2.0, 4.0)]
    assert (grads[0] - grads[1]).norm() > 1e-5 * grads[0].norm()


def test_the_lecam_weight_moves_the_discriminator() -> None:
    grads = []
    for weight in (0.0, 10.0):
        setup = Setup(gan_weight=0.1, lecam_weight=weight)
        assert setup.loss.discriminator is not None
        parameters = list(setup.loss.discriminator.parameters())
        setup()  # the means leave zero
        grads.append(torch.cat([g.flatten() for g in torch.autograd.grad(setup().total, parameters)]))
    assert (grads[0] - grads[1]).norm() > 1e-3 * grads[0].norm()


def test_the_total_is_the_weighted_sum_of_what_is_logged() -> None:
    quantizer = {"entropy_weight": 0.3, "commitment_weight": 0.7, "inv_temperature": 5.0}
    setup = Setup(
        quantizer, l1_weight=0.5, l2_weight=2.0, lpips_weight=3.0, gan_weight=0.25, lecam_weight=4.0
    )
    total, logs = setup()
    entropy = 0.3 / 5 * (logs["entropy_sample"] - logs["entropy_batch"])
    expected = 0.5 * logs["l1"] + 2 * logs["l2"] + 3 * logs["lpips"] + entropy + 0.7 * logs["commitment"]
    expected += 0.25 * logs["generator"] + logs["discriminator"] + 4 * logs["lecam"]
    torch.testing.assert_close(total, expected)
    assert not any(value.requires_grad for value in logs.values())


def test_neither_side_of_the_gan_sees_the_others_gradient() -> None:
    setup = Setup(gan_weight=0.3)
    discriminator = setup.loss.discriminator
    assert discriminator is not None
    setup().total.backward()
    recon = setup.vae(setup.images, SCHEDULE).recon_B3HW
    alone = (recon - setup.images).abs().mean() + 0.3 * hinge_generator_loss(discriminator(recon))
    for parameter, grad in zip(
        setup.vae.parameters(), torch.autograd.grad(alone, list(setup.vae.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, grad)
    real, fake = discriminator(setup.images), discriminator(recon.detach())
    alone = 0.5 * ((1 - real).relu().mean() + (1 + fake).relu().mean())
    for parameter, grad in zip(
        discriminator.parameters(), torch.autograd.grad(alone, list(discriminator.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, grad)


def test_before_its_start_the_gan_is_idle_but_every_parameter_has_a_gradient() -> None:
    setup, plain = Setup(gan_weight=0.3, gan_start_step=5), Setup()
    assert setup.loss.discriminator is not None
    terms = setup(step=4)
    torch.testing.assert_close(terms.total, plain().total)
    terms.total.backward()
    grads = [parameter.grad for parameter in setup.loss.discriminator.parameters()]
    assert all(grad is not None and not grad.any() for grad in grads)
    setup(step=5).total.backward()
    assert all(p.grad is not None and p.grad.any() for p in setup.loss.discriminator.parameters())


def test_the_generators_weight_rises_linearly_after_the_start() -> None:
    config = AutoencoderLossConfig(gan_weight=0.4, gan_start_step=10, gan_warmup_steps=4)
    assert [config.generator_weight(step) for step in (0, 9, 10, 11, 13, 50)] == pytest.approx(
        [0, 0, 0.1, 0.2, 0.4, 0.4]
    )
    assert AutoencoderLossConfig(gan_weight=0.4, gan_start_step=10).generator_weight(10) == 0.4


def test_the_adaptive_weight_balances_both_gradients_at_the_last_layer() -> None:
    setup = Setup(gan_weight=0.3, gan_weighting="adaptive")
    terms = setup()
    recon = setup.vae(setup.images, SCHEDULE).recon_B3HW
    assert setup.loss.discriminator is not None
    norms = [
        torch.autograd.grad(loss, setup.vae.last_layer, retain_graph=True)[0].norm()
        for loss in ((recon - setup.images).abs().mean(), setup.loss.discriminator(recon).mean())
    ]
    expected = 0.3 * norms[0] / (norms[1] + 1e-4)
    torch.testing.assert_close(terms.logs["generator_weight"], expected.detach())
    with torch.no_grad():
        assert setup().logs["generator_weight"].item() == pytest.approx(0.3), "validation has no gradients"


def test_without_a_gan_there_is_no_discriminator() -> None:
    setup = Setup()
    assert setup.loss.discriminator is None
    assert not list(setup.loss.parameters())
    assert "discriminator" not in setup().logs


def test_the_perceptual_net_is_no_part_of_the_state_but_moves_along() -> None:
    setup = Setup(lpips_weight=1.0)
    assert not setup.loss.state_dict()
    assert not list(setup.loss.parameters())
    setup.loss.double()
    assert isinstance(setup.loss.perceptual, LPIPS)
    assert setup.loss.perceptual.shift.dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"l1_weight": -1.0}, "l1_weight must not be negative, got -1.0"),
        ({"gan_start_step": -1}, "gan_start_step must not be negative, got -1"),
        ({"l1_weight": 0.0}, "one of l1_weight, l2_weight and lpips_weight must be positive"),
        ({"lecam_weight": 0.1}, "lecam_weight 0.1 has no effect without a gan_weight"),
        ({"gan_weighting": "auto"}, "'fixed' or 'adaptive', got 'auto'"),
        ({"lpips_net": "resnet"}, "'vgg' or 'alex' or 'squeeze', got 'resnet'"),
        ({"lecam_decay": 1.0}, r"lecam_decay must be in \[0, 1\), got 1.0"),
    ],
)
def test_wrong_options_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AutoencoderLossConfig(**options)


def test_a_perceptual_weight_without_a_net_says_where_to_get_one() -> None:
    with pytest.raises(ValueError, match=r"lpips_weight 1\.0 needs a perceptual net.*load_lpips\('vgg'\)"):
        AutoencoderLoss(AutoencoderLossConfig(lpips_weight=1.0), QuantizerConfig(num_bits=4))
