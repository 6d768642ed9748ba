"""The Infinity transformer: predicts all bits of the next scale from the sum of the scales before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from infinity.attention import attend, attention_plan, scale_of_token
from infinity.precision import full_precision
from infinity.randomness import Randomness, uniform
from infinity.rope2d import RopeTables, rope_tables
from infinity.schedules import ScaleSchedule
from infinity.transformer.blocks import Attend, Block, KeysValues
from infinity.transformer.conditioning import Condition, TextConditioner, linear_fp32
from infinity.transformer.config import InfinityConfig
from infinity.transformer.heads import build_head
from infinity.types import TextStates

__all__ = ["Drops", "Infinity"]


class Drops(NamedTuple):
    """What one training step leaves out, drawn beforehand so that the forward pass is a pure function."""

    condition_B: Tensor  # bool: train on the null condition
    keep_N2B: (
        Tensor | None
    )  # factors of the residual branches, per block, branch and sample (stochastic depth)


class Infinity(nn.Module):
    """Bitwise visual autoregressive transformer (paper section 3.1; official ``Infinity``).

    The sequence is a start token made of the text, then one token per cell of scales 2..K, embedded from the
    sum of all coarser scales, resized to that scale. Tokens of scale k predict the bits of scale k.
    """

    NO_DECAY = frozenset({"scale_embed.weight"})

    def __init__(self, config: InfinityConfig) -> None:
        super().__init__()
        self.config = config
        self.conditioner = TextConditioner(config)
        self.pos_start = nn.Parameter(torch.empty(config.width))
        self.word_embed = nn.Linear(config.token_bits, config.width)
        self.scale_embed = nn.Embedding(config.max_scales, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.head = build_head(config)
        self.activation_checkpointing = False  # recompute blocks in the backward pass
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initialise as the official code does: blocks close to the identity, logits close to 0."""
        config = self.config
        std = math.sqrt(1 / (3 * config.width))
        normal = partial(nn.init.trunc_normal_, generator=generator)
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                normal(module.weight, std=std)
            elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
                module.weight.fill_(1)
            for name, parameter in module.named_parameters(recurse=False):
                if name == "bias" or name.endswith("_bias"):
                    parameter.zero_()
        normal(self.pos_start, std=std)
        normal(self.conditioner.pool.query, std=std)
        normal(self.conditioner.cfg_uncond, std=1.2).div_(math.sqrt(config.text_width))
        for block in self.layers:
            block.self_attn.log_temperature.fill_(math.log(4))
            for residual in (block.self_attn.proj, block.cross_attn.proj, block.ffn.fc2):
                residual.weight.div_(math.sqrt(2 * config.depth))
            block.ada_gss.normal_(generator=generator).div_(math.sqrt(config.width))
            block.ada_gss[:2] *= config.gamma_init
            block.ada_gss[2:] *= 1e-3
        self.head.ada.weight.mul_(1e-3)
        self.head.proj.weight.mul_(0.02)

    @property
    def layers(self) -> list[Block]:
        """The blocks, in order."""
        return cast("list[Block]", list(self.blocks))

    def param_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """Parameters with and without weight decay: none on vectors and what modules list as ``NO_DECAY``."""
        exempt = {
            f"{path}.{name}" if path else name
            for path, module in self.named_modules()
            for name in getattr(module, "NO_DECAY", ())
        }
        decayed: list[nn.Parameter] = []
        free: list[nn.Parameter] = []
        for name, parameter in self.named_parameters():
            (free if parameter.ndim < 2 or name in exempt else decayed).append(parameter)
        return [{"params": decayed, "weight_decay": weight_decay}, {"params": free, "weight_decay": 0.0}]

    def draw_drops(self, batch_size: int, generator: Randomness) -> Drops:
        """Draw condition dropout and stochastic depth for one training step, on the generator's device."""
        config, device = self.config, generator.device
        condition_B = uniform((batch_size,), generator) < config.condition_dropout
        if not config.drop_path:
            return Drops(condition_B, None)
        keep_N = torch.tensor([1 - config.drop_path_rate(i) for i in range(config.depth)], device=device)
        noise_N2B = uniform((config.depth, 2, batch_size), generator, batch_dim=2)
        keep_N = keep_N[:, None, None]
        return Drops(condition_B, (noise_N2B < keep_N) / keep_N)

    def forward(
        self,
        inputs_BLD: Tensor,
        text: TextStates,
        schedule: ScaleSchedule,
        *,
        drop_condition_B: Tensor | None = None,
        keep_N2B: Tensor | None = None,
    ) -> Tensor:
        """Logits of all scales at once, with teacher forcing.

        Args:
            inputs_BLD: running sums resized to scales 2..K, float (B, L - area of scale 1, token_bits).
            text: states of the text encoder.
            schedule: in tokens.
            drop_condition_B: bool, samples that see the null condition.
            keep_N2B: see :class:`Drops`.

        Returns:
            Logits (B, L, token_bits), or (B, L, 2**token_bits) from the index-wise head.
        """
        self.check_schedule(schedule)
        if inputs_BLD.shape[1:] != (schedule.seq_len - schedule[0].area, self.config.token_bits):
            raise ValueError(
                f"inputs for the schedule {schedule} must be (B, {schedule.seq_len - schedule[0].area}, "
                f"{self.config.token_bits}), got {tuple(inputs_BLD.shape)}"
            )
        device = inputs_BLD.device
        condition = self.conditioner(text, drop_condition_B)
        x_BLC = torch.cat([self.embed_start(condition, schedule), self.embed_inputs(inputs_BLD)], dim=1)
        rope = rope_tables(schedule, self.config.head_dim, self.config.rope_grid, device)
        plan = attention_plan(schedule, self.config.attention, device)
        texts = [condition.tokens_BMC] * len(self.blocks)
        attends = [partial(attend, plan=plan)] * len(self.blocks)
        x_BLC = self.run_blocks(
            x_BLC, condition, texts, scale_of_token(schedule, device), rope, attends, keep_N2B
        )
        return self.head(x_BLC, condition.pooled_BC)

    def check_schedule(self, schedule: ScaleSchedule) -> None:
        """Refuse a schedule with more scales than the model has embeddings for."""
        if len(schedule) > self.config.max_scales:
            raise ValueError(
                f"the model embeds {self.config.max_scales} scales, got {len(schedule)}: {schedule}; "
                "take fewer scales or set max_scales"
            )

    def embed_start(self, condition: Condition, schedule: ScaleSchedule) -> Tensor:
        """Tokens of the first scale (B, area_1, C): the pooled text, at every cell."""
        start_B1C = (condition.pooled_BC + self.pos_start)[:, None]
        return start_B1C.expand(-1, schedule[0].area, -1)

    def embed_inputs(self, inputs_BLD: Tensor) -> Tensor:
        """Embed running sums, in float32."""
        with full_precision(inputs_BLD.device):
            return linear_fp32(inputs_BLD, self.word_embed)

    def run_blocks(
        self,
        x_BLC: Tensor,
        condition: Condition,
        texts: Sequence[KeysValues | Tensor],
        scale_L: Tensor,
        rope: RopeTables,
        attends: Sequence[Attend],
        keep_N2B: Tensor | None = None,
    ) -> Tensor:
        """All blocks, on tokens of the scales `scale_L`; `texts` and `attends` have one entry per block."""
        config = self.config
        levels_LC = self.scale_embed(scale_L).float()
        mask_B11M = condition.mask_BM[:, None, None, :]
        blocks_per_chunk = config.depth // config.num_chunks
        for i, block in enumerate(self.blocks):
            every_chunk = config.scale_embedding == "every_chunk" and i % blocks_per_chunk == 0
            if i == 0 or every_chunk:
                x_BLC = x_BLC + levels_LC
            keep_2B = None if keep_N2B is None else keep_N2B[i]
            inputs = (x_BLC, condition.modulation_B6C, texts[i], mask_B11M, rope, attends[i], keep_2B)
            if self.activation_checkpointing and torch.is_grad_enabled():
                x_BLC = checkpoint(block, *inputs, use_reentrant=False)
            else:
                x_BLC = block(*inputs)
        return x_BLC
