from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datamodules.__main__ import main
from datamodules.index import ShardIndex, read_sample
from tests.datamodules.drawn import texture, write_split

CHAIN = "steps:\n  - resolution: {min: 40}\n  - caption_length: {min: 2}\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """`train` of 9 samples in 2 shards, `val` of 2; keys repeat from shard to shard, as in foreign shards."""
    shards = [
        [
            (f"k{k}", texture(10 * shard + k, 36 + 2 * k, 64), "red" if k == 3 else "a red one")
            for k in range(size)
        ]
        for shard, size in enumerate((5, 4))
    ]
    write_split(tmp_path / "in" / "train", *shards)
    write_split(tmp_path / "in" / "val", [("v", texture(50), "a red one"), ("w", texture(51), "no")])
    return tmp_path / "in"


def curate(source: Path, out: Path, *options: str, chain: str = CHAIN) -> int:
    config = out.parent / "curate.yaml"
    config.write_text(chain)
    return main(["curate", str(source), str(out), "--config", str(config), "--num_workers=1", *options])


def test_the_new_index_finds_the_samples_that_stay_in_the_old_shards(source: Path, tmp_path: Path) -> None:
    assert curate(source, tmp_path / "out") == 0
    old, new = ShardIndex.load(source / "train"), ShardIndex.load(tmp_path / "out" / "train")
    new.verify()
    assert [new[k].key for k in range(len(new))] == ["00000/k2", "00000/k4", "00001/k2"]
    for number, old_number in enumerate((2, 4, 7)):
        found = [
            read_sample(index.open_shard(index[at].shard), index[at])
            for index, at in ((old, old_number), (new, number))
        ]
        assert found[0] == found[1]
    assert not list((tmp_path / "out").rglob("*.tar"))
    assert len(ShardIndex.load(tmp_path / "out" / "val")) == 1


def test_the_record_holds_counts_settings_and_where_the_data_came_from(source: Path, tmp_path: Path) -> None:
    assert curate(source, tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "curation.json").read_text())
    assert (record["source"], record["complete"]) == ("../in", True)
    train = record["splits"]["train"]
    assert train["source_fingerprint"] == ShardIndex.load(source / "train").fingerprint
    assert (train["num_in"], train["num_out"]) == (9, 3)
    assert [(step["step"], step["num_dropped"]) for step in train["steps"]] == [
        ("resolution", 4),
        ("caption_length", 2),
    ]
    assert train["steps"][0]["settings"] == {"min": 40, "max": None}
    assert (tmp_path / "out" / "train" / "sheets" / "01_resolution.png").is_file()


def test_in_processes_the_result_is_the_same(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datamodules.curation.scores._CHUNK", 2)
    assert curate(source, tmp_path / "one") == 0
    assert curate(source, tmp_path / "two", "--num_workers=2") == 0
    one, two = (ShardIndex.load(tmp_path / name / "train").fingerprint for name in ("one", "two"))
    assert one == two


def test_a_dry_run_writes_nothing(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert curate(source, tmp_path / "out", "--dry-run") == 0
    assert "What would be done" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_only_the_named_splits_are_filtered(source: Path, tmp_path: Path) -> None:
    assert curate(source, tmp_path / "out", "--splits", "val") == 0
    assert not (tmp_path / "out" / "train").exists()
    assert curate(source, tmp_path / "both", "--splits=train,val") == 0
    assert (tmp_path / "both" / "train" / "index.json").exists()


def test_the_record_keeps_the_splits_that_a_later_run_leaves_out(source: Path, tmp_path: Path) -> None:
    def record() -> dict[str, Any]:
        return json.loads((tmp_path / "out" / "curation.json").read_text())

    assert curate(source, tmp_path / "out") == 0
    first = record()
    assert curate(source, tmp_path / "out", "--splits=val", chain="steps: [{resolution: {min: 1}}]") == 0
    assert record()["complete"]
    assert record()["splits"]["train"] == first["splits"]["train"]
    assert record()["splits"]["val"]["num_out"] == 2 > first["splits"]["val"]["num_out"]
    assert curate(source, tmp_path / "out", "--splits=val", chain="steps: [{resolution: {min: 900}}]") == 1
    assert not record()["complete"]
    assert record()["splits"] == {"train": first["splits"]["train"]}
    assert not (tmp_path / "out" / "val" / "index.json").exists()


def test_the_list_tells_what_every_step_needs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["curate", "--list"]) == 0
    told = capsys.readouterr().out
    for word in ("resolution", "text_area", "rapidocr-onnxruntime", "watermark_model_v1.pt", "max_distance"):
        assert word in told


@pytest.mark.parametrize(
    ("options", "chain", "message"),
    [
        (
            ["--splits=[train]"],
            "steps: [near_duplicates: {}]",
            "near_duplicates compares all splits, but --splits leaves out val",
        ),
        (["--splits=val"], "steps: [near_duplicates: {}]", "but --splits leaves out train; name all of them"),
        (["--splits=[test]"], CHAIN, "there is no split test; there are train, val"),
        ([], "steps: [{blur: {}}]", "no step is called blur"),
        ([], "steps: [{watermark: {}}]", "watermark needs local weights in `network_weights`"),
        ([], "steps: [{resolution: {min: 900}}]", "no sample of val passes all steps"),
    ],
)
def test_errors_are_one_sentence(
    options: list[str],
    chain: str,
    message: str,
    source: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert curate(source, tmp_path / "out", *options, chain=chain) == 1
    assert message in capsys.readouterr().err.strip().splitlines()[-1]


def test_folders_that_hold_something_else_are_refused(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert curate(source, source) == 1
    assert "is not empty and holds no curation" in capsys.readouterr().err
    assert curate(source, tmp_path / "out") == 0
    (tmp_path / "begun").mkdir()
    (tmp_path / "begun" / ".curation.json.7.tmp").write_text("{")  # of a run that was killed
    assert curate(source, tmp_path / "begun") == 0
    other = tmp_path / "other"
    write_split(other / "train", [("k", texture(1), "a red one")])
    assert curate(other, tmp_path / "out") == 1
    assert "holds a curation of" in capsys.readouterr().err
    assert curate(source, tmp_path / "out") == 0
