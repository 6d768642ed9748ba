"""Two-dimensional rotary embedding."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from infinity.rope2d import RopeGrid, RopeTables, rope_tables, rotate
from infinity.schedules import Scale, ScaleSchedule, paper_schedule
from tests.tolerances import TOL

CPU = torch.device("cpu")
SCHEDULE = ScaleSchedule(((1, 1), (2, 3), (5, 7)), reference=Scale(10, 14))
GRIDS: list[RopeGrid] = ["index", "interpolate", "reference"]


def rotated_pair_by_pair(x_LK: Tensor, positions: list[tuple[float, float]]) -> Tensor:
    """Turn channel j and channel j + K / 2 by an angle, as complex numbers: the definition."""
    K = x_LK.shape[-1]
    out = torch.empty_like(x_LK)
    for token, position in enumerate(positions):
        for j in range(K // 2):
            axis, frequency = divmod(j, K // 4)
            angle = position[axis] * 10_000 ** (-2 * frequency / (K // 2))
            number = complex(x_LK[token, j], x_LK[token, j + K // 2]) * complex(
                math.cos(angle), math.sin(angle)
            )
            out[token, j], out[token, j + K // 2] = number.real, number.imag
    return out


@pytest.mark.parametrize(
    ("grid", "stretch"),
    [("index", lambda i, _size, _edge: i), ("reference", lambda i, size, edge: round(i * edge / size))],
)
def test_tokens_turn_by_their_row_and_column(grid: RopeGrid, stretch) -> None:
    tables = rope_tables(SCHEDULE, 16, grid, CPU)
    x = torch.randn(SCHEDULE.seq_len, 16)
    H, W = SCHEDULE.reference
    positions = [
        (stretch(row, h, H), stretch(column, w, W))
        for h, w in SCHEDULE
        for row in range(h)
        for column in range(w)
    ]
    rotated = rotate(x[None, :, None, None], tables)[0, :, 0, 0]
    torch.testing.assert_close(rotated, rotated_pair_by_pair(x, positions), **TOL[torch.float32])


def test_the_interpolated_grid_is_a_resized_128_cell_grid() -> None:
    schedule = paper_schedule(0.5, "0.06M").prefix(4)
    theta = 10_000 ** (-torch.arange(0, 8, 2) / 8)
    height, width = int(128 / schedule.reference.w * schedule.reference.h), 128
    rows = (torch.arange(height)[:, None] * theta)[:, None].expand(-1, width, -1)
    columns = (torch.arange(width)[:, None] * theta)[None].expand(height, -1, -1)
    grid = torch.cat([rows, columns], dim=-1).cos().permute(2, 0, 1)[None]
    expected = [
        F.interpolate(grid, size=scale, mode="bilinear", align_corners=True)[0].flatten(1).T
        for scale in schedule
    ]
    cos = rope_tables(schedule, 16, "interpolate", CPU).cos[:, 0, 0, :8]
    torch.testing.assert_close(cos, torch.cat(expected), rtol=0, atol=1e-4)


@pytest.mark.parametrize("grid", ["index", "reference"])
def test_rotation_keeps_norms(grid: RopeGrid) -> None:
    x = torch.randn(2, SCHEDULE.seq_len, 2, 3, 16)
    rotated = rotate(x, rope_tables(SCHEDULE, 16, grid, CPU))
    torch.testing.assert_close(rotated.norm(dim=-1), x.norm(dim=-1), **TOL[torch.float32])


def test_scores_depend_on_the_offset_only() -> None:
    schedule = ScaleSchedule(((6, 6),))
    q, k = torch.randn(2, 16)
    tables = rope_tables(schedule, 16, "index", CPU)
    everywhere = torch.stack([q, k])[:, None].expand(2, 36, 16).movedim(0, 1)[None, :, :, None]
    q_HWK, k_HWK = rotate(everywhere, tables)[0, :, :, 0].unflatten(0, (6, 6)).unbind(2)
    scores = (q_HWK[:4, :3] * k_HWK[2:, 3:]).sum(-1)  # two rows down, three columns right
    torch.testing.assert_close(scores, scores[0, 0].expand_as(scores), **TOL[torch.float32])


def test_a_slice_of_the_tables_belongs_to_one_scale() -> None:
    tables = rope_tables(SCHEDULE, 16, "reference", CPU)
    alone = rope_tables(ScaleSchedule(((5, 7),), SCHEDULE.reference), 16, "reference", CPU)
    last = tables.at(SCHEDULE.slices[-1])
    assert isinstance(last, RopeTables)
    assert torch.equal(last.cos, alone.cos)
    assert torch.equal(last.sin, alone.sin)


@pytest.mark.parametrize("grid", GRIDS)
def test_tables_first_made_in_inference_mode_can_be_trained_with(grid: RopeGrid) -> None:
    schedule = ScaleSchedule(((1, 1), (2, 2)), reference=Scale(9, 11))
    with torch.inference_mode():
        rope_tables(schedule, 8, grid, CPU)
    x = torch.randn(1, 5, 2, 1, 8, requires_grad=True)
    rotate(x, rope_tables(schedule, 8, grid, CPU)).sum().backward()
    assert x.grad is not None
