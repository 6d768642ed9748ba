from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from datamodules.decode import BrokenSampleError
from datamodules.index import ShardIndex
from datamodules.packing import DatasetParts, pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from datamodules.shards import Sample, SampleSource
from tests.datamodules.folders import contents

CONFIG = ShapesWorldConfig(size=32, num_train=20, num_val=3, prompts_per_task=1)


@dataclass(frozen=True)
class Interrupted:
    """A source that fails once it has given `after` samples, as a full disk or Ctrl-C would."""

    source: SampleSource
    after: int
    given: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        if len(self.given) == self.after:
            raise KeyboardInterrupt
        self.given.append(index)
        return self.source[index]


@dataclass(frozen=True)
class Partly:
    """A source some of whose samples are broken."""

    source: SampleSource
    is_broken: Callable[[int], bool]

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Sample:
        if self.is_broken(index):
            raise BrokenSampleError(f"file {index}: unreadable")
        return self.source[index]


def with_train(parts: DatasetParts, source: SampleSource) -> DatasetParts:
    return parts._replace(splits={**parts.splits, "train": source})


def test_packing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        pack_dataset(tmp_path / name, shapesworld_dataset(CONFIG), samples_per_shard=8)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_packing_in_processes_gives_the_same_bytes(tmp_path: Path) -> None:
    pack_dataset(tmp_path / "a", shapesworld_dataset(CONFIG), samples_per_shard=8)
    pack_dataset(tmp_path / "b", shapesworld_dataset(CONFIG), samples_per_shard=8, num_workers=2)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_an_interrupted_run_goes_on_with_the_missing_shards(tmp_path: Path) -> None:
    parts = shapesworld_dataset(CONFIG)
    pack_dataset(tmp_path / "straight", parts, samples_per_shard=8)
    with pytest.raises(KeyboardInterrupt):
        pack_dataset(
            tmp_path / "resumed",
            with_train(parts, Interrupted(parts.splits["train"], 10)),
            samples_per_shard=8,
        )
    left = [path.name for path in (tmp_path / "resumed" / "train").iterdir()]
    assert sorted(left) == ["00000.tar", "00000_stats.json"]
    rest = Interrupted(parts.splits["train"], 99)
    pack_dataset(tmp_path / "resumed", with_train(parts, rest), samples_per_shard=8)
    assert rest.given == list(range(8, 20))
    assert contents(tmp_path / "resumed") == contents(tmp_path / "straight")


def test_a_finished_data_set_is_left_alone(tmp_path: Path) -> None:
    parts = shapesworld_dataset(CONFIG)
    result = pack_dataset(tmp_path / "a", parts)
    nothing = Interrupted(parts.splits["train"], 0)
    assert pack_dataset(tmp_path / "a", with_train(parts, nothing)) == result


def test_another_description_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    pack_dataset(tmp_path / "a", shapesworld_dataset(CONFIG))
    before = contents(tmp_path / "a")
    other = ShapesWorldConfig(size=48, num_train=20, num_val=3, prompts_per_task=1)
    with pytest.raises(ValueError, match=r"another data set \(size: 32 there, 48 asked for\)"):
        pack_dataset(tmp_path / "a", shapesworld_dataset(other))
    assert contents(tmp_path / "a") == before


def test_a_folder_with_other_things_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty and holds no data set of ours"):
        pack_dataset(tmp_path, shapesworld_dataset(CONFIG))


def test_what_a_run_left_that_was_killed_at_its_start_is_no_other_data_set(tmp_path: Path) -> None:
    (tmp_path / ".dataset.json.7.tmp").write_text("{")
    pack_dataset(tmp_path, shapesworld_dataset(CONFIG))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("text", ["{", "[1]", "3"])
def test_a_damaged_description_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(ValueError, match=r"dataset\.json is damaged"):
        pack_dataset(tmp_path, shapesworld_dataset(CONFIG))


def test_broken_samples_are_left_out_counted_and_named(tmp_path: Path) -> None:
    parts = shapesworld_dataset(CONFIG)
    partly = Partly(parts.splits["train"], lambda index: index == 13)
    result = pack_dataset(tmp_path / "a", with_train(parts, partly), samples_per_shard=8)
    assert result["counts"]["train"] == 19
    assert result["left_out"]["train"] == ["file 13: unreadable"]
    index = ShardIndex.load(tmp_path / "a" / "train")
    assert "train-00000013" not in {index[k].key for k in range(len(index))}


def test_too_many_broken_samples_stop_the_command(tmp_path: Path) -> None:
    parts = shapesworld_dataset(CONFIG)
    partly = Partly(parts.splits["train"], lambda index: index % 2 == 0)
    with pytest.raises(ValueError, match=r"10 of \d+ samples are unusable.*0\.1: file 0: unreadable.*allow"):
        pack_dataset(tmp_path / "a", with_train(parts, partly))
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["complete"] is False


def test_a_small_split_may_lose_a_larger_share_than_the_whole_data_set(tmp_path: Path) -> None:
    parts = shapesworld_dataset(CONFIG)
    splits = {**parts.splits, "val": Partly(parts.splits["val"], lambda index: index == 1)}
    assert pack_dataset(tmp_path / "a", parts._replace(splits=splits))["counts"]["val"] == 2


def test_progress_reaches_the_total_of_every_step(tmp_path: Path) -> None:
    done: dict[str, int] = {}
    totals: dict[str, int] = {}

    def progress(what: str, count: int, total: int) -> None:
        done[what] = done.get(what, 0) + count
        totals[what] = total

    pack_dataset(tmp_path / "a", shapesworld_dataset(CONFIG), samples_per_shard=8, progress=progress)
    assert done == totals
    assert {"pack train", "index train", "pack val", "pack eval"} <= set(done)
