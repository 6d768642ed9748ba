"""Evaluated runs on disk, made of random verdicts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.intervals import clustered_share
from evaluation.provenance import collect_provenance
from evaluation.results import MetricValue, Result, write_samples

WriteRun = Callable[..., Path]

TAGS = ("easy", "hard")


@pytest.fixture
def write_run(tmp_path: Path) -> WriteRun:
    """Write a run of 30 prompts, 4 images each, of two kinds, whose verdicts a seed decides."""

    def write(
        name: str,
        *,
        seed: int = 0,
        share: float = 0.5,
        num_prompts: int = 30,
        text: str = "a red circle, number",
        knobs: str = "4 images",
        fid: tuple[float, tuple[float, float] | None] = (10.0, None),
        **provenance: Any,
    ) -> Path:
        rng = np.random.default_rng(seed)
        rows, correct = [], rng.random((num_prompts, 4)) < share
        for prompt, verdicts in enumerate(correct):
            for index, verdict in enumerate(verdicts):
                rows.append(
                    {
                        "prompt_set": "things",
                        "prompt_id": f"p{prompt}",
                        "index": index,
                        "prompt": f"{text} {prompt}",
                        "metadata": {"tag": TAGS[prompt % 2]},
                        "tasks": {
                            "things": {"correct": bool(verdict), "reason": "", "score": prompt + index}
                        },
                    }
                )
        estimate = clustered_share(correct.ravel().tolist(), np.repeat(range(num_prompts), 4).tolist())
        tags = [float(correct[k::2].mean()) for k in (0, 1)]
        n = correct.size

        def metric(id: str, value: float, **fields: Any) -> MetricValue:
            return MetricValue(**{"id": id, "value": value, "direction": "higher", "n": n, **fields})

        metrics = (
            metric(f"things[{knobs}]", estimate.value, ci95=(estimate.low, estimate.high)),
            metric(f"things[{knobs}]/mean of tags", float(np.mean(tags))),
            metric(f"things[{knobs}]/hard", tags[1], n=n // 2),
            metric(f"things[{knobs}]/percent", 100 * estimate.value),
            metric(f"fid[{knobs}]", fid[0], direction="lower", ci95=fid[1]),
            metric("parameters", 10.0 + seed, direction="none"),
        )
        facts = replace(collect_provenance(), **provenance)
        Result(name=name, metrics=metrics, provenance=facts, config={"guidance": share}).save(tmp_path / name)
        write_samples(tmp_path / name, rows)
        return tmp_path / name

    return write
