"""The transformer as a whole."""

from __future__ import annotations

import math

import pytest
import torch

from infinity.schedules import ScaleSchedule
from infinity.transformer import Infinity, InfinityConfig
from infinity.types import TextStates
from tests.tolerances import TOL
from tests.transformer.tiny import SQUARE, WIDE, tiny_inputs, tiny_model, tiny_text


@pytest.mark.parametrize("attention", ["split", "dense"])
@pytest.mark.parametrize("schedule", [SQUARE, WIDE], ids=str)
def test_a_scale_sees_itself_and_the_past_but_not_the_future(schedule: ScaleSchedule, attention: str) -> None:
    model, text, inputs = tiny_model(attention=attention), tiny_text(), tiny_inputs(schedule)
    with torch.no_grad():
        before = model(inputs, text, schedule)
        for k in range(1, len(schedule)):
            disturbed = inputs.clone()
            tokens = schedule.slices[k]
            disturbed[:, tokens.stop - 2] += 1  # the scale's last token, as inputs lack the start token
            after = model(disturbed, text, schedule)
            assert torch.equal(after[:, : tokens.start], before[:, : tokens.start])
            changed = (after != before).any(-1)
            assert changed[:, tokens.start :].all()


def test_every_token_sees_the_text_but_not_its_padding() -> None:
    model, inputs = tiny_model(), tiny_inputs(SQUARE)
    text = tiny_text((3, 5))
    states = torch.nn.functional.pad(text.states_BME, (0, 0, 0, 2), value=9.0)
    padded = TextStates(states, torch.nn.functional.pad(text.mask_BM, (0, 2)))
    with torch.no_grad():
        logits = model(inputs, text, SQUARE)
        torch.testing.assert_close(model(inputs, padded, SQUARE), logits, **TOL[torch.float32])
        text.states_BME[0, 0] += 1
        changed = (model(inputs, text, SQUARE) != logits).any(-1)
    assert changed[0].all()
    assert not changed[1].any()


def test_dropped_samples_do_not_depend_on_their_text() -> None:
    model, inputs, drop = tiny_model(), tiny_inputs(SQUARE), torch.tensor([True, False])
    text, other = tiny_text((4, 4)), tiny_text((4, 4))
    with torch.no_grad():
        first, second = (model(inputs, given, SQUARE, drop_condition_B=drop) for given in (text, other))
    assert torch.equal(first[0], second[0])
    assert not torch.allclose(first[1], second[1])


def test_all_parameters_get_a_gradient() -> None:
    model = tiny_model(scale_embedding="every_chunk", max_scales=3)
    logits = model(
        tiny_inputs(SQUARE), tiny_text((8, 8)), SQUARE, drop_condition_B=torch.tensor([True, False])
    )
    model.head.loss(logits, torch.rand(logits.shape) < 0.5).mean().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


def test_recomputing_activations_changes_nothing() -> None:
    model, inputs, text = tiny_model(), tiny_inputs(SQUARE), tiny_text()
    gradients = []
    for model.activation_checkpointing in (False, True):
        model.zero_grad()
        model(inputs, text, SQUARE).square().sum().backward()
        gradients.append([p.grad for p in model.parameters() if p.grad is not None])
    for plain, recomputed in zip(*gradients, strict=True):
        assert torch.equal(plain, recomputed)


def test_the_forward_pass_compiles_to_one_graph_per_schedule() -> None:
    model = tiny_model(depth=1)
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    with torch.no_grad():
        for schedule in (SQUARE, WIDE, SQUARE):  # a stale table would show
            inputs, text = tiny_inputs(schedule), tiny_text()
            torch.testing.assert_close(compiled(inputs, text, schedule), model(inputs, text, schedule))


