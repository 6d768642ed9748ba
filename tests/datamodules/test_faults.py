"""Broken samples: replaced or left out, counted, named, and too many of them stop the run."""

from __future__ import annotations

import logging
from itertools import repeat
from pathlib import Path

import numpy as np
import pytest

from datamodules.bucketing import assign_buckets
from datamodules.index import ShardIndex, scan_shard, write_index
from datamodules.reader import BatchRequest
from datamodules.stream import BrokenDataError
from tests.datamodules.conftest import CONFIG, RESOLUTION, MakeModule, on_rank


def damage(root: Path, split: str, *keys: str) -> None:
    """Overwrite the middle of these samples' images; the shard keeps its size."""
    index = ShardIndex.load(root / split)
    for row in (index[k] for k in range(len(index))):
        if row.key in keys:
            with index.shard_path(row.shard).open("r+b") as file:
                file.seek(row.image.start)
                file.write(b"\0" * (row.image.num_bytes // 2))


@pytest.mark.parametrize("num_workers", [0, 2])
def test_a_broken_sample_is_replaced_counted_and_named(
    root: Path, make_module: MakeModule, num_workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    damage(root, "train", "train-00000017")
    stream = make_module(root, num_workers=num_workers, max_bad_fraction=0.1).train_dataloader()
    straight = [key for batch in make_module().train_dataloader() for key in batch.keys]
    with caplog.at_level(logging.WARNING):
        batches = [*stream, *stream]
    assert all(len(batch.keys) == 4 for batch in batches)
    got = [key for batch in batches for key in batch.keys][: len(straight)]
    assert "train-00000017" in straight
    assert [(a, b) for a, b in zip(straight, got, strict=True) if a != b][0][0] == "train-00000017"
    assert sum(a != b for a, b in zip(straight, got, strict=True)) == 1
    assert stream.faults.num_broken == 1  # of the second pass
    assert sum("train-00000017" in record.message for record in caplog.records) == 1
    assert "00000.tar" in caplog.text


def test_a_broken_validation_sample_is_left_out(root: Path, make_module: MakeModule) -> None:
    damage(root, "val", "val-00000004")
    stream = make_module(root, max_bad_fraction=0.1).val_dataloader()
    seen = [key for batch in stream for key in batch.keys]
    assert sorted(seen) == [f"val-{k:08d}" for k in range(CONFIG.num_val) if k != 4]
    assert stream.faults.num_broken == 1


def test_a_validation_batch_is_never_empty(root: Path, make_module: MakeModule) -> None:
    damage(root, "val", "val-00000004")
    stream = make_module(root, batch_size=1, max_bad_fraction=0.1).val_dataloader()
    batches = list(stream)
    assert len(batches) == CONFIG.num_val
    assert {len(batch.keys) for batch in batches} == {1}
    seen = [key for batch in batches if batch.counts for key in batch.keys]  # its substitute counts once
    assert sorted(seen) == [f"val-{k:08d}" for k in range(CONFIG.num_val) if k != 4]


def test_too_many_broken_samples_stop_the_run_with_a_summary(root: Path, make_module: MakeModule) -> None:
    damage(root, "train", *(f"train-{k:08d}" for k in range(5, 25)))
    stream = make_module(root, max_bad_fraction=0.05).train_dataloader()
    with pytest.raises(
        BrokenDataError, match=r"\d+ of \d+ train samples read are broken.*max_bad_fraction = 0\.05"
    ):
        list(stream)


def test_a_known_broken_sample_does_not_add_up_over_passes(root: Path, make_module: MakeModule) -> None:
    damage(root, "train", "train-00000017")
    stream = make_module(root, max_bad_fraction=0.01).train_dataloader()  # one of 101
    for _ in range(3):
        assert len(list(stream)) == len(stream)


def test_the_next_sample_of_the_same_aspect_ratio_takes_the_place(
    root: Path, make_module: MakeModule
) -> None:
    reader = make_module(root).train_dataloader().reader
    ratios = RESOLUTION.aspect_ratios
    buckets = assign_buckets(reader.index.widths, reader.index.heights, ratios)
    members = np.flatnonzero(buckets == 1).tolist()
    damage(root, "train", *(reader.index[k].key for k in (members[-1], members[0])))
    loaded = reader[BatchRequest(ratios[1], (members[-1], members[2]))]
    assert loaded.batch is not None
    assert loaded.batch.keys == [reader.index[k].key for k in (members[1], members[2])]
    assert [key for key, _ in loaded.broken] == [reader.index[members[-1]].key]


def test_a_stretch_of_broken_samples_is_counted_by_sample_and_jumped_over(
    root: Path, make_module: MakeModule
) -> None:
    straight = [key for batch in make_module().train_dataloader() for key in batch.keys]
    broken = {f"train-{k:08d}" for k in range(5, 45)}  # a dozen of every aspect ratio in a row
    damage(root, "train", *broken)
    stream = make_module(root, max_bad_fraction=0.4).train_dataloader()
    assert all(len(batch.keys) == 4 for batch in stream)
    assert stream.faults.num_broken == len(broken.intersection(straight)) > 30
    assert stream.faults.num_read == len(straight)


def test_substitutes_are_looked_for_ever_farther_away(
    root: Path, make_module: MakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.reader._NEIGHBOURS", 2)
    reader = make_module(root).train_dataloader().reader
    members = np.flatnonzero(reader.buckets == 1).tolist()
    damage(root, "train", *(reader.index[k].key for k in members[1:7]))
    loaded = reader[BatchRequest(RESOLUTION.aspect_ratios[1], (members[1],))]
    assert loaded.batch is not None
    assert loaded.batch.keys == [reader.index[members[9]].key]  # behind the places 1, 2, 4


def test_a_training_batch_never_shrinks(
    root: Path, make_module: MakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.reader._NEIGHBOURS", 2)
    reader = make_module(root).train_dataloader().reader
    members = np.flatnonzero(reader.buckets == 1).tolist()
    readable = members.pop(4)
    damage(root, "train", *(reader.index[k].key for k in members))
    loaded = reader[BatchRequest(RESOLUTION.aspect_ratios[1], (readable, members[1]))]
    assert loaded.batch is None
    assert [key for key, _ in loaded.broken] == [reader.index[members[1]].key]


@pytest.mark.parametrize(("num_ranks", "floor"), [(1, 23 * 200), (2, 23 * 100), (8, 1000)])
def test_what_is_too_much_in_validation_is_a_share_of_what_a_rank_reads(
    root: Path, make_module: MakeModule, num_ranks: int, floor: int
) -> None:
    write_index(root / "val", repeat(scan_shard(root / "val" / "00000.tar"), 200))
    assert on_rank(make_module(root), 0, num_ranks).val_dataloader().faults.num_floor == floor


def test_a_sample_whose_pixels_cannot_be_cropped_is_a_broken_one(
    make_module: MakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise ValueError("box offset can't be negative")

    monkeypatch.setattr("datamodules.reader.bucket_pixels", fail)
    with pytest.raises(BrokenDataError, match="box offset can't be negative in"):
        list(make_module(max_bad_fraction=1.0).train_dataloader())


def test_a_fully_broken_bucket_stops_the_run(root: Path, make_module: MakeModule) -> None:
    damage(root, "train", *(f"train-{k:08d}" for k in range(CONFIG.num_train)))
    with pytest.raises(
        BrokenDataError, match=r"train sample \S+ is broken, and so is all that .*: \d+ x undecodable"
    ):
        list(make_module(root, max_bad_fraction=1.0).train_dataloader())


def test_a_shard_cut_short_while_training_breaks_only_its_samples(
    root: Path, make_module: MakeModule
) -> None:
    stream = make_module(root, max_bad_fraction=0.9).train_dataloader()
    shard = root / "train" / "00002.tar"
    shard.write_bytes(shard.read_bytes()[:20_000])
    assert len(list(stream)) == len(stream)
    assert list(stream.faults.causes) == [f"its shard is cut short in {shard}"]


def test_substitutes_are_looked_for_in_chunks_once_around(
    make_module: MakeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.reader._CHUNK", 7)
    reader = make_module().train_dataloader().reader
    members = np.flatnonzero(reader.buckets == reader.buckets[50]).tolist()
    place = members.index(50)
    assert list(reader._others_of_bucket(50)) == members[place + 1 :] + members[:place]


def test_a_shard_that_vanishes_while_training_is_named_and_stops_the_run(
    root: Path, make_module: MakeModule
) -> None:
    stream = make_module(root, max_bad_fraction=0.05).train_dataloader()
    shard = root / "train" / "00002.tar"
    shard.unlink()
    with pytest.raises(BrokenDataError, match=rf"more than max_bad_fraction = 0\.05 allows: .*{shard}"):
        list(stream)


def test_a_shard_that_is_replaced_while_training_is_named_and_stops_the_run(
    root: Path, make_module: MakeModule
) -> None:
    stream = make_module(root, max_bad_fraction=0.05).train_dataloader()
    shard = root / "train" / "00002.tar"
    other = (root / "train" / "00001.tar").read_bytes()
    shard.write_bytes(other[: shard.stat().st_size].ljust(shard.stat().st_size, b"\0"))
    with pytest.raises(BrokenDataError, match=f"its shard was changed after it was indexed in {shard}"):
        list(stream)
