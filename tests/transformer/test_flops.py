"""Closed forms against counting."""

from __future__ import annotations

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from infinity.sampling import SamplingConfig, generate
from infinity.schedules import ScaleSchedule, paper_schedule
from infinity.transformer import PRESETS, Infinity, InfinityConfig
from infinity.transformer.flops import (
    attention_pairs,
    block_parameters,
    forward_flops,
    num_parameters,
    sampling_flops,
    training_flops,
)
from tests.transformer.tiny import SQUARE, WIDE, tiny_inputs, tiny_model, tiny_text

SCHEDULE = paper_schedule(1.5, "0.06M").prefix(6)
MODELS = [{}, {"head": "indexwise"}, {"width": 64, "text_width": 256, "attention": "dense"}]


@pytest.mark.parametrize("name", ["125M", "2.2B", "20b", "cpu-3M"])
def test_parameters_of_presets_are_counted_exactly(name: str) -> None:
    with torch.device("meta"):
        model = Infinity(InfinityConfig(**{**PRESETS[name], "depth": 2, "num_chunks": 1}))
    assert num_parameters(model.config) == sum(p.numel() for p in model.parameters())
    assert block_parameters(model.config) == sum(p.numel() for p in model.blocks[0].parameters())


@pytest.mark.parametrize("options", MODELS)
def test_forward_and_training_flops_equal_torch_s_counter(options: dict) -> None:
    model = tiny_model(**options)
    config = model.config
    text, inputs = tiny_text((5,), width=config.text_width), tiny_inputs(SCHEDULE, batch_size=1)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits = model(inputs, text, SCHEDULE, drop_condition_B=torch.tensor([False]))
    expected = forward_flops(config, SCHEDULE, 5, config.attention).total
    assert counter.get_total_flops() == expected
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits.sum().backward()
    needed = training_flops(config, SCHEDULE, 5) / 3 * 2
    surplus = 2 * (expected - forward_flops(config, SCHEDULE, 5).total)  # masked pairs that are computed
    assert counter.get_total_flops() == pytest.approx(needed + surplus, rel=0.01)


def test_pairs_are_those_of_the_mask() -> None:
    ends = [end for k, end in enumerate(SQUARE.offsets[1:]) for _ in range(SQUARE[k].area)]
    assert attention_pairs(SQUARE) == sum(ends)
    assert attention_pairs(SQUARE, "dense") == 21**2
    assert (
        attention_pairs(SCHEDULE) <= attention_pairs(SCHEDULE, "split") <= attention_pairs(SCHEDULE, "dense")
    )
    assert attention_pairs(paper_schedule(1.0, "1M")) == 68_484_681


@pytest.mark.parametrize("schedule", [SQUARE, WIDE, SCHEDULE], ids=["square", "wide", "paper"])
@pytest.mark.parametrize("options", MODELS)
@pytest.mark.parametrize("recomputed", [False, True])
def test_training_flops_are_torch_s_within_one_percent(
    schedule: ScaleSchedule, options: dict, recomputed: bool
) -> None:
    model = tiny_model(**options)
    model.activation_checkpointing = recomputed
    config = model.config
    text, inputs = tiny_text((5, 5), width=config.text_width), tiny_inputs(schedule)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        model(inputs, text, schedule, drop_condition_B=torch.tensor([False, True])).sum().backward()
    planned = training_flops(config, schedule, 5, attention=config.attention, recomputed=recomputed)
    assert 2 * planned == pytest.approx(counter.get_total_flops(), rel=0.01)


@pytest.mark.parametrize("guidance", [3.0, 1.0])
@pytest.mark.parametrize("schedule", [SQUARE, WIDE, SCHEDULE], ids=["square", "wide", "paper"])
@pytest.mark.parametrize("options", MODELS)
def test_sampling_flops_are_torch_s_within_half_a_percent(
    schedule: ScaleSchedule, options: dict, guidance: float
) -> None:
    model = tiny_model(**options)
    text = tiny_text((5, 5), width=model.config.text_width)
    settings = SamplingConfig(guidance=guidance, temperature=0.0)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        generate(model, text, schedule, settings)
    planned = sampling_flops(model.config, schedule, 5, guided=guidance != 1)
    assert 2 * planned == pytest.approx(counter.get_total_flops(), rel=0.005)
