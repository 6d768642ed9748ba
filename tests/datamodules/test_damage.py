"""A damaged file of ours is one sentence that names the file and says what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from datamodules.__main__ import main
from datamodules.engines import Processes
from datamodules.index import ShardIndex
from datamodules.indexing import index_shards
from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from tests.datamodules.drawn import texture, write_split

DAMAGES = {
    "cut": b'{"a": ',
    "list": b"[1]",
    "fields": b'{"a": 1}',
    "bytes": b"\xff\xfe",
    "deep": b"[" * 100_000,
    "empty": b"",
}
damages = pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
few_damages = pytest.mark.parametrize("content", [DAMAGES["cut"], DAMAGES["fields"]], ids=["cut", "fields"])
TEXT = "--text={kind: hashing, hashing: {width: 8, max_len: 8}}"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "in"
    write_split(root / "train", [(f"k{k}", texture(k), "a red one") for k in range(3)])
    return root


def refusal(arguments: list[object], capsys: pytest.CaptureFixture[str]) -> str:
    """The one sentence of a command that can't go on."""
    capsys.readouterr()
    assert main([*map(str, arguments), "--num_workers=1"]) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("error: ")
    return line


@few_damages
def test_the_record_of_a_curation(
    root: Path, tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "chain.yaml").write_text("steps: [{resolution: {min: 40}}]")
    arguments = ["curate", root, tmp_path / "out", f"--config={tmp_path / 'chain.yaml'}"]
    assert main([*map(str, arguments), "--num_workers=1"]) == 0
    (tmp_path / "out" / "curation.json").write_bytes(content)
    told = refusal(arguments, capsys)
    assert f"{tmp_path / 'out' / 'curation.json'} is damaged (" in told
    assert "; choose another directory, or remove" in told
    assert len(ShardIndex.load(tmp_path / "out" / "train")) == 3


@damages
def test_the_description_of_a_cache(root: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cache", str(root), TEXT]) == 0
    (header,) = (root / "caches").glob("*/train/cache.json")
    header.write_bytes(content)
    told = refusal(["cache", root, TEXT], capsys)
    assert f"{header} is damaged (" in told
    assert f"; remove {header.parent} and call again, or choose another one with --out" in told


@pytest.mark.parametrize("name", ["00000.json", "00000.npy"])
@pytest.mark.parametrize("content", [b"", b"[" * 100_000, b"3"], ids=["empty", "deep", "number"])
def test_what_lies_beside_a_side_shard(
    root: Path, name: str, content: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", str(root), TEXT]) == 0
    (path,) = (root / "caches").glob(f"*/train/{name}")
    before = path.read_bytes()
    path.write_bytes(content)
    shard = path.with_suffix(".tar")
    told = refusal(["cache", root, TEXT], capsys)
    assert f"{path} is damaged (" in told
    assert f"; remove {shard} and call again, which makes both anew" in told
    shard.unlink()
    assert main(["cache", str(root), TEXT]) == 0
    assert path.read_bytes() == before


@damages
def test_the_description_of_a_data_set(tmp_path: Path, content: bytes) -> None:
    config = ShapesWorldConfig(size=32, num_train=4, num_val=2, prompts_per_task=1)
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"dataset\.json is damaged \(|holds another data set"):
        pack_dataset(tmp_path, shapesworld_dataset(config))


@few_damages
def test_what_was_left_out_of_a_shard(tmp_path: Path, content: bytes) -> None:
    config = ShapesWorldConfig(size=32, num_train=4, num_val=2, prompts_per_task=1)
    parts = shapesworld_dataset(config)
    made = pack_dataset(tmp_path / "a", parts)
    manifest = json.loads((tmp_path / "a" / "dataset.json").read_text())
    manifest["complete"] = False  # as if it had been stopped right before the end
    (tmp_path / "a" / "dataset.json").write_text(json.dumps(manifest))
    (tmp_path / "a" / "val" / "00000_stats.json").write_bytes(content)
    with pytest.raises(
        ValueError, match=r"val/00000_stats\.json is damaged \(.*; remove 00000\.tar beside it and call again"
    ):
        pack_dataset(tmp_path / "a", parts)
    (tmp_path / "a" / "val" / "00000.tar").unlink()
    assert pack_dataset(tmp_path / "a", parts)["counts"] == made["counts"]


@damages
def test_an_index(root: Path, content: bytes) -> None:
    (root / "train" / "index.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"the index of .*train (is damaged|has version None)"):
        ShardIndex.load(root / "train")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04"], ids=["empty", "cut"])
def test_the_scan_of_a_shard(root: Path, tmp_path: Path, content: bytes) -> None:
    shards = [*root.glob("train/*.tar")]
    with pytest.raises(ValueError, match="none of 3 samples"):  # once all is scanned
        index_shards(shards, {str(tmp_path / "out"): lambda key: False}, engine=Processes())
    (scan,) = (tmp_path / "out").rglob("*.npz")
    scan.write_bytes(content)
    with pytest.raises(ValueError, match=rf"{scan.name} is damaged \(.*; remove it, and its shard is"):
        index_shards(shards, {str(tmp_path / "out"): None}, engine=Processes())
    scan.unlink()
    index_shards(shards, {str(tmp_path / "out"): None}, engine=Processes())
    assert len(ShardIndex.load(tmp_path / "out")) == 3
