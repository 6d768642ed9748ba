"""Files stay short enough to be read at once."""

from __future__ import annotations

from tests.static.project import ROOT, project_files

MAX_LINES = 300
MAX_BYTES = 300 * 1024
MAX_ASSETS, MAX_ASSET_BYTES = 3, 1.2e6  # recorded tensors in tests/assets
LONGER: dict[str, str] = {}
"""Python files that may exceed MAX_LINES, with the reason."""


def num_lines() -> dict[str, int]:
    """Number of lines of every Python file of the project."""
    return {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for path in project_files(pattern="*.py")
    }


def test_python_files_stay_within_the_line_cap() -> None:
    too_long = {name: lines for name, lines in num_lines().items() if lines > MAX_LINES}
    assert too_long.keys() <= LONGER.keys(), too_long


def test_every_exception_to_the_line_cap_is_still_needed() -> None:
    lines = num_lines()
    assert [name for name in LONGER if lines.get(name, 0) <= MAX_LINES] == []


def test_files_stay_within_the_size_cap() -> None:
    large = [path for path in project_files() if path.stat().st_size > MAX_BYTES]
    assets = set((ROOT / "tests" / "assets").glob("*.safetensors"))
    assert [path for path in large if path not in assets or path.stat().st_size > MAX_ASSET_BYTES] == []
    assert len(assets) <= MAX_ASSETS
