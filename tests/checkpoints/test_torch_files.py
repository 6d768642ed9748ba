"""Foreign files are read without executing anything, and refused in one sentence if they can't be."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from infinity.checkpoints.torch_files import read_checkpoint

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b.c": torch.ones(4, dtype=torch.bfloat16)}


class Bomb:
    """Executes a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def assert_tensors(content: Any) -> None:
    assert content.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert content[name].dtype == tensor.dtype
        assert torch.equal(content[name], tensor)


def write_shards(folder: Path, *, suffix: str) -> dict[str, str]:
    """A folder as Hugging Face's libraries write it; return its index."""
    stem = "pytorch_model" if suffix == "bin" else "model"
    files = {name: f"{stem}-0000{i}-of-00002.{suffix}" for i, name in enumerate(TENSORS, 1)}
    folder.mkdir(exist_ok=True)
    for name, file in files.items():
        content = {name: TENSORS[name]}
        torch.save(content, folder / file) if suffix == "bin" else save_file(content, folder / file)
    index = {"metadata": {"total_size": 32}, "weight_map": files}
    (folder / f"{stem}.{suffix}.index.json").write_text(json.dumps(index))
    return files


@pytest.mark.parametrize("zipped", [True, False])
def test_torch_files_of_both_formats_are_read(tmp_path: Path, zipped: bool) -> None:
    torch.save(TENSORS, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    assert_tensors(read_checkpoint(tmp_path / "a.pth"))


def test_safetensors_files_are_read(tmp_path: Path) -> None:
    save_file(TENSORS, tmp_path / "a.safetensors")
    assert_tensors(read_checkpoint(tmp_path / "a.safetensors"))


@pytest.mark.parametrize("suffix", ["bin", "safetensors"])
def test_folders_of_shards_are_read(tmp_path: Path, suffix: str) -> None:
    write_shards(tmp_path, suffix=suffix)
    assert_tensors(read_checkpoint(tmp_path))


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux")
def test_large_files_are_mapped_and_not_read_at_once(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "a.pth")
    content = read_checkpoint(tmp_path / "a.pth")
    assert str(tmp_path / "a.pth") in Path("/proc/self/maps").read_text()
    assert not content["a"].any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", ["zip", "legacy", "pickle 2", "pickle 5"])
def test_nothing_in_a_file_is_executed(tmp_path: Path, form: str) -> None:
    content = {**TENSORS, "bomb": Bomb(f"touch {tmp_path / 'executed'}")}
    path = tmp_path / "a.pth"
    if form.startswith("pickle"):
        path.write_bytes(pickle.dumps(content["bomb"], protocol=int(form[-1])))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    refusal = r"holds Python objects \((posix|nt)\.system\)|is damaged, .* \(Unsupported operand"
    with pytest.raises(ValueError, match=refusal) as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("package", ["numpy.core", "numpy._core"])  # before NumPy 2, and since
def test_numbers_of_numpy_beside_tensors_are_passed_over(tmp_path: Path, package: str) -> None:
    content = {**TENSORS, "args": {"last_wei_g": np.median([0.5, 1.5]), "epoch": 3}}  # as officially
    torch.save(
        content, tmp_path / "a.pth", _use_new_zipfile_serialization=False
    )  # where names can be replaced
    written = re.sub(rb"numpy\._?core", package.encode(), (tmp_path / "a.pth").read_bytes())
    assert f"c{package}.multiarray\nscalar\n".encode() in written
    (tmp_path / "a.pth").write_bytes(written)
    read = read_checkpoint(tmp_path / "a.pth")
    assert read.pop("args")["epoch"] == 3
    assert_tensors(read)
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / "a.pth", weights_only=True)  # nothing is allowed for good


@pytest.mark.parametrize("kept", [0.0, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_truncated_files_are_refused(tmp_path: Path, form: str, kept: float) -> None:
    path = tmp_path / ("a.safetensors" if form == "safetensors" else "a.pth")
    if form == "safetensors":
        save_file(TENSORS, path)
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=form == "zip")
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(ValueError, match="is damaged, truncated or no checkpoint") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


def test_a_file_of_which_a_single_bit_has_changed_is_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1000)}, tmp_path / "a.pth")
    content = bytearray((tmp_path / "a.pth").read_bytes())
    content[content.index(bytes(4000)) + 2000] ^= 1
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.pth is damaged, .* \(Bad CRC-32 for file .*\); copy it again"):
        read_checkpoint(tmp_path / "a.pth")


def test_a_file_without_checksums_is_read(tmp_path: Path) -> None:
    assert torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        torch.save(TENSORS, tmp_path / "a.pth")
    finally:
        torch.serialization.set_crc32_options(True)
    assert_tensors(read_checkpoint(tmp_path / "a.pth"))


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors", "a.txt"])
def test_files_of_another_kind_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("This is no checkpoint but a text, long enough for any header.\n" * 10)
    with pytest.raises(ValueError, match="is damaged, truncated or no checkpoint"):
        read_checkpoint(tmp_path / name)


def test_paths_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"there is no file or folder .*nothing"):
        read_checkpoint(tmp_path / "nothing")
    with pytest.raises(ValueError, match="holds no index of shards"):
        read_checkpoint(tmp_path)


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    files = write_shards(tmp_path, suffix="bin")
    (tmp_path / files["a"]).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"holds no {files['a']}, listed in pytorch_model\.bin\.index"
    ):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("index", "message"),
    [
        ({"weight_map": {"a": "../a.bin"}}, r"must list files in its own folder, got '\.\./a\.bin'"),
        ({"weight_map": {"a": 3}}, "must list files in its own folder, got 3"),
        ({"weight_map": {}}, "has no 'weight_map'"),
        ([1], "must hold a JSON object, got list"),
        ("{", "is not JSON"),
        pytest.param("[" * 100_000, "is not JSON", id="deep"),
    ],
)
def test_wrong_indexes_are_refused(tmp_path: Path, index: Any, message: str) -> None:
    text = index if isinstance(index, str) else json.dumps(index)
    (tmp_path / "pytorch_model.bin.index.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_checkpoint(tmp_path)


def test_a_shard_with_other_tensors_than_listed_is_refused(tmp_path: Path) -> None:
    files = write_shards(tmp_path, suffix="bin")
    torch.save(TENSORS, tmp_path / files["a"])
    with pytest.raises(ValueError, match=r"does not hold what pytorch_model\.bin\.index\.json lists for it"):
        read_checkpoint(tmp_path)
