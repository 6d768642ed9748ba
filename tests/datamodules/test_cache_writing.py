"""Side shards are written whole, in any number of goes and parts, always with the same bytes."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from datamodules.cache_writing import Encoded, Written, write_cache
from datamodules.caching import CacheFacts, SampleCache, caption_name
from datamodules.index import ShardIndex
from tests.datamodules.folders import contents


def facts_of(index: ShardIndex) -> CacheFacts:
    return CacheFacts(content="text", encoder="e", index=index.fingerprint, captions=("caption",))


def encoded(index: ShardIndex, rows: range) -> Encoded:
    for sample in rows:
        yield sample, {index[sample].key: torch.full((2, 3), float(sample))}


def killed_at(index: ShardIndex, sample: int, rows: range) -> Encoded:
    for found in encoded(index, rows):
        if found[0] == sample:
            os.kill(os.getpid(), signal.SIGKILL)
        yield found


def test_a_killed_run_goes_on_with_the_missing_side_shards(shared_root: Path, tmp_path: Path) -> None:
    index = ShardIndex.load(shared_root / "train")
    facts = facts_of(index)
    assert write_cache(tmp_path / "straight", index, facts, lambda rows: encoded(index, rows)) == (101, [])
    child = os.fork()
    if not child:
        try:
            write_cache(tmp_path / "killed", index, facts, lambda rows: killed_at(index, 60, rows))
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    left = contents(tmp_path / "killed")
    assert {name for name in left if name.endswith(".tar")} == {"00000.tar", "00001.tar"}
    with pytest.raises(ValueError, match="it isn't complete"):
        SampleCache.load(tmp_path / "killed")
    asked: list[range] = []

    def rest(rows: range) -> Iterator[tuple[int, dict[str, torch.Tensor]]]:
        asked.append(rows)
        return encoded(index, rows)

    assert write_cache(tmp_path / "killed", index, facts, rest) == (101, [])
    assert [rows.start for rows in asked] == [50, 75, 100]
    assert contents(tmp_path / "killed") == contents(tmp_path / "straight")


def test_parts_make_the_same_cache_together(shared_root: Path, tmp_path: Path) -> None:
    index = ShardIndex.load(shared_root / "train")
    facts = facts_of(index)
    write_cache(tmp_path / "whole", index, facts, lambda rows: encoded(index, rows))
    counts = [
        write_cache(tmp_path / "parts", index, facts, lambda rows: encoded(index, rows), part=k, num_parts=2)
        for k in (1, 0)
    ]
    assert counts == [(None, []), (101, [])]
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_what_is_left_out_is_named_also_by_runs_that_find_it_done(shared_root: Path, tmp_path: Path) -> None:
    index = ShardIndex.load(shared_root / "train")

    def partly(rows: range) -> Encoded:
        for sample, tensors in reversed(list(encoded(index, rows))):
            yield sample, "torn" if sample in (3, 7, 60) else tensors

    def write(part: int) -> Written:
        return write_cache(tmp_path, index, facts_of(index), partly, part=part, num_parts=2)

    named = [f"train-{sample:08}: torn" for sample in (3, 7, 60)]
    assert write(1) == (None, [])
    assert write(0) == (98, named)
    before = contents(tmp_path)
    assert write(1) == (98, named)
    assert contents(tmp_path) == before
    with pytest.raises(ValueError, match="not in the cache"):
        SampleCache.load(tmp_path).tensor(7, "train-00000007")


def test_places_of_another_split_are_refused(shared_root: Path, tmp_path: Path) -> None:
    for split in ("train", "val"):
        index = ShardIndex.load(shared_root / split)
        write_cache(tmp_path / split, index, facts_of(index), lambda rows, index=index: encoded(index, rows))
    shutil.copy(tmp_path / "val" / "places.npy", tmp_path / "train")
    with pytest.raises(ValueError, match=r"places\.npy has another size than when it was written"):
        SampleCache.load(tmp_path / "train")


def test_every_tensor_is_found_under_its_sample_and_name(shared_root: Path, tmp_path: Path) -> None:
    index = ShardIndex.load(shared_root / "train")
    write_cache(tmp_path, index, facts_of(index), lambda rows: encoded(index, rows))
    loaded = SampleCache.load(tmp_path)
    for sample in (0, 24, 25, 100):
        assert torch.equal(loaded.tensor(sample, index[sample].key), torch.full((2, 3), float(sample)))
    with pytest.raises(ValueError, match="its caption is not in the cache"):
        loaded.tensor(0, caption_name("another"))
