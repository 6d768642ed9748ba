"""Tasks that the registry knows for a test."""

from __future__ import annotations

import pytest

from evaluation.tasks import registry
from tests.evaluation.runner.tasks import ENTRIES, PROMPT_SETS


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in ENTRIES.items():
        monkeypatch.setitem(registry.TASKS, name, entry)
    for name, target in PROMPT_SETS.items():
        monkeypatch.setitem(registry.PROMPT_SETS, name, target)
