"""infinity <- {datamodules, evaluation} <- lit_modules, and nothing the other way."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tests.static.project import PACKAGES, ROOT, project_files

TRAINERS = {"lightning", "pytorch_lightning", "lightning_fabric", "webdataset"}
PARSERS = {"argparse", "jsonargparse"}
FORBIDDEN = {
    "infinity": TRAINERS | {"lit_modules", "datamodules", "evaluation"},
    "datamodules": {"lit_modules", "evaluation"},
    "evaluation": {"lit_modules", "datamodules"},
    "lit_modules": set(),
}


def imported(source: str) -> set[str]:
    """Top-level names of everything that a module imports, lazily inside functions or not."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module)
    return {name.split(".")[0] for name in names}


def test_the_reader_sees_imports_of_every_form() -> None:
    source = "import a.b, c\nfrom d.e import f\nif True:\n  def g():\n    import h as i\nfrom . import j"
    assert imported(source) == {"a", "c", "d", "h"}


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_no_package_above_it(package: str) -> None:
    files = project_files(package, pattern="*.py")
    assert files, f"{package}/ holds no Python file"
    wrong = {
        str(path.relative_to(ROOT)): names
        for path in files
        if (names := imported(path.read_text("utf-8")) & FORBIDDEN[package])
    }
    assert not wrong


def test_the_core_parses_no_command_lines_outside_its_commands() -> None:
    wrong = [
        str(path.relative_to(ROOT))
        for path in project_files("infinity", pattern="*.py")
        if path.name != "__main__.py"
        and "command" not in path.stem
        and imported(path.read_text("utf-8")) & PARSERS
    ]
    assert not wrong


def test_schedules_can_be_read_without_torch() -> None:
    code = "import sys, infinity.schedules; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
