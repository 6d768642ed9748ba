from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from infinity.quantizers import QuantizerConfig
from infinity.schedules import ScaleSchedule, build_schedule
from infinity.vae import VAE, VAEConfig
from infinity.vae.blocks import Downsample, Upsample, group_norm
from tests.tolerances import TOL


def tiny(**options: Any) -> VAE:
    defaults = {
        "quantizer": QuantizerConfig(num_bits=6),
        "base_channels": 8,
        "encoder_multipliers": (1, 3),
        "decoder_multipliers": (2, 1),
        "num_res_blocks": 1,
        "stem_patch": 2,
    }
    return VAE(VAEConfig(**(defaults | options)))


def images(height: int = 32, width: int = 32, batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, height, width) * 2 - 1


SQUARE = ScaleSchedule(((1, 1), (2, 2), (8, 8)))


@pytest.mark.parametrize("patchify", [1, 2])
@pytest.mark.parametrize("stem_patch", [1, 4])
@pytest.mark.parametrize("aspect_ratio", [1.0, 1.5, 0.5])
def test_any_aspect_ratio_is_coded_and_decoded_at_its_size(
    patchify: Any, stem_patch: int, aspect_ratio: float
) -> None:
    vae = tiny(patchify=patchify, stem_patch=stem_patch)
    schedule = build_schedule(aspect_ratio, (1, 2, 4))
    height, width = (side * vae.config.token_stride for side in schedule.final)
    output = vae(images(height, width), schedule)
    assert output.recon_B3HW.shape == (2, 3, height, width)
    cells = [(h * patchify, w * patchify) for h, w in schedule]
    assert [tuple(bits.shape) for bits in output.codes.bits] == [(2, 6, *cell) for cell in cells]


@pytest.mark.parametrize("kind", ["bsq", "lfq", "vq"])
def test_bits_alone_decode_to_the_reconstruction(kind: Any) -> None:
    vae = tiny(quantizer=QuantizerConfig(kind=kind, num_bits=6)).eval()
    x = images()
    with torch.no_grad():
        recon, codes = vae(x, SQUARE)
        torch.testing.assert_close(
            vae.detokenize(codes.bits, SQUARE), recon.clamp(-1, 1), **TOL[torch.float32]
        )
        tokenized = vae.tokenize(x, SQUARE)
    assert all(torch.equal(a, b) for a, b in zip(tokenized.bits, codes.bits, strict=True))
    assert torch.equal(tokenized.features_BDHW, codes.features_BDHW)
    assert tokenized.losses == {}, "nobody reads them, and an entropy can cost more than the rest"


def test_detokenized_images_are_clamped_and_reconstructions_are_not() -> None:
    vae = tiny()
    nn.init.constant_(vae.decoder.conv_out.bias, 3.0)  # pyright: ignore[reportArgumentType]
    recon, codes = vae(images(), SQUARE)
    assert recon.max() > 1
    assert vae.detokenize(codes.bits, SQUARE).max() == 1


def test_images_of_a_batch_do_not_see_each_other() -> None:
    vae, x = tiny().eval(), images(batch=3)
    with torch.no_grad():
        together = vae.encode(x)
        for i in range(3):
            torch.testing.assert_close(vae.encode(x[i : i + 1]), together[i : i + 1], **TOL[torch.float32])


def test_features_and_images_are_fp32_under_autocast() -> None:
    vae = tiny()
    with torch.autocast("cpu", torch.bfloat16):
        features = vae.encode(images())
        output = vae(images(), SQUARE)
    assert features.dtype == output.recon_B3HW.dtype == output.codes.features_BDHW.dtype == torch.float32


def test_with_a_stem_no_convolution_sees_the_full_resolution() -> None:
    sides: list[int] = []
    vae = tiny(stem_patch=4)
    for module in vae.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _module, _inputs, output: sides.append(output.shape[-1]))
    vae(images(), ScaleSchedule(((1, 1), (4, 4))))
    assert len(sides) > 10
    assert max(sides) == 32 // 4


