"""``python -m evaluation``: what all of its commands have in common."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from evaluation.__main__ import main

ROOT = Path(__file__).parents[2]
OUTPUT = "--output FOLDER"


@pytest.mark.parametrize(
    "words",
    [
        f"run --model nowhere --tasks shapeseval {OUTPUT}",
        f"run --model nowhere --data nowhere {OUTPUT}",
        "run --model nowhere --tasks fid --output new --cache FOLDER",
        f"sweep --model nowhere --tasks shapeseval --guidance 1 2 --temperature 1 {OUTPUT}",
        "score FOLDER --tasks shapeseval",
        f"compare nowhere nowhere {OUTPUT}",
        f"preference build nowhere nowhere {OUTPUT}",
        f"preference score nowhere {OUTPUT}",
        f"shapeseval --world nowhere --images nowhere {OUTPUT}",
        f"reconstruction --images nowhere {OUTPUT}",
        f"report nowhere {OUTPUT}",
        "report nowhere --output new --tensorboard FOLDER",
        f"bench {OUTPUT}",
    ],
)
@pytest.mark.parametrize("below", ["", "folder"])
def test_a_file_in_place_of_a_folder_is_named_before_any_work(words: str, below: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    arguments = words.replace("FOLDER", str(tmp_path / "file" / below)).split()
    message = f"error: {tmp_path / 'file'} is no folder that can be written to; name another one"
    with pytest.raises(SystemExit, match=re.escape(message)):
        main(arguments)


def test_help_needs_no_packages_and_a_command_names_the_one_that_is_missing() -> None:
    """In a process of its own, where none of them has been imported."""
    run = "import sys; sys.modules['torch'] = None; from evaluation.__main__ import main; main(sys.argv[1:])"
    shown, refused = (
        subprocess.run([sys.executable, "-c", run, word], capture_output=True, text=True, cwd=ROOT)
        for word in ("--help", "list")
    )
    assert shown.returncode == 0
    assert "score-detections" in shown.stdout
    assert refused.stderr == "error: evaluation needs the package torch: pip install 'infinity-suite[eval]'\n"
