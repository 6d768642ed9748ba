"""Nothing that is trained is idle: every parameter gets a gradient, from every recipe's kind of network."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from infinity.losses import AutoencoderLossConfig, DiscriminatorConfig
from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import Resolution
from infinity.text import HashingTextConfig, HashingTextEncoder
from infinity.transformer import InfinityConfig
from infinity.types import ImageTextBatch
from infinity.vae import VAE, VAEConfig
from lit_modules.ar import ARModule
from lit_modules.frozen import FrozenEncoders
from lit_modules.vae import VAEModule

RESOLUTION = Resolution(stride=8, sides=(1, 2, 4))
TEXT = HashingTextEncoder(HashingTextConfig(width=32, max_len=16))


def vae_config(kind: str = "bsq", patchify: int = 1) -> VAEConfig:
    return VAEConfig(
        quantizer=QuantizerConfig(kind=kind, num_bits=6),
        base_channels=32,
        encoder_multipliers=(1, 2),
        decoder_multipliers=(1, 2),
        num_res_blocks=1,
        stem_patch=4,
        patchify=patchify,
    )


def ar_module(*, patchify: int = 1, **options: Any) -> ARModule:
    """A transformer of a tokenizer whose token is `patchify` x `patchify` cells of 6 bits."""
    sizes = {"depth": 2, "width": 32, "num_heads": 2, "text_width": 32, "text_max_len": 16}
    config = InfinityConfig(**sizes, token_bits=6 * patchify**2, **options)
    module = ARModule(config, "unused", Resolution(stride=8 * patchify, sides=(1, 4 // patchify)))
    object.__setattr__(module, "encoders", FrozenEncoders(VAE(vae_config(patchify=patchify)), TEXT, 0))
    return module


def batch() -> ImageTextBatch:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(4, 3, 32, 32, generator=generator) * 2 - 1
    captions = ["a red circle", "two dogs", "nothing at all", "a blue square above a star"]
    return ImageTextBatch(images, captions, list("abcd"), 1.0)


def idle(module: torch.nn.Module) -> list[str]:
    return [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()]


@pytest.mark.parametrize("kind", ["bsq", "lfq", "vq"])
def test_tokenizer_and_discriminator_train_in_one_step(kind: str) -> None:
    loss = AutoencoderLossConfig(
        gan_weight=0.1, lecam_weight=0.05, discriminator=DiscriminatorConfig(channels=8, num_layers=1)
    )
    module = VAEModule(vae_config(kind), RESOLUTION, loss)
    output = module.net(batch().images_B3HW, RESOLUTION.schedule(1.0))
    terms = module.loss(batch().images_B3HW, output, step=0, last_layer=module.net.last_layer)
    terms.total.backward()
    assert idle(module) == []


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"head": "indexwise"},
        {"scale_embedding": "every_chunk", "num_chunks": 2},
        {"drop_path": 0.2},
        {"patchify": 2},
    ],
    ids=str,
)
def test_all_of_the_transformer_trains(options: dict[str, Any]) -> None:
    module = ar_module(condition_dropout=0.5, **options)
    module._objective("train", batch(), torch.Generator().manual_seed(1)).total.backward()
    assert idle(module) == []


def test_frozen_networks_are_no_part_of_the_module() -> None:
    module = ar_module()
    assert {name.split(".")[0] for name, _ in module.named_parameters()} == {"net"}
    assert all(name.startswith("net.") for name in module.state_dict())