@pytest.mark.parametrize("autocast", [True, False])
def test_bfloat16_logits_are_float32_and_close(autocast: bool) -> None:
    model, inputs, text = tiny_model(), tiny_inputs(SQUARE), tiny_text()
    with torch.no_grad():
        expected = model(inputs, text, SQUARE)
        if not autocast:
            model.bfloat16()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            logits = model(inputs, text, SQUARE)
    assert logits.dtype == torch.float32
    torch.testing.assert_close(logits, expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize(("num_chunks", "times"), [(1, 1), (2, 2), (4, 4)])
def test_the_scale_embedding_is_added_before_every_chunk(num_chunks: int, times: int) -> None:
    model = tiny_model(depth=4, num_chunks=num_chunks, scale_embedding="every_chunk")
    with torch.no_grad():
        for block in model.layers:  # make every block the identity, whatever the condition
            for branch in (block.self_attn.proj, block.cross_attn.proj, block.ffn.fc2):
                branch.weight.zero_()
                branch.bias.zero_()
        text = tiny_text()
        condition = model.conditioner(text)
        inputs = tiny_inputs(SQUARE)
        x = torch.cat([model.embed_start(condition, SQUARE), model.embed_inputs(inputs)], dim=1)
        areas = torch.tensor([scale.area for scale in SQUARE])
        levels = model.scale_embed.weight[:3].repeat_interleave(areas, dim=0)
        expected = model.head(x + times * levels, condition.pooled_BC)
        torch.testing.assert_close(model(inputs, text, SQUARE), expected, **TOL[torch.float32])


def test_a_fresh_model_is_near_the_identity_and_sure_of_nothing() -> None:
    model = Infinity(InfinityConfig(depth=4, width=64, num_heads=2, text_width=24))
    logits = model(tiny_inputs(SQUARE, num_bits=16), tiny_text(), SQUARE)
    assert logits.abs().max() < 0.2
    std = math.sqrt(1 / (3 * 64))
    block = model.layers[0]
    assert block.self_attn.qkv.weight.std().item() == pytest.approx(std, rel=0.05)
    assert block.ffn.fc2.weight.std().item() == pytest.approx(std / math.sqrt(8), rel=0.05)
    assert block.ada_gss[:2].abs().max() < 1e-5
    assert block.ada_gss[2:].std().item() == pytest.approx(1e-3 / 8, rel=0.3)
    assert model.head.proj.weight.std().item() == pytest.approx(0.02 * std, rel=0.1)
    assert model.conditioner.cfg_uncond.std().item() == pytest.approx(0.88 * 1.2 / math.sqrt(24), rel=0.2)
    assert torch.equal(block.self_attn.log_temperature, torch.full((2,), math.log(4)))
    assert all(not p.any() for n, p in model.named_parameters() if n.endswith("bias"))


def test_initial_values_depend_on_the_generator_only() -> None:
    model = tiny_model()
    states = []
    for seed in (0, 0, 1):
        torch.rand(1)
        model.reset_parameters(torch.Generator().manual_seed(seed))
        states.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[0]["word_embed.weight"], states[2]["word_embed.weight"])


def test_vectors_and_embeddings_take_no_weight_decay() -> None:
    model = tiny_model()
    decayed, free = model.param_groups(0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert sorted(names.values()) == sorted(names[id(p)] for g in (decayed, free) for p in g["params"])
    official = {
        "bias",
        "ada_gss",
        "log_temperature",
        "scale_embed.weight",
        "pos_start",
        "cfg_uncond",
        "query",
    }
    for parameter in decayed["params"]:
        name = names[id(parameter)]
        assert not any(name.endswith(suffix) for suffix in official), name
    for parameter in free["params"]:
        name = names[id(parameter)]
        assert parameter.ndim == 1 or any(name.endswith(suffix) for suffix in official), name


def test_conditions_and_branches_are_dropped_at_their_rates() -> None:
    model = tiny_model(depth=3, condition_dropout=0.2, drop_path=0.4)
    drops = model.draw_drops(20_000, torch.Generator().manual_seed(0))
    assert drops.condition_B.float().mean().item() == pytest.approx(0.2, abs=0.01)
    assert drops.keep_N2B is not None
    for block, rate in enumerate((0, 0.2, 0.4)):
        keep = drops.keep_N2B[block]
        assert (keep == 0).float().mean().item() == pytest.approx(rate, abs=0.01)
        assert keep.mean().item() == pytest.approx(1, abs=0.02)
    assert tiny_model().draw_drops(5, torch.Generator()).keep_N2B is None


def test_inputs_of_another_schedule_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be \(B, 20, 6\), got \(2, 23, 6\)"):
        tiny_model()(tiny_inputs(WIDE), tiny_text(), SQUARE)


def test_more_scales_than_embeddings_are_refused() -> None:
    with pytest.raises(ValueError, match="embeds 2 scales, got 3"):
        tiny_model(max_scales=2)(tiny_inputs(SQUARE), tiny_text(), SQUARE)
