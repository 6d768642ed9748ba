"""GenEval's verdicts as its script writes them (``results.jsonl``), for tools that read that."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from evaluation.geneval.prompts import geneval_metadata

__all__ = ["official_lines"]


def official_lines(rows: Iterable[Mapping[str, Any]], task: str = "geneval") -> Iterator[dict[str, Any]]:
    """The script's fields of every row of ``samples.jsonl`` that `task` has judged.

    Masks and colours, which the script does not record, stay in ``samples.jsonl``.
    """
    prompts = geneval_metadata()
    for row in rows:
        if (verdict := row.get("tasks", {}).get(task)) is None:
            continue
        metadata = prompts[int(row["prompt_id"])]
        details: dict[str, list[list[float]]] = {}
        for one in verdict["detections"]:
            details.setdefault(one["class"], []).append([*one["box"], one["score"]])
        yield {
            "filename": row["file"],
            "tag": metadata["tag"],
            "prompt": metadata["prompt"],
            "correct": verdict["correct"],
            "reason": verdict["reason"],
            "metadata": json.dumps(metadata),
            "details": json.dumps(details),
        }
