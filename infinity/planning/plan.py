"""What one model costs at one image size, run in one way."""

from __future__ import annotations

from typing import NamedTuple

from infinity.planning.memory import DrawingMemory, TrainingMemory, drawing_memory, training_memory
from infinity.planning.options import PlanOptions
from infinity.planning.tokenizer import tokenizer_parameters
from infinity.quantizers.config import QuantizerConfig
from infinity.schedules import ScaleSchedule
from infinity.transformer.config import InfinityConfig
from infinity.transformer.flops import (
    block_parameters,
    classifier_parameters,
    num_parameters,
    sampling_flops,
    training_flops,
)
from infinity.vae.config import VAEConfig
from infinity.vae.flops import vae_decoding_flops, vae_encoding_flops

__all__ = ["ImageFlops", "Parameters", "Plan", "make_plan", "paper_tokenizer"]

_PATCHIFIED_BITS = 56


class Parameters(NamedTuple):
    """Numbers of parameters."""

    transformer: int
    blocks: int  # of these
    classifier: int  # of these
    tokenizer: int


class ImageFlops(NamedTuple):
    """Floating-point operations per image."""

    training: int  # transformer, forward and backward
    encoding: int  # tokenizer, before a training step
    drawing: int  # transformer, all scales, with guidance where there is any
    decoding: int  # tokenizer, after drawing


class Plan(NamedTuple):
    """What a model costs."""

    image_size: tuple[int, int]
    num_tokens: int
    parameters: Parameters
    flops: ImageFlops
    training: TrainingMemory
    drawing: DrawingMemory


def make_plan(config: InfinityConfig, vae: VAEConfig, schedule: ScaleSchedule, options: PlanOptions) -> Plan:
    """Plan a transformer with its tokenizer.

    Args:
        schedule: in tokens.
    """
    if vae.token_bits != config.token_bits:
        raise ValueError(
            f"the tokenizer has {vae.token_bits} bits per token and the transformer predicts "
            f"{config.token_bits}; take the same number"
        )
    if options.text_length > config.text_max_len:
        raise ValueError(
            f"captions of the model have up to {config.text_max_len} tokens, got text_length "
            f"{options.text_length}"
        )
    height, width = (side * vae.token_stride for side in schedule.final)
    return Plan(
        image_size=(height, width),
        num_tokens=schedule.seq_len,
        parameters=Parameters(
            transformer=num_parameters(config),
            blocks=config.depth * block_parameters(config),
            classifier=classifier_parameters(config),
            tokenizer=tokenizer_parameters(vae),
        ),
        flops=ImageFlops(
            training=training_flops(
                config,
                schedule,
                options.text_length,
                attention=config.attention,
                recomputed=options.checkpointing == "block",
            ),
            encoding=vae_encoding_flops(vae, schedule),
            drawing=sampling_flops(config, schedule, options.text_length, guided=options.guided),
            decoding=vae_decoding_flops(vae, schedule),
        ),
        training=training_memory(config, vae, schedule, options),
        drawing=drawing_memory(config, vae, schedule, options),
    )


def paper_tokenizer(token_bits: int) -> VAEConfig:
    """The official tokenizer with `token_bits` per token; all have 16 pixels per token side.

    56 bits are four latent cells of 14 bits and stride 8; every other number is one cell of stride 16.
    """
    if token_bits == _PATCHIFIED_BITS:
        levels = (1, 2, 4, 4)
        return VAEConfig(
            quantizer=QuantizerConfig(num_bits=14),
            encoder_multipliers=levels,
            decoder_multipliers=levels,
            patchify=2,
        )
    return VAEConfig(quantizer=QuantizerConfig(num_bits=token_bits))
