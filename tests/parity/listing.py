"""Where the recorded tensors lie, and what is there, by kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest


def recordings_folder(config: pytest.Config) -> Path:
    """The folder given by ``--recordings``, or the one beside the repository."""
    given = config.getoption("--recordings")
    return Path(given) if given else config.rootpath.parent / "shared" / "fixtures"


def recorded_transformers(config: pytest.Config) -> dict[str, dict[str, Any]]:
    """Facts of every recorded transformer by name; empty without a folder."""
    return {name: facts for name, facts in recorded_facts(config).items() if "Ct5" in facts}


def recorded_facts(config: pytest.Config) -> dict[str, dict[str, Any]]:
    """The configuration of every recording by name, {} where it has none."""
    manifest = recordings_folder(config) / "manifest.json"
    files = json.loads(manifest.read_text())["files"] if manifest.is_file() else {}
    return {name.removesuffix(".safetensors"): file["meta"].get("config", {}) for name, file in files.items()}
