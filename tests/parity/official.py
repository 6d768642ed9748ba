"""Our models with a recording's weights, and its conventions in ours."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from infinity.checkpoints.official import build_transformer, build_vae
from infinity.rope2d import RopeGrid
from infinity.schedules import ASPECT_RATIOS, Scale, ScaleSchedule, paper_schedule
from infinity.transformer import Infinity
from infinity.types import TextStates
from infinity.vae import VAE
from tests.parity.ledger import Ledger

_ROPE_GRIDS: dict[int, RopeGrid] = {0: "index", 1: "interpolate", 2: "reference"}


def tokenizer_of(weights: dict[str, Tensor], meta: dict[str, Any]) -> VAE:
    """The recorded tokenizer."""
    told = meta.get("config", {}).get("patchify")  # else by the official rule
    return build_vae(weights, patchify=None if told is None else 2 if told else 1)


def transformer_options(meta: dict[str, Any]) -> dict[str, Any]:
    """What a transformer's weights don't tell, in our words; as released if the manifest doesn't tell it."""
    options = meta.get("config", {}).get("kw", {})
    first = options.get("add_lvl_embeding_only_first_block", 1)
    return {
        "rope_grid": _ROPE_GRIDS[options.get("rope2d_normalized_by_hw", 2)],
        "scale_embedding": "first_block" if first else "every_chunk",
    }


def transformer_of(weights: dict[str, Tensor], meta: dict[str, Any]) -> Infinity:
    """The recorded transformer."""
    return build_transformer(weights, **transformer_options(meta))


def facts_of(ledger: Ledger) -> dict[str, Any]:
    """What the manifest tells of a recorded transformer; if nothing, what comes closest to its logits."""
    if "config" in ledger.meta:
        return ledger.meta
    weights, inputs = ledger.of_file("sd."), ledger["x_in"]
    text = text_of(ledger["text.kv"], ledger["text.cu_seqlens"])
    keep_all_B = torch.zeros(len(inputs), dtype=torch.bool)
    expected = one_logit(ledger["logits"])

    def error(facts: dict[str, Any]) -> float:
        with torch.no_grad():
            model = transformer_of(weights, facts)
            logits = model(inputs, text, schedule_of(facts), drop_condition_B=keep_all_B)
        return (logits - expected).abs().max().item()

    return min(_possible_facts(num_tokens=expected.shape[1]), key=error)


def _possible_facts(num_tokens: int) -> Iterator[dict[str, Any]]:
    """Official schedules of so many tokens, with all options."""
    for ratio, rope, first in itertools.product(ASPECT_RATIOS, _ROPE_GRIDS, (1, 0)):
        schedule = paper_schedule(ratio)
        for length in range(1, len(schedule) + 1):
            if schedule.prefix(length).seq_len == num_tokens:
                scales = [[1, *scale] for scale in schedule.prefix(length)]
                options = {"rope2d_normalized_by_hw": rope, "add_lvl_embeding_only_first_block": first}
                yield {"scale_schedule": scales, "config": {"ratio": ratio, "kw": options}}


def schedule_of(meta: dict[str, Any]) -> ScaleSchedule:
    """A recorded transformer's schedule in tokens; RoPE refers to the largest official one that begins so.

    Of several, as the first scales are the same for most ratios, it is that of the recorded ratio.
    """
    scales = tuple(Scale(h, w) for _, h, w in meta["scale_schedule"])
    told = meta.get("config", {}).get("ratio")
    ratios = sorted(ASPECT_RATIOS, key=lambda ratio: ratio != told)
    longer = [
        schedule for schedule in map(paper_schedule, ratios) if schedule.scales[: len(scales)] == scales
    ]
    return longer[0].prefix(len(scales)) if longer else ScaleSchedule(scales)


def text_of(packed: Tensor, ends: Tensor) -> TextStates:
    """Packed states of captions as padded ones."""
    captions = packed.split(ends.diff().tolist())
    states_BME = torch.nn.utils.rnn.pad_sequence(list(captions), batch_first=True)
    lengths = torch.tensor([len(caption) for caption in captions])
    return TextStates(states_BME, torch.arange(states_BME.shape[1]) < lengths[:, None])


def one_logit(two_logits: Tensor) -> Tensor:
    """Official logits of a bit's two values as ours, the log-odds of a 1."""
    zero, one = two_logits.unflatten(-1, (-1, 2)).unbind(-1)
    return one - zero


def bits_of(recorded: Tensor) -> Tensor:
    """Recorded bits (B, 1, h, w, D) or (B, h, w, D) as ours: bool (B, D, h, w)."""
    return (recorded.squeeze(1) if recorded.ndim == 5 else recorded).movedim(-1, 1) != 0


def recorded_bits(ledger: Ledger, prefix: str) -> list[Tensor]:
    """All recorded bits of a pyramid, coarse to fine, as ours: tensors PREFIX0.bits, PREFIX1.bits, .."""
    scales: list[Tensor] = []
    while (name := f"{prefix}{len(scales)}.bits") in ledger:
        scales.append(bits_of(ledger[name]))
    return scales
