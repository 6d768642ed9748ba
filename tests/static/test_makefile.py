"""The Makefile lists itself, every target resolves, and options reach the command behind it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.static.project import ROOT

TARGETS = (
    "setup",
    "demo",
    "test",
    "lint",
    "data",
    "train-vae",
    "train-ar",
    "sample",
    "serve",
    "eval",
    "report",
    "bench",
    "bench-data",
    "clean",
)
COMMANDS = {
    "demo": "python -m lit_modules demo --budget 15",
    "test": "python -m pytest",
    "lint": "ruff check",
    "data": "python -m datamodules prepare",
    "train-vae": "python -m lit_modules vae fit",
    "train-ar": "python -m lit_modules ar fit",
    "sample": "python -m infinity generate",
    "serve": "python -m infinity serve",
    "eval": "python -m evaluation run",
    "report": "python -m evaluation report",
    "bench": "python -m evaluation bench",
}
INHERITED = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "CONFIG", "BUDGET", "PYTHON")


def make(*arguments: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Call make as from a fresh shell: the tests themselves may run under `make test ARGS=...`."""
    environment = {name: value for name, value in os.environ.items() if name not in INHERITED}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def test_bare_make_lists_every_target_with_one_line_of_help() -> None:
    result = make()
    assert result.returncode == 0, result.stderr
    listed = re.findall(r"^  make ([\w-]+) +(\S.*)$", result.stdout, re.MULTILINE)
    assert tuple(name for name, _ in listed) == TARGETS
    assert len(result.stdout.splitlines()) == len(TARGETS)


def test_every_target_is_phony() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    assert phony
    assert set(phony[1].split()) == {"help", *TARGETS}


@pytest.mark.parametrize("target", TARGETS)
def test_every_target_resolves(target: str) -> None:
    result = make("--dry-run", "--warn-undefined-variables", target, "CONFIG=", "ARGS=")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert COMMANDS.get(target, "") in result.stdout


@pytest.mark.parametrize("target", ["sample", "serve", "eval", "report"])
def test_arguments_reach_the_commands_that_take_no_configs(target: str) -> None:
    command = make("--dry-run", target, "CONFIG=a.yaml", "ARGS=--seed 3").stdout.splitlines()[-1]
    assert command.endswith(f"{COMMANDS[target]} --seed 3")


@pytest.mark.parametrize("target", ["data", "train-vae", "train-ar"])
def test_configs_and_arguments_reach_the_command(target: str) -> None:
    command = make("--dry-run", target, "CONFIG=a.yaml b.yaml", "ARGS=--seed 3").stdout.splitlines()[-1]
    assert command.endswith(f"{COMMANDS[target]} --config a.yaml --config b.yaml --seed 3")


def test_the_budget_reaches_the_demo() -> None:
    assert "demo --budget 60" in make("--dry-run", "demo", "BUDGET=60").stdout


@pytest.mark.parametrize("target", ["data", "train-vae", "train-ar"])
def test_default_configs_exist(target: str) -> None:
    configs = re.findall(r"--config (\S+)", make("--dry-run", target).stdout)
    assert configs
    assert all((ROOT / config).is_file() for config in configs), configs


def test_an_old_python_is_refused_in_one_sentence_before_anything_is_made(tmp_path: Path) -> None:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    old = tmp_path / "python3.9"
    old.write_text("#!/bin/sh\ntest \"$1\" = -V && echo 'Python 3.9.2'\n")
    old.chmod(0o755)
    result = make("setup", f"PYTHON={old}", folder=tmp_path)
    assert result.returncode != 0
    assert f"Python 3.11 or newer is needed, but {old} is Python 3.9.2;" in result.stderr
    assert not (tmp_path / ".venv").exists()
