from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from lit_modules.checkpoint_files import last_checkpoint, replace_checkpoint, saved_config, starting_point


def write(path: Path, text: str, *, folder: bool) -> Path:
    """A stand-in for a checkpoint: a file, or a folder with one."""
    path.parent.mkdir(exist_ok=True)
    if folder:
        path.mkdir()
        path = path / "shard"
    path.write_text(text)
    return path


def text_of(path: Path) -> str:
    return (path / "shard" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("after", [True, False], ids=["folder", "file"])
@pytest.mark.parametrize("before", [True, False], ids=["folder", "file"])
def test_what_is_written_takes_the_place_of_what_was_there(tmp_path: Path, before: bool, after: bool) -> None:
    last = last_checkpoint(tmp_path)
    write(last, "old", folder=before)
    write(last.with_suffix(".writing"), "new", folder=after)
    replace_checkpoint(last, last.with_suffix(".writing"))
    assert last.is_dir() == after
    assert text_of(last) == "new"
    assert os.listdir(last.parent) == ["last.ckpt"]


def test_a_process_that_dies_while_it_replaces_a_folder_leaves_one_to_go_on_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = last_checkpoint(tmp_path)
    write(last, "old", folder=True)
    write(last.with_suffix(".writing"), "new", folder=True)
    renamed: list[object] = []

    def dying(source: Path, target: Path) -> None:
        if renamed:
            raise KeyboardInterrupt
        renamed.append(source.rename(target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            replace_checkpoint(last, last.with_suffix(".writing"))
    assert text_of(last_checkpoint(tmp_path)) == "old"
    replace_checkpoint(last, last.with_suffix(".writing"))
    assert text_of(last_checkpoint(tmp_path)) == "new"
    assert os.listdir(last.parent) == ["last.ckpt"]


def test_training_starts_from_the_named_checkpoint_or_from_nothing(tmp_path: Path) -> None:
    run, other = tmp_path / "run", write(tmp_path / "other.ckpt", "", folder=False)
    assert starting_point("fit", run, None) is None
    assert starting_point("fit", run, "last") is None
    assert starting_point("fit", run, str(other)) == other
    last = write(run / "last.ckpt", "", folder=False)
    assert starting_point("fit", run, str(last)) == last


def test_a_run_is_gone_on_with_and_never_overwritten(tmp_path: Path) -> None:
    other = write(tmp_path / "other.ckpt", "", folder=False)
    last = last_checkpoint(tmp_path / "run")
    last.parent.mkdir(parents=True)
    write(last, "", folder=False)
    best = write(last.with_name("best.ckpt"), "", folder=False)
    assert starting_point("fit", tmp_path / "run", "last") == last
    assert starting_point("fit", tmp_path / "run", str(best)) == best
    for ckpt_path in (None, str(other)):
        with pytest.raises(ValueError, match="holds a run already .*choose another"):
            starting_point("fit", tmp_path / "run", ckpt_path)
    assert starting_point("validate", tmp_path / "run", str(other)) == other, "evaluation overwrites nothing"


def test_a_configuration_is_read_from_files_and_from_shards(tmp_path: Path) -> None:
    saved = {"config": {"vae": {"num_res_blocks": 2}}, "state_dict": {"weight": torch.zeros(3)}}
    torch.save(saved, tmp_path / "last.ckpt")
    assert saved_config(tmp_path / "last.ckpt") == saved["config"]
    (tmp_path / "shards").mkdir()
    torch.save({"config": saved["config"]}, tmp_path / "shards/meta.pt")
    with pytest.raises(ValueError, match=r"shards is a folder, but no checkpoint in shards"):
        saved_config(tmp_path / "shards")
    (tmp_path / "shards/.metadata").touch()
    assert saved_config(tmp_path / "shards") == saved["config"]


def _text(path: Path) -> None:
    path.write_text("model: {}")


def _truncated(path: Path) -> None:
    torch.save({"config": {}, "state_dict": {"weight": torch.zeros(1000)}}, path)
    path.write_bytes(path.read_bytes()[:2000])


def _archive(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("word/document.xml", "<document/>")


def _pickled(path: Path) -> None:
    torch.save({"config": Path("some object")}, path)


@pytest.mark.parametrize("damage", [Path.touch, _text, _truncated, _archive, _pickled])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, damage: Any) -> None:
    damage(tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"can't read .*last.ckpt as a checkpoint: it is damaged, cut short"):
        saved_config(tmp_path / "last.ckpt")


@pytest.mark.parametrize("content", [torch.zeros(2), {"state_dict": {}}, {"config": "yes"}], ids=str)
def test_a_checkpoint_of_another_program_is_told_as_such(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last.ckpt was not written by this suite"):
        saved_config(tmp_path / "last.ckpt")


def test_a_run_that_has_only_its_best_checkpoint_goes_on_from_that(tmp_path: Path) -> None:
    best = write(tmp_path / "checkpoints" / "best.ckpt", "best", folder=False)
    assert starting_point("fit", tmp_path, "last") == best
    with pytest.raises(ValueError, match="holds a run already"):
        starting_point("fit", tmp_path, None)
