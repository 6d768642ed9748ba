from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from datamodules.curation import BoundedStep, CuratedSplit, Step, curate_split, plan_split, scores
from datamodules.curation.duplicate_step import NearDuplicates
from datamodules.curation.header_steps import ImageResolution
from datamodules.index import ShardIndex
from datamodules.sample_files import StoredSample
from tests.datamodules.drawn import damaged, encoded, texture, write_split


@dataclass(frozen=True, kw_only=True)
class Brightness(BoundedStep):
    """Counts what it scores, and stops when told to."""

    channel: int = 0

    name: ClassVar[str] = "brightness"
    score_is: ClassVar[str] = "mean of a channel"
    scored: ClassVar[list[str]] = []
    stop_at: ClassVar[int] = 1000

    def score(self, sample: StoredSample) -> float:
        if len(self.scored) >= self.stop_at:
            raise KeyboardInterrupt
        value = float(np.asarray(sample.image)[..., self.channel].mean())
        self.scored.append(sample.row.key)
        return value


@pytest.fixture(autouse=True)
def _counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Brightness, "scored", [])
    monkeypatch.setattr(Brightness, "stop_at", 1000)
    monkeypatch.setattr(scores, "_CHUNK", 4)


@pytest.fixture
def greys(tmp_path: Path) -> ShardIndex:
    """20 images in 2 shards; image k is of brightness 10 k in all channels and k + 30 pixels wide."""
    samples = [
        (f"k{k:02d}", Image.new("RGB", (30 + k, 60), (10 * k,) * 3), f"grey of {10 * k}") for k in range(20)
    ]
    return write_split(tmp_path / "in", samples[:12], samples[12:])


def curate(index: ShardIndex, steps: list[Step], out: Path, others: tuple[CuratedSplit, ...] = ()) -> Any:
    return curate_split(index, steps, out, others, num_workers=1, progress=lambda *_: None)


def logged(out: Path) -> dict[str, dict[str, Any]]:
    lines = (out / "dropped.jsonl").read_text("utf-8").splitlines()
    return {line["key"]: line for line in map(json.loads, lines)}


def test_steps_keep_what_lies_within_their_bounds_and_log_the_rest(greys: ShardIndex, tmp_path: Path) -> None:
    result = curate(greys, [ImageResolution(min=35), Brightness(max=120)], tmp_path / "out")
    assert result.kept.tolist() == list(range(5, 13))
    first, second = result.reports
    assert (first.num_in, first.num_dropped, first.num_out, first.num_scored) == (20, 5, 15, 0)
    assert (second.num_in, second.num_dropped, second.num_out, second.num_scored) == (15, 7, 8, 15)
    assert second.settings == {"channel": 0, "min": None, "max": 120}
    log = logged(tmp_path / "out")
    assert len(log) == 12
    assert log["k00"] == {"key": "k00", "step": "resolution", "score": 30.0, "reason": "30 < min 35"}
    assert log["k19"]["reason"] == "190 > max 120"


def test_another_bound_scores_nothing_again_and_another_setting_scores_that_step_again(
    greys: ShardIndex, tmp_path: Path
) -> None:
    curate(greys, [Brightness(max=120)], tmp_path / "out")
    assert len(Brightness.scored) == 20
    assert curate(greys, [Brightness(min=50, max=100)], tmp_path / "out").kept.tolist() == list(range(5, 11))
    assert len(Brightness.scored) == 20
    curate(greys, [Brightness(max=120), Brightness(channel=1, max=110)], tmp_path / "out")
    assert len(Brightness.scored) == 20 + 13


def test_more_survivors_of_the_steps_before_are_all_that_is_scored(greys: ShardIndex, tmp_path: Path) -> None:
    curate(greys, [ImageResolution(min=40), Brightness()], tmp_path / "out")
    assert Brightness.scored == [f"k{k}" for k in range(10, 20)]
    result = curate(greys, [ImageResolution(min=35), Brightness(max=120)], tmp_path / "out")
    assert Brightness.scored[10:] == [f"k{k:02d}" for k in range(5, 10)]
    assert result.kept.tolist() == list(range(5, 13))


