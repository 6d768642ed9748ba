from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from PIL import Image

from datamodules import cache_command
from datamodules.__main__ import _COMMANDS, extra_of, main
from datamodules.command_line import names_of
from tests.static.project import PACKAGES, project_files
from tests.static.test_extras import normalized, requirements
from tests.static.test_import_direction import imported

SMALL = ["--size=32", "--num_train=12", "--num_val=3", "--prompts_per_task=1", "--num_workers=1"]


def test_prepare_takes_the_directory_first_and_says_what_it_made(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "shapesworld", str(tmp_path / "a"), *SMALL]) == 0
    assert "train: 12 samples, val: 3 samples" in capsys.readouterr().out
    assert json.loads((tmp_path / "a" / "dataset.json").read_text())["complete"]


def test_a_dry_run_of_prepare_tells_and_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "shapesworld", str(tmp_path / "a"), *SMALL, "--dry-run"]) == 0
    assert "train: 12 samples, 1 shards, about " in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_a_config_file_names_source_and_options_and_the_command_line_wins(tmp_path: Path) -> None:
    config = tmp_path / "c.yaml"
    config.write_text(
        f"source: shapesworld\nout: {tmp_path / 'a'}\ntier: full\nnum_val: 99\nmix: {{colors: 1}}\n"
    )
    assert main(["prepare", "--config", str(config), *SMALL]) == 0
    made = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert (made["tier"], made["num_val"], made["mix"]) == ("full", 3, {"colors": 1.0})


def test_pack_and_index_work_on_a_users_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for k in range(12):
        Image.new("RGB", (9, 9)).save(folder / f"{k}.png")
        if k:
            (folder / f"{k}.txt").write_text("words")
    assert main(["pack", str(folder), str(tmp_path / "out"), "--val_fraction=0", "--num_workers=1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == "train: 11 samples\n"
    assert "left out of train: 0.png: no caption" in captured.err
    assert main(["index", str(tmp_path / "out" / "train"), "--val_fraction=0.5", "--num_workers=1"]) == 0
    assert (tmp_path / "out" / "train" / "val" / "index.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare"], "prepare takes one of shapesworld, emoji"),
        (["prepare", "coco", "OUT"], ", got coco"),
        (["prepare", "shapesworld", "OUT", "--size=50"], "size must be a multiple of 16 from 32 on, got 50"),
        (["unpack"], "the commands are prepare, pack, index, stats, curate, cache, bench, got 'unpack'"),
        (["index", "OUT"], "no .tar shards in"),
        (["prepare", "--config", "OUT/none.yaml"], "No such file or directory"),
    ],
)
def test_errors_are_one_sentence_and_a_code(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([argument.replace("OUT", str(tmp_path / "out")) for argument in arguments]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("text", "message"), [("a: [1", "is no YAML"), ("- a", "by name, got a list")])
def test_a_config_file_that_is_no_mapping_is_one_sentence(
    text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(text)
    assert main(["prepare", "--config", str(tmp_path / "c.yaml")]) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert message in lines[-1]


def test_packing_a_folder_needs_neither_torch_nor_an_extra() -> None:
    absent = "import sys; sys.modules.update(dict.fromkeys(('cv2', 'torch', 'pyarrow', 'ray')))"
    code = f"{absent}; import datamodules.__main__, datamodules.pack_command, datamodules.index_command"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "ray", None)
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    assert main(["pack", str(tmp_path / "t.parquet"), str(tmp_path / "out")]) == 1
    assert "error: pack needs pyarrow; install it with pip install -e '.[data]'" in capsys.readouterr().err
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text("words")
    arguments = ["pack", str(tmp_path), str(tmp_path / "out"), "--kind=folder", "--val_fraction=0"]
    assert main([*arguments, "--engine=ray"]) == 1
    assert "the ray engine needs Ray; install it with pip install -e '.[ray]'" in capsys.readouterr().err


def test_ctrl_c_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("datamodules.index_command.run", interrupt)
    assert main(["index", str(tmp_path)]) == 130
    assert "interrupted; call it again to go on" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["num_trains: 3", "tier: easy", "mix: 3"])
def test_wrong_keys_and_values_of_a_config_file_are_errors(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "c.yaml").write_text(f"source: shapesworld\nout: {tmp_path / 'a'}\n{line}\n")
    with pytest.raises(SystemExit) as stopped:
        main(["prepare", "--config", str(tmp_path / "c.yaml")])
    assert stopped.value.code != 0
    assert line.split(":")[0] in capsys.readouterr().err


@pytest.mark.parametrize("name", _COMMANDS)
def test_every_command_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([name, "--help"])
    assert stopped.value.code == 0
    assert "example: python -m datamodules " in capsys.readouterr().out


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python -m datamodules prepare shapesworld data/full" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["prepare", "emoji", "--help"])
    assert "example: python -m datamodules prepare emoji data/emoji" in capsys.readouterr().out


@pytest.mark.parametrize(
    "value", ["train,val", "[train,val]", "[train, 'val']", " train , val,", ["train", "val"]]
)
def test_lists_of_names_need_no_brackets(value: str | list[str]) -> None:
    assert names_of(value) == ["train", "val"]
    assert names_of("train") == names_of("[train]") == ["train"]
    assert names_of("[]") == names_of("") == []


@pytest.mark.parametrize("name", _COMMANDS)
def test_help_has_no_objects_of_python(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([name, "--help"])
    assert " at 0x" not in capsys.readouterr().out


def test_a_config_file_may_have_lists(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("captions: [long, short]\ntext: {kind: hashing}\n")
    parser = cache_command.parser()
    for arguments in ([f"--config={tmp_path / 'c.yaml'}"], ["--captions", "long,short"]):
        captions = parser.parse_args(["data/mine", *arguments]).captions
        assert names_of(captions) == ["long", "short"]
    assert parser.parse_args(["data/mine"]).captions == "caption"


def test_every_optional_package_is_in_the_extra_that_is_named_for_it() -> None:
    distributions = packages_distributions()
    brought = {"yaml", "rapidocr_onnxruntime"}  # by a dependency; by hand, as its step says
    files = project_files("datamodules", pattern="*.py")
    names = {name for path in files for name in imported(path.read_text("utf-8"))}
    for name in names - set(sys.stdlib_module_names) - set(PACKAGES) - brought:
        extras = {extra_of(name)} - {""}
        assert requirements(*extras) & set(map(normalized, distributions.get(name, [name]))), name
    assert extra_of("transformers") == "hf"


def test_a_missing_dependency_is_in_no_extra(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    assert main(["index", "memory://bucket"]) == 1
    assert "error: index needs fsspec; install it with pip install -e .\n" in capsys.readouterr().err
