"""Images as packed bits."""

from __future__ import annotations

import struct

import pytest
import torch

from infinity.packed_bits import read_bits, write_bits

TOKENIZER = "ab" * 32


@pytest.fixture
def stored(tmp_path):
    bits = tuple(torch.rand(3, 5, h, w) > 0.5 for h, w in ((1, 1), (2, 3), (4, 7)))
    path = tmp_path / "image.bits"
    write_bits(path, bits, tokenizer=TOKENIZER)
    return path, bits


def test_bits_come_back_as_they_were(stored):
    path, bits = stored
    packed = read_bits(path)
    assert packed.tokenizer == TOKENIZER
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(packed.bits, bits, strict=True))


def test_a_file_takes_one_bit_a_bit_and_a_small_header(stored):
    path, bits = stored
    assert path.stat().st_size == 52 + 4 * 3 + -(-sum(scale.numel() for scale in bits) // 8)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_file_cut_anywhere_is_refused(stored):
    path, _ = stored
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"truncated|holds no packed bits"):
            read_bits(path)


def test_a_file_with_any_changed_byte_is_refused_or_names_another_tokenizer(stored):
    path, bits = stored
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            packed = read_bits(path)
        except ValueError:
            continue
        in_place = all(torch.equal(ours, theirs) for ours, theirs in zip(packed.bits, bits, strict=False))
        assert packed.tokenizer != TOKENIZER or not in_place, place


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (7, b"\x02", "has version 2 of the format, this package reads 1"),
        (8, b"\xff\xff", "are impossible"),
        (10, b"\xff\xff", "are impossible"),
        (12, b"\xff\xff\xff\xff", r"its header promises \d+ bytes"),
        (52, b"\xff\xff", r"sides of scales must be in \[1, 4096\]"),
        (70, b"\xff", "don't have the checksum"),
    ],
)
def test_impossible_headers_are_refused_before_memory_is_taken(stored, place, value, message):
    path, _ = stored
    whole = bytearray(path.read_bytes())
    whole[place : place + len(value)] = value
    path.write_bytes(whole)
    with pytest.raises(ValueError, match=message):
        read_bits(path)


def test_more_bytes_than_promised_are_refused(stored):
    path, _ = stored
    path.write_bytes(path.read_bytes() + struct.pack("<I", 0))
    with pytest.raises(ValueError, match="is damaged: its header promises"):
        read_bits(path)


def test_foreign_and_missing_files_are_refused(tmp_path):
    (tmp_path / "a.bits").write_bytes(b"\x89PNG" * 100)
    with pytest.raises(ValueError, match="holds no packed bits"):
        read_bits(tmp_path / "a.bits")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        read_bits(tmp_path / "b.bits")
