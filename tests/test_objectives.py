"""The training objective of the transformer."""

from __future__ import annotations

import pytest
import torch

from infinity.objectives import ARObjectiveConfig, ar_objective, token_weights
from infinity.quantizers import VQ, QuantizerConfig
from infinity.self_correction import SelfCorrectionConfig, self_correct
from infinity.types import LossTerms
from tests.tolerances import TOL
from tests.transformer.tiny import SQUARE, tiny_model, tiny_text

CPU = torch.device("cpu")


def features() -> torch.Tensor:
    return torch.randn(2, 6, *SQUARE.final)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_plain_weights_count_every_token_the_same() -> None:
    assert torch.equal(token_weights(SQUARE, "none", CPU), torch.full((21,), 1 / 21))


def test_square_root_weights_give_a_scale_the_root_of_its_area() -> None:
    weights = token_weights(SQUARE, "sqrt_area", CPU)
    per_scale = torch.stack([weights[tokens].sum() for tokens in SQUARE.slices])
    torch.testing.assert_close(per_scale, torch.tensor([1.0, 2, 4]) / 7, **TOL[torch.float32])
    assert len({weights[tokens].unique().numel() for tokens in SQUARE.slices}) == 1


@pytest.mark.parametrize("weighting", ["none", "sqrt_area"])
def test_the_loss_is_the_weighted_mean_of_the_bits_cross_entropy(weighting: str) -> None:
    model, z, text = tiny_model(), features(), tiny_text()
    config = ARObjectiveConfig(loss_weighting=weighting)
    terms = ar_objective(model, z, text, SQUARE, config=config, generator=None)
    forcing = self_correct(z, SQUARE, SelfCorrectionConfig(mode="off"))
    p_one = model(forcing.inputs_BLD, text, SQUARE).double().sigmoid()
    nll = -torch.where(forcing.labels_BLD, p_one, 1 - p_one).log()
    weights = token_weights(SQUARE, config.loss_weighting, CPU)
    expected = (nll.mean(-1) * weights).sum(-1).mean()
    assert terms.total.item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms.logs["bit_ce"].item() == pytest.approx(nll.mean().item(), rel=1e-5)


def test_accuracies_are_logged_per_scale_and_per_bit() -> None:
    model, z, text = tiny_model(), features(), tiny_text()
    logs = ar_objective(model, z, text, SQUARE, config=ARObjectiveConfig(), generator=None).logs
    forcing = self_correct(z, SQUARE, SelfCorrectionConfig(mode="off"))
    right = (model(forcing.inputs_BLD, text, SQUARE) > 0) == forcing.labels_BLD
    expected = {"bit_accuracy": right}
    expected |= {f"bit_accuracy/scale_{k + 1:02}": right[:, s] for k, s in enumerate(SQUARE.slices)}
    expected |= {f"bit_accuracy/bit_{d:02}": right[..., d] for d in range(6)}
    assert logs.keys() == expected.keys() | {"bit_ce"}
    for name, bits in expected.items():
        assert logs[name].item() == pytest.approx(bits.float().mean().item(), abs=1e-6), name
        assert not logs[name].requires_grad
        assert logs[name].shape == ()


def test_details_can_be_left_out_of_the_logs() -> None:
    logs = ar_objective(
        tiny_model(),
        features(),
        tiny_text(),
        SQUARE,
        config=ARObjectiveConfig(),
        generator=None,
        detailed_logs=False,
    ).logs
    assert logs.keys() == {"bit_ce", "bit_accuracy"}


def test_without_a_generator_nothing_is_random() -> None:
    model = tiny_model(condition_dropout=0.9, drop_path=0.9)
    z, text = features(), tiny_text()
    config = ARObjectiveConfig(self_correction=SelfCorrectionConfig(mode="full", max_flip=0.5))
    plain = ARObjectiveConfig(self_correction=SelfCorrectionConfig(mode="off"))
    first, second = (ar_objective(model, z, text, SQUARE, config=c, generator=None) for c in (config, plain))
    assert torch.equal(first.total, second.total)


