from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from infinity.quantizers.bits import (
    bits_to_codes,
    codes_to_bits,
    pack_ids,
    patchify_bits,
    unpack_ids,
    unpatchify_bits,
)


@pytest.mark.parametrize("dim", [1, -1])
def test_codes_are_corners_of_unit_norm_and_lead_back_to_the_bits(dim: int) -> None:
    bits = torch.rand(2, 6, 3, 6) < 0.5
    codes = bits_to_codes(bits, dim=dim)
    assert codes.dtype == torch.float32
    torch.testing.assert_close(codes.norm(dim=dim), torch.ones_like(codes.select(dim, 0)))
    assert torch.equal(codes_to_bits(codes), bits)


def test_zero_is_a_negative_bit() -> None:
    assert codes_to_bits(torch.tensor([-0.5, -0.0, 0.0, 0.5])).tolist() == [False, False, False, True]


def test_the_first_bit_is_the_most_significant() -> None:
    assert pack_ids(torch.tensor([[True, False, False], [False, True, True]])).tolist() == [4, 3]


@given(st.integers(1, 62), st.data())
def test_ids_and_bits_lead_to_each_other(num_bits: int, data: st.DataObject) -> None:
    numbers = data.draw(st.lists(st.integers(0, 2**num_bits - 1), min_size=1, max_size=4))
    bits = unpack_ids(torch.tensor(numbers), num_bits)
    assert bits.dtype == torch.bool
    assert ["".join("01"[bit] for bit in row) for row in bits] == [f"{n:0{num_bits}b}" for n in numbers]
    assert pack_ids(bits).tolist() == numbers


def test_more_bits_than_an_id_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="at most 62 bits, got 64"):
        pack_ids(torch.zeros(1, 64, dtype=torch.bool))
    with pytest.raises(ValueError, match="at most 62 bits, got 63"):
        unpack_ids(torch.zeros(1, dtype=torch.int64), 63)


def test_a_token_lists_its_cells_row_by_row_within_each_bit() -> None:
    x = torch.arange(1 * 3 * 4 * 6).view(1, 3, 4, 6)
    tokens = patchify_bits(x, 2)
    for row in range(2):
        for col in range(3):
            cells = x[0, :, 2 * row : 2 * row + 2, 2 * col : 2 * col + 2]  # (D, dy, dx)
            assert tokens[0, row * 3 + col].tolist() == cells.flatten().tolist()


@pytest.mark.parametrize("patch", [1, 2, 3])
def test_unpatchify_undoes_patchify_for_bits_and_features(patch: int) -> None:
    for x in (torch.rand(2, 3, 6, 12) < 0.5, torch.randn(2, 3, 6, 12)):
        tokens = patchify_bits(x, patch)
        assert tokens.shape == (2, 72 // patch**2, 3 * patch**2)
        assert torch.equal(unpatchify_bits(tokens, patch, (6 // patch, 12 // patch)), x)


def test_a_map_that_patches_do_not_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="3x4 map can't be cut into 2x2 patches"):
        patchify_bits(torch.zeros(1, 1, 3, 4), 2)
