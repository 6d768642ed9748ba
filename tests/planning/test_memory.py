"""Parts of memory against what optimizers, caches and networks hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from infinity.planning import PlanOptions, make_plan, paper_tokenizer
from infinity.sampling.cache import ScaleDecoder
from infinity.sampling.generate import guidance_batch
from infinity.sampling.rounding import round_blocks
from infinity.schedules import ScaleSchedule, paper_schedule
from infinity.transformer import PRESETS, InfinityConfig
from infinity.transformer.flops import classifier_parameters
from lit_modules.optim import OptimizerConfig, build_optimizer
from tests.transformer.tiny import SQUARE, WIDE, tiny_inputs, tiny_model, tiny_text

LARGE = InfinityConfig(**PRESETS["2b"])
FULL = paper_schedule(1.0, "1M")


def memory(**options):
    return make_plan(LARGE, paper_tokenizer(32), FULL, PlanOptions(**options)).training


@pytest.mark.parametrize("precision", ["32", "bf16-mixed", "bf16-true"])
@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_weights_gradients_and_optimizer_states_are_exact(precision: str, optimizer: str) -> None:
    model = tiny_model().train()
    if precision == "bf16-true":
        model.bfloat16()
    matrices = [module.weight for module in model.blocks.modules() if isinstance(module, nn.Linear)]
    built = build_optimizer(model.param_groups(0.0), OptimizerConfig(kind=optimizer), matrices=matrices)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    built.step()
    states = [state for values in built.state.values() for name, state in values.items() if name != "step"]
    options = PlanOptions(precision=precision, optimizer=optimizer, ema=True, text_length=8)
    plan = make_plan(model.config, paper_tokenizer(6), SQUARE, options).training
    weights = sum(parameter.nbytes for parameter in model.parameters())
    assert (plan.weights, plan.gradients, plan.average) == (weights, weights, weights)
    assert plan.optimizer == sum(state.nbytes for state in states)


@pytest.mark.parametrize("schedule", [SQUARE, WIDE])
@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("precision", ["32", "bf16-mixed"])
def test_weights_and_caches_of_drawing_are_exact(
    schedule: ScaleSchedule, guided: bool, precision: str
) -> None:
    model, text, drop_B = tiny_model(), tiny_text((3, 5)), None
    if guided:
        text, drop_B = guidance_batch(text, None)
    if precision != "32":
        round_blocks(model, torch.bfloat16)
    inputs = tiny_inputs(schedule, len(text.mask_BM))
    with torch.no_grad():
        decoder = ScaleDecoder(model, text, schedule, drop_B=drop_B)
        for k, tokens in enumerate(schedule.slices):
            decoder.step(k, inputs[:, tokens.start - 1 : tokens.stop - 1] if k else None)
    options = PlanOptions(batch_size=2, guided=guided, precision=precision, text_length=5)
    plan = make_plan(model.config, paper_tokenizer(6), schedule, options).drawing
    assert plan.kv_cache == decoder.cache.num_bytes
    assert plan.text_keys_values == sum(tensor.nbytes for text in decoder.texts for tensor in text)
    assert plan.weights == sum(parameter.nbytes for parameter in model.parameters())


def test_devices_divide_what_their_strategy_says() -> None:
    single = memory()
    ddp = memory(strategy="ddp", devices=8)
    zero2 = memory(strategy="zero2", devices=8)
    fsdp = memory(strategy="fsdp", devices=8)
    assert ddp._replace(buffers=0) == single
    assert ddp.buffers == single.gradients
    for divided in (zero2, fsdp):
        for name in ("weights", "gradients", "optimizer"):
            assert getattr(divided, name) == pytest.approx(getattr(single, name) / 8, rel=1e-6)
        assert divided.activations == single.activations
    assert zero2.buffers > single.weights > fsdp.buffers
    assert fsdp.peak < zero2.peak < ddp.peak


def test_checkpointing_keeps_the_input_of_every_block_and_one_block() -> None:
    whole, recomputed = memory().activations, memory(checkpointing="block").activations
    inputs = LARGE.depth * FULL.seq_len * LARGE.width * 4
    assert recomputed - inputs == pytest.approx(whole / LARGE.depth, rel=0.2)


def test_the_paper_s_classifier_table() -> None:
    """Table 5: a vocabulary of 2^16 at width 2048; the text says that 99.95 % are saved."""
    bitwise = replace(LARGE, token_bits=16)
    indexwise = replace(bitwise, head="indexwise")
    many, few = classifier_parameters(indexwise), classifier_parameters(bitwise)
    assert (many, few) == (2**16 * 2049, 2 * 16 * 2049)
    assert round(100 * (1 - few / many), 2) == 99.95
    plans = [
        make_plan(c, paper_tokenizer(16), FULL, PlanOptions(precision="32")) for c in (indexwise, bitwise)
    ]
    states = [p.training.weights + p.training.gradients + p.training.optimizer for p in plans]
    assert (states[0] - states[1]) / 2**30 == pytest.approx(2.0, rel=0.01)  # "2GB"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"devices": 2}, "strategy single runs on 1 device, got 2; take ddp, zero2 or fsdp"),
        ({"strategy": "zero3"}, "strategy"),
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"text_length": 513}, "up to 512 tokens, got text_length 513"),
    ],
)
def test_impossible_settings_are_named(options, message) -> None:
    with pytest.raises(ValueError, match=message):
        memory(**options)