def test_gradients_of_the_reconstruction_reach_every_parameter_through_the_bits() -> None:
    vae, x = tiny(), images()
    (vae(x, SQUARE).recon_B3HW - x).abs().mean().backward()
    for name, parameter in vae.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_training_lowers_the_error_of_an_image() -> None:
    torch.manual_seed(0)
    vae, x = tiny(base_channels=16), images(16, 16, batch=1)
    schedule = ScaleSchedule(((1, 1), (4, 4)))
    optimizer = torch.optim.Adam(vae.parameters(), lr=1e-2)
    errors = []
    for _ in range(30):
        optimizer.zero_grad()
        output = vae(x, schedule)
        loss = (output.recon_B3HW - x).abs().mean()
        (loss + vae.config.quantizer.weigh(output.codes.losses)).backward()
        optimizer.step()
        errors.append(loss.item())
    assert errors[-1] < 0.6 * errors[0]


def test_stochastic_scale_depth_is_drawn_from_the_generator() -> None:
    vae, x = tiny(quantizer=QuantizerConfig(num_bits=6, scale_depth_dropout=0.5)), images(batch=8)
    first, again, other = (
        vae(x, SQUARE, generator=torch.Generator().manual_seed(seed)).codes.features_BDHW
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_an_image_that_tokens_do_not_tile_is_refused() -> None:
    with pytest.raises(ValueError, match=r"multiples of 8 \(pixels per token\), got 36x32"):
        tiny(patchify=2).encode(images(36, 32))


@pytest.mark.parametrize("kind", ["bsq", "vq"])
def test_building_takes_no_memory_on_the_meta_device(kind: Any) -> None:
    with torch.device("meta"):
        vae = VAE(VAEConfig(quantizer=QuantizerConfig(kind=kind, num_bits=16)))
    assert all(parameter.is_meta for parameter in vae.parameters())


@pytest.mark.parametrize(
    ("channels", "groups"), [(128, 32), (96, 32), (48, 24), (40, 20), (8, 8), (7, 7), (37, 1)]
)
def test_group_norm_takes_32_groups_or_the_next_divisor(channels: int, groups: int) -> None:
    assert group_norm(channels).num_groups == groups


def test_down_and_up_sampling_change_the_side_by_two() -> None:
    x = torch.randn(1, 4, 6, 10)
    assert Downsample(4)(x).shape == (1, 4, 3, 5)
    assert Upsample(4)(x).shape == (1, 4, 12, 20)


def test_the_last_layer_is_the_one_that_paints() -> None:
    vae = tiny()
    recon = vae(images(), SQUARE).recon_B3HW
    (grad,) = torch.autograd.grad(recon.sum(), vae.last_layer)
    assert grad.abs().sum() > 0
    assert vae.last_layer is vae.decoder.conv_out.weight


def test_inference_in_another_layout_and_precision_stays_close() -> None:
    torch.manual_seed(0)
    vae = VAE(VAEConfig(quantizer=QuantizerConfig(num_bits=8), base_channels=32, num_res_blocks=1)).eval()
    images_B3HW = torch.rand(2, 3, 32, 32) * 2 - 1
    features_BDHW = torch.randn(2, 8, 2, 2)
    with torch.no_grad():
        encoded, decoded = vae.encode(images_B3HW), vae.decode(features_BDHW)
        fast = deepcopy(vae).for_inference()
        torch.testing.assert_close(fast.encode(images_B3HW), encoded, **TOL[torch.float32])
        torch.testing.assert_close(fast.decode(features_BDHW), decoded, **TOL[torch.float32])
        rounded = deepcopy(vae).for_inference(torch.bfloat16)
        assert rounded.decode(features_BDHW).dtype == rounded.encode(images_B3HW).dtype == torch.float32
        mse = (rounded.decode(features_BDHW) - decoded).div(2).square().mean()
        assert -10 * mse.log10() >= 45  # dB, for images in [-1, 1]
