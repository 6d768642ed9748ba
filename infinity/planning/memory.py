"""Memory of one device by part, in bytes."""

from __future__ import annotations

from typing import NamedTuple

from infinity.planning.activations import drawing_activations, training_activations
from infinity.planning.options import PlanOptions
from infinity.planning.tokenizer import decoding_bytes, encoding_bytes, tokenizer_bytes
from infinity.schedules import ScaleSchedule
from infinity.transformer.config import InfinityConfig
from infinity.transformer.flops import (
    block_linear_parameters,
    block_matrix_parameters,
    block_parameters,
    logits_per_token,
    num_parameters,
)
from infinity.vae.config import VAEConfig

__all__ = ["DrawingMemory", "TrainingMemory", "drawing_memory", "training_memory"]

_FLOAT = 4
_IN_FLIGHT = 2  # blocks whose weights and gradients are gathered at once: the current and the next one


class TrainingMemory(NamedTuple):
    """Parts of a training step, each at its largest; images are encoded before the step fills its part."""

    weights: int
    gradients: int
    optimizer: int
    average: int
    buffers: int  # gradients in DDP's buckets; gathered weights and gradients that are not yet divided
    casts: int  # of weights, kept for the backward pass
    activations: int  # kept for the backward pass
    logits: int  # and their gradients
    tokenizer: int
    encoding: int

    @property
    def peak(self) -> int:
        """Most bytes held at once."""
        step = self.casts + self.activations + self.logits
        return sum(self) - min(step, self.encoding)


class DrawingMemory(NamedTuple):
    """Parts of drawing one batch; the tokenizer decodes it when the transformer is done."""

    weights: int
    kv_cache: int
    text_keys_values: int
    activations: int
    tokenizer: int
    decoding: int

    @property
    def peak(self) -> int:
        """Most bytes held at once."""
        transformer = self.kv_cache + self.text_keys_values + self.activations
        return sum(self) - min(transformer, self.decoding)


def training_memory(
    config: InfinityConfig, vae: VAEConfig, schedule: ScaleSchedule, options: PlanOptions
) -> TrainingMemory:
    """Memory of a training step on one of the devices, which keep the tokenizer in float32."""
    parameters, block = num_parameters(config), block_parameters(config)
    outside = parameters - config.depth * block
    matrices = config.depth * block_matrix_parameters(config)
    weight = options.weight_bytes
    share = options.divided(parameters) * weight
    states = 2 * parameters - (matrices if options.optimizer == "muon" else 0)  # Muon keeps one of two
    in_flight = min(outside + _IN_FLIGHT * block, parameters) * weight
    buffers = {
        "single": 0,
        "ddp": parameters * weight,
        "zero2": parameters * weight + in_flight,
        "fsdp": 2 * in_flight,
    }
    casts = {
        "32": 0,
        "bf16-mixed": 2 * matrices // (config.depth if options.checkpointing == "block" else 1),
        "bf16-true": _FLOAT * outside,  # which runs in float32
    }
    return TrainingMemory(
        weights=share,
        gradients=share,
        optimizer=options.divided(states) * weight,
        average=share if options.ema else 0,
        buffers=buffers[options.strategy],
        casts=casts[options.precision],
        activations=training_activations(config, schedule, options),
        logits=3 * _FLOAT * options.batch_size * schedule.seq_len * logits_per_token(config),
        tokenizer=tokenizer_bytes(vae, _FLOAT),
        encoding=encoding_bytes(vae, schedule, options.batch_size, _FLOAT),
    )


def drawing_memory(
    config: InfinityConfig, vae: VAEConfig, schedule: ScaleSchedule, options: PlanOptions
) -> DrawingMemory:
    """Memory of drawing one batch on one device.

    Below float32, the linear layers of the blocks and the tokenizer's networks are stored rounded.
    """
    number = options.linear_bytes
    rounded = config.depth * block_linear_parameters(config)
    keys_values = options.num_sequences * 2 * config.depth * config.width * number
    return DrawingMemory(
        weights=rounded * number + (num_parameters(config) - rounded) * _FLOAT,
        kv_cache=keys_values * (schedule.seq_len - schedule.final.area),  # nothing attends to the last scale
        text_keys_values=keys_values * options.text_length,
        activations=drawing_activations(config, schedule, options),
        tokenizer=tokenizer_bytes(vae, number),
        decoding=decoding_bytes(vae, schedule, options.batch_size, number),
    )
