"""Keys and values of finished scales, and the transformer run one scale at a time over them."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from infinity.attention import scale_of_token, softmax_attention
from infinity.linear import pack_linears
from infinity.rope2d import rope_tables
from infinity.schedules import ScaleSchedule
from infinity.transformer.blocks import KeysValues
from infinity.transformer.conditioning import Condition
from infinity.transformer.model import Infinity
from infinity.types import TextStates

__all__ = ["KVCache", "ScaleDecoder"]


class KVCache:
    """Self-attention keys and values of all layers, allocated once for all scales but the last."""

    def __init__(self, num_layers: int, num_tokens: int) -> None:
        self.num_tokens = num_tokens
        self._layers: list[Tensor | None] = [None] * num_layers  # (2, B, N, L, K)

    @property
    def num_bytes(self) -> int:
        return sum(layer.nbytes for layer in self._layers if layer is not None)

    def attend(self, q_BNLK: Tensor, k_BNLK: Tensor, v_BNLK: Tensor, *, layer: int, start: int) -> Tensor:
        """Attend from the tokens of one scale, which start at `start`, to themselves and all cached ones.

        Their keys and values are stored, unless they lie past the cache's end: nothing attends to the last
        scale.
        """
        end = start + k_BNLK.shape[2]
        if end > self.num_tokens:
            if start:
                cached = self._allocated(layer, k_BNLK, v_BNLK)[:, :, :, :start]
                k_BNLK = torch.cat([cached[0], k_BNLK], dim=2)
                v_BNLK = torch.cat([cached[1], v_BNLK], dim=2)
        else:
            buffer = self._allocated(layer, k_BNLK, v_BNLK)
            buffer[0, :, :, start:end] = k_BNLK
            buffer[1, :, :, start:end] = v_BNLK
            k_BNLK, v_BNLK = buffer[:, :, :, :end].unbind(0)
        return softmax_attention(q_BNLK, k_BNLK, v_BNLK, None, 1.0)

    def narrow(self, batch_size: int) -> None:
        """Forget all but the first samples."""
        self._layers = [None if layer is None else layer[:, :batch_size] for layer in self._layers]

    def _allocated(self, layer: int, k_BNLK: Tensor, v_BNLK: Tensor) -> Tensor:
        buffer = self._layers[layer]
        if buffer is None:
            B, N, _, K = k_BNLK.shape
            buffer = self._layers[layer] = v_BNLK.new_empty(2, B, N, self.num_tokens, K)
        return buffer


class ScaleDecoder:
    """The transformer, one scale after the other: text and its keys and values are computed once, scales are
    cached.

    Logits equal those of ``model(...)`` on the whole sequence; no mask is needed, as the future isn't there
    yet.
    """

    def __init__(
        self, model: Infinity, text: TextStates, schedule: ScaleSchedule, *, drop_B: Tensor | None = None
    ) -> None:
        model.check_schedule(schedule)
        pack_linears(model.blocks, len(text.states_BME) * schedule.final.area)
        self.model = model
        self.schedule = schedule
        self.condition: Condition = model.conditioner(text, drop_B)
        self.texts: list[KeysValues] = [
            block.cross_attn.keys_values(self.condition.tokens_BMC) for block in model.layers
        ]
        self.cache = KVCache(len(model.blocks), schedule.seq_len - schedule.final.area)

    def narrow(self, batch_size: int) -> None:
        """Go on with the first samples only."""
        self.condition = Condition(*(tensor[:batch_size] for tensor in self.condition))
        self.texts = [KeysValues(*(tensor[:batch_size] for tensor in text)) for text in self.texts]
        self.cache.narrow(batch_size)

    def step(self, k: int, inputs_BLD: Tensor | None) -> Tensor:
        """Logits of scale k (from 0); to be called once per scale, in order.

        Args:
            inputs_BLD: running sum of the scales before, resized to scale k; None for the first scale.
        """
        model, schedule = self.model, self.schedule
        if inputs_BLD is None:
            x_BLC = model.embed_start(self.condition, schedule)
        else:
            x_BLC = model.embed_inputs(inputs_BLD)
        tokens = schedule.slices[k]
        config = model.config
        rope = rope_tables(schedule, config.head_dim, config.rope_grid, x_BLC.device).at(tokens)
        scale_L = scale_of_token(schedule, x_BLC.device)[tokens]
        attends = [
            partial(self.cache.attend, layer=layer, start=tokens.start) for layer in range(config.depth)
        ]
        x_BLC = model.run_blocks(x_BLC, self.condition, self.texts, scale_L, rope, attends)
        return model.head(x_BLC, self.condition.pooled_BC)