def loss_of(generator: torch.Generator, mode: str = "off", **options: float) -> LossTerms:
    torch.manual_seed(0)
    model = tiny_model(**{"condition_dropout": 0.0, **options}).train()
    config = ARObjectiveConfig(self_correction=SelfCorrectionConfig(mode=mode))
    return ar_objective(model, features(), tiny_text(), SQUARE, config=config, generator=generator)


@pytest.mark.parametrize(
    ("mode", "options"),
    [("full", {}), ("flip_only", {}), ("off", {"condition_dropout": 0.5}), ("off", {"drop_path": 0.5})],
)
def test_the_generator_decides_flips_dropped_conditions_and_depth(
    mode: str, options: dict[str, float]
) -> None:
    losses = [loss_of(seeded(seed), mode, **options).total.item() for seed in (0, 0, 1, 2, 3)]
    assert losses[0] == losses[1]
    assert len(set(losses)) > 2


def test_with_everything_off_the_generator_has_no_effect() -> None:
    assert torch.equal(loss_of(seeded(0)).total, loss_of(seeded(1)).total)


def test_a_model_that_is_evaluated_sees_flips_but_neither_drops_nor_shallow_depth() -> None:
    model, z, text = tiny_model(condition_dropout=0.9, drop_path=0.9), features(), tiny_text((8, 8))
    losses = {}
    for mode in ("off", "full"):
        config = ARObjectiveConfig(self_correction=SelfCorrectionConfig(mode=mode))
        losses[mode] = ar_objective(model, z, text, SQUARE, config=config, generator=seeded()).total
    alone = ar_objective(model, z, text, SQUARE, config=ARObjectiveConfig(), generator=None).total
    assert torch.equal(losses["off"], alone)
    assert not torch.equal(losses["full"], alone)


def test_every_parameter_is_used_in_every_step() -> None:
    model = tiny_model(max_scales=3).train()
    terms = ar_objective(
        model, features(), tiny_text((8, 8)), SQUARE, config=ARObjectiveConfig(), generator=seeded()
    )
    terms.total.backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []


def test_codes_of_a_learned_code_book_are_the_inputs() -> None:
    quantizer = VQ(QuantizerConfig(kind="vq", num_bits=6))
    model = tiny_model(head="indexwise")
    z, text = features(), tiny_text()
    config = ARObjectiveConfig(self_correction=SelfCorrectionConfig(mode="off"))
    with torch.no_grad():
        ours = ar_objective(model, z, text, SQUARE, config=config, generator=None, quantizer=quantizer)
        signs = ar_objective(model, z, text, SQUARE, config=config, generator=None)
        forcing = self_correct(z, SQUARE, config.self_correction, quantizer=quantizer)
        first = quantizer(z.mean((2, 3), keepdim=True))
    assert torch.equal(forcing.labels_BLD[:, 0], first.bits_BDHW[:, :, 0, 0])
    torch.testing.assert_close(forcing.inputs_BLD[:, 0], first.codes_BDHW[:, :, 0, 0], **TOL[torch.float32])
    assert not torch.allclose(ours.total, signs.total)


def test_patches_of_latent_cells_are_the_tokens() -> None:
    model, text, z = tiny_model(token_bits=24), tiny_text(), torch.randn(2, 6, *SQUARE.latent(2).final)
    config = ARObjectiveConfig()
    terms = ar_objective(model, z, text, SQUARE, config=config, generator=None, patchify=2)
    forcing = self_correct(z, SQUARE, SelfCorrectionConfig(mode="off"), patchify=2)
    expected = model.head.loss(model(forcing.inputs_BLD, text, SQUARE), forcing.labels_BLD).mean()
    torch.testing.assert_close(terms.total, expected, **TOL[torch.float32])
