"""``python -m infinity``: what all of its commands have in common."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import infinity
from infinity.__main__ import main


@pytest.mark.parametrize(
    "arguments",
    [("generate", "a"), ("reconstruct", "a.png"), ("edit", "strip", "a")],
    ids=lambda arguments: arguments[0],
)
@pytest.mark.parametrize("below", ["", "folder"])
def test_an_output_that_cannot_be_a_folder_is_refused_before_a_model_is_loaded(
    arguments: tuple[str, ...], below: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    message = f"error: {tmp_path / 'file'} is no folder that can be written to; name another one"
    with pytest.raises(SystemExit, match=re.escape(message)):
        main([*arguments, "--model", "nowhere", "--output", str(tmp_path / "file" / below)])


def test_ctrl_c_is_one_word(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["generate", "--model", str(model), "--output", str(tmp_path), "a"]
    with pytest.raises(SystemExit) as stopped:
        main([*arguments, "--rewriter", "tests.rewriters:stopped"])
    assert stopped.value.code == 130
    assert capsys.readouterr().err.endswith("interrupted\n")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    folder = Path(infinity.__file__).parent
    commands = {path.stem.removesuffix("_command") for path in folder.glob("*_command.py")}
    assert commands
    assert {name for name in commands if re.search(rf"^ +{name}\b", told, re.MULTILINE)} == commands
