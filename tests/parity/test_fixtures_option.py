"""``pytest tests/parity --fixtures DIR``, in processes of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tests.static.project import ROOT


def run(launcher: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Call pytest as from a fresh shell: this test may run on a worker of its own."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    command = [*launcher, "tests/parity", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("launcher", "workers"),
    [
        ([sys.executable, "-m", "pytest"], ["-n", "1"]),
        ([str(Path(sys.executable).with_name("pytest"))], []),
    ],
    ids=["module-and-a-worker", "script"],
)
def test_the_files_of_the_folder_are_tested_and_a_strange_one_fails(
    launcher: list[str], workers: list[str], tmp_path: Path
) -> None:
    save_file({"riddle": torch.zeros(1)}, tmp_path / "strange.safetensors")
    files = {"strange.safetensors": {"meta": {}, "tensors": {"riddle": {}}}}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": files}))
    result = run(launcher, "-k", "recorded or file_has or match", "--fixtures", str(tmp_path), *workers)
    assert result.returncode == pytest.ExitCode.TESTS_FAILED, result.stdout + result.stderr
    assert "test_a_file_has_all_its_tensors_and_a_test_for_each[strange]" in result.stdout
    assert "no test is for 1 of its tensors, such as riddle" in result.stdout


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    result = run([sys.executable, "-m", "pytest"], "--fixtures", str(tmp_path))
    assert result.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"--fixtures {tmp_path}: that folder has no manifest.json" in result.stderr