def test_a_run_that_was_killed_goes_on(
    greys: ShardIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Brightness, "stop_at", 10)
    with pytest.raises(KeyboardInterrupt):
        curate(greys, [Brightness(max=120)], tmp_path / "out")
    monkeypatch.setattr(Brightness, "stop_at", 1000)
    result = curate(greys, [Brightness(max=120)], tmp_path / "out")
    assert result.kept.tolist() == list(range(13))
    assert result.reports[0].num_scored == 12  # 2 chunks of 4 were kept
    assert Brightness.scored[8:10] == Brightness.scored[10:12]


def test_a_plan_tells_what_is_to_be_scored_and_writes_nothing(greys: ShardIndex, tmp_path: Path) -> None:
    steps = [ImageResolution(min=35), Brightness(max=120), Brightness(channel=1)]
    planned = plan_split(greys, steps, tmp_path / "out", ())
    assert [report.num_scored for report in planned.reports] == [0, 15, 15]
    assert [report.num_out for report in planned.reports] == [15, None, None]
    assert planned.kept is None
    assert not (tmp_path / "out").exists()
    done = curate(greys, steps, tmp_path / "out")
    planned = plan_split(greys, steps, tmp_path / "out", ())
    assert planned.kept is not None
    assert planned.kept.tolist() == done.kept.tolist()
    assert [report.num_scored for report in planned.reports] == [0, 0, 0]


def test_unreadable_images_are_dropped_with_their_cause_and_remembered(tmp_path: Path) -> None:
    samples = [(f"k{k}", texture(k), "words") for k in range(6)]
    samples[3] = ("k3", damaged(texture(3)), "words")  # type: ignore[call-overload]
    index = write_split(tmp_path / "in", samples)
    for _ in range(2):
        result = curate(index, [Brightness()], tmp_path / "out")
        assert result.kept.tolist() == [0, 1, 2, 4, 5]
        assert result.reports[0].num_broken == 1
        assert logged(tmp_path / "out")["k3"]["reason"].startswith("unreadable: undecodable image")
    assert len(Brightness.scored) == 5


def test_a_shard_that_changed_is_scored_again(tmp_path: Path) -> None:
    curate(write_split(tmp_path / "a", [("k", texture(1), "words")]), [Brightness()], tmp_path / "out")
    curate(write_split(tmp_path / "b", [("k", texture(2, 90), "words")]), [Brightness()], tmp_path / "out")
    assert len(Brightness.scored) == 2


def test_damaged_scores_are_named(greys: ShardIndex, tmp_path: Path) -> None:
    curate(greys, [Brightness()], tmp_path / "out")
    path = next((tmp_path / "out" / "scores").rglob("*.npz"))
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"{path.name} is damaged .*; remove it"):
        curate(greys, [Brightness()], tmp_path / "out")


def test_every_step_that_drops_shows_it_on_a_sheet(greys: ShardIndex, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / "sheets").mkdir(parents=True)
    (out / "sheets" / "01_old.png").write_bytes(b"")
    curate(greys, [ImageResolution(), Brightness(max=120)], out)
    assert [path.name for path in (out / "sheets").iterdir()] == ["02_brightness.png"]
    with Image.open(out / "sheets" / "02_brightness.png") as sheet:
        assert sheet.width > 1000
        colors = {color for _, color in sheet.convert("RGB").getcolors(2**20) or []}
    assert {(10 * k,) * 3 for k in range(13, 20)} <= colors  # all 7 that are dropped


def test_of_near_duplicates_the_largest_stays_and_training_has_none_of_validation(tmp_path: Path) -> None:
    image = texture(0, 80, 80)
    small = Image.open(write_bytes(tmp_path / "small.jpg", encoded(image.resize((50, 50)), "jpeg")))
    val = write_split(tmp_path / "val", [("v", texture(7, 40, 40), "words"), ("w", texture(8), "words")])
    train = write_split(
        tmp_path / "train",
        [
            ("a", small, "words"),
            ("b", image, "words"),
            ("c", texture(7, 90, 90), "words"),
            ("d", texture(3), "x"),
        ],
    )
    held_out = curate(val, [NearDuplicates()], tmp_path / "out" / "val")
    assert held_out.kept.tolist() == [0, 1]
    result = curate(train, [NearDuplicates()], tmp_path / "out" / "train", (held_out,))
    assert result.kept.tolist() == [1, 3]
    log = logged(tmp_path / "out" / "train")
    assert log["a"]["reason"].startswith("looks like b, ")
    assert log["c"]["reason"].startswith("looks like v of val, ")
    assert (tmp_path / "out" / "train" / "sheets" / "01_near_duplicates.png").is_file()


def write_bytes(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
