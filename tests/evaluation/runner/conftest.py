"""A model on disk, and tasks that the registry knows for a test."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from evaluation.tasks import registry
from infinity.pipeline import InfinityPipeline
from tests.evaluation.runner.tasks import ENTRIES, PROMPT_SETS
from tests.pipelines import tiny_pipeline


@pytest.fixture(scope="session")
def pipeline() -> InfinityPipeline:
    torch.manual_seed(0)
    return tiny_pipeline()


@pytest.fixture(scope="session")
def model(pipeline: InfinityPipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    pipeline.save_pretrained(folder)
    return folder


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in ENTRIES.items():
        monkeypatch.setitem(registry.TASKS, name, entry)
    for name, target in PROMPT_SETS.items():
        monkeypatch.setitem(registry.PROMPT_SETS, name, target)
