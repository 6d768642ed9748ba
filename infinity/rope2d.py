"""Two-dimensional rotary position embedding over the scales of a schedule (paper section 3.5).

The first half of a head's channel pairs rotates with the row of a token, the second half with its column. A
head's channels are laid out as (first elements of all pairs, second elements of all pairs), so that a
rotation reads two contiguous halves; the official code interleaves the pairs, and importing its weights
permutes the rows of the q and k projections once (attention scores don't change).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.schedules import ScaleSchedule

__all__ = ["RopeGrid", "RopeTables", "rope_tables", "rotate"]

RopeGrid = Literal["index", "interpolate", "reference"]
"""Coordinates of a token of an h x w scale, official ``rope2d_normalized_by_hw`` 0, 1 and 2.

``index``: its row and column. ``interpolate``: cos and sin of a 128-cell grid, resized to h x w.
``reference`` (the released models): ``round(row * H / h)``, ``round(column * W / w)`` with H x W the
schedule's reference grid.
"""

_BASE = 10_000.0
_MAX_EDGE = 128  # cells of the grid that "interpolate" resizes (official: 2048 pixels / 16)


class RopeTables(NamedTuple):
    """Cosine and sine per token and channel pair, float32, shaped to broadcast against (B, L, 2, N, K)."""

    cos: Tensor  # (L, 1, 1, K): the K / 2 values twice
    sin: Tensor  # (L, 1, 1, K): negated in the first half

    def at(self, tokens: slice) -> RopeTables:
        return RopeTables(self.cos[tokens], self.sin[tokens])


@torch.compiler.assume_constant_result
def rope_tables(schedule: ScaleSchedule, head_dim: int, grid: RopeGrid, device: torch.device) -> RopeTables:
    """Tables of all tokens of a schedule, computed once per (schedule, head_dim, grid, device)."""
    return _rope_tables(schedule, head_dim, grid, device)


@lru_cache(maxsize=256)
@torch.inference_mode(False)  # a cached tensor may be trained with later
def _rope_tables(schedule: ScaleSchedule, head_dim: int, grid: RopeGrid, device: torch.device) -> RopeTables:
    half = head_dim // 2
    theta = 1.0 / (_BASE ** (torch.arange(0, half, 2).float() / half))  # (K / 4,)
    parts = [_scale_table(h, w, theta, grid, schedule) for h, w in schedule]
    cos, sin = torch.cat(parts, dim=1).unbind(0)
    cos, sin = torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1)
    return RopeTables(cos[:, None, None].to(device), sin[:, None, None].to(device))


def _scale_table(h: int, w: int, theta: Tensor, grid: RopeGrid, schedule: ScaleSchedule) -> Tensor:
    """Cosine and sine (2, h * w, K / 2) of one scale's tokens."""
    edges = schedule.reference
    if grid == "interpolate":
        longest = max(edges)
        rows = _interpolated(
            h, _MAX_EDGE if edges.h == longest else int(_MAX_EDGE / edges.w * edges.h), theta
        )
        columns = _interpolated(
            w, _MAX_EDGE if edges.w == longest else int(_MAX_EDGE / edges.h * edges.w), theta
        )
    elif grid == "reference":
        rows = _cos_sin((torch.arange(h) * (edges.h / h)).round(), theta)
        columns = _cos_sin((torch.arange(w) * (edges.w / w)).round(), theta)
    else:
        rows, columns = _cos_sin(torch.arange(h).float(), theta), _cos_sin(torch.arange(w).float(), theta)
    table = torch.cat(
        [rows[:, :, None].expand(-1, -1, w, -1), columns[:, None].expand(-1, h, -1, -1)], dim=-1
    )
    return table.reshape(2, h * w, -1)


def _cos_sin(positions: Tensor, theta: Tensor) -> Tensor:
    angles = torch.outer(positions, theta)
    return torch.stack([angles.cos(), angles.sin()])


def _interpolated(size: int, edge: int, theta: Tensor) -> Tensor:
    table = _cos_sin(torch.arange(edge).float(), theta)  # (2, edge, K / 4)
    return F.interpolate(table.transpose(1, 2), size=size, mode="linear", align_corners=True).transpose(1, 2)


def rotate(x_BLSNK: Tensor, tables: RopeTables) -> Tensor:
    """Rotate queries and keys (stacked, S = 2) by their tokens' angles; keeps the norm of every pair."""
    first, second = x_BLSNK.chunk(2, dim=-1)
    return torch.addcmul(x_BLSNK * tables.cos, torch.cat([second, first], dim=-1), tables.sin)
