"""What the documentation tells people to run, open and believe is there."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from tests.static.project import PACKAGES, ROOT, project_files

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
TARGETS = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code(page: Path) -> str:
    """The text of a page's code blocks and spans."""
    blocks = re.findall(r"^```.*?^```|`[^`\n]+`", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return "\n".join(blocks)


@pages
def test_make_targets_exist(page: Path) -> None:
    named = set(re.findall(r"\bmake ([a-z][a-z-]*)", code(page)))
    assert named <= TARGETS


@pages
def test_python_commands_exist(page: Path) -> None:
    for module in re.findall(r"\bpython -m ([\w.]+)", code(page)):
        if module.split(".")[0] in PACKAGES:
            path = ROOT / module.replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), module
        else:
            assert importlib.util.find_spec(module), module


@pages
def test_named_files_exist(page: Path) -> None:
    folders = "|".join(map(re.escape, (*PACKAGES, "configs", "docs", "tests", ".ci")))
    for name in re.findall(rf"(?<![\w/])(?:{folders})/[\w./-]*\w", code(page)):
        assert (ROOT / name).exists(), name


@pages
def test_links_within_the_project_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_contributing_repeats_the_legend_of_the_types() -> None:
    legend = (ROOT / "infinity/types.py").read_text("utf-8").split("\n===")[1].splitlines()[1:]
    rows = [f"| {line[:5].strip()} | {line[5:]} |" for line in legend]
    assert len(rows) > 5
    assert "\n".join(rows) in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_no_file_names_a_path_of_one_machine() -> None:
    machine = re.compile(r"(?<![\w.~:/])/(?:home|root|work|Users|mnt)/\w")
    wrong = [
        f"{path.relative_to(ROOT)}:{number}"
        for path in project_files()
        if (text := readable(path)) is not None
        for number, line in enumerate(text.splitlines(), 1)
        if machine.search(line)
    ]
    assert wrong == []


def readable(path: Path) -> str | None:
    """Text of a file, or None if it isn't text."""
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        return None
