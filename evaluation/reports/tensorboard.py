"""A report as TensorBoard summaries: scalars with their intervals, contact sheets, the table as text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from evaluation.reports.contact_sheets import contact_sheets
from evaluation.reports.content import ReportContent
from evaluation.reports.facts import all_caveats, configs_of
from evaluation.reports.markdown import metrics_in_markdown
from evaluation.reports.rows import headline_ids, metric_rows
from evaluation.results import Result

__all__ = ["tag_of", "write_tensorboard"]


def write_tensorboard(folder: Path, results: Mapping[str, Result], content: ReportContent) -> None:
    """Write an event file per run, at the training step of its model, and the pictures with the first.

    A metric with an interval is three scalars (``/low`` and ``/high`` beside it), which the tab of custom
    scalars draws as a curve with its margin.
    """
    from torch.utils.tensorboard import SummaryWriter

    for number, (name, result) in enumerate(results.items()):
        step = max(map(training_step, configs_of(result)))
        with SummaryWriter(folder / _folder_of(name)) as writer:
            margins = {}
            for metric in result.metrics:
                tag = tag_of(metric.id)
                writer.add_scalar(tag, metric.value, step)
                if metric.ci95:
                    margins[tag] = ["Margin", [tag, f"{tag}/low", f"{tag}/high"]]
                    for end, value in zip(("low", "high"), metric.ci95, strict=True):
                        writer.add_scalar(f"{tag}/{end}", value, step)
            if margins:
                writer.add_custom_scalars({"evaluation": margins})
            if number == 0:
                rows = metric_rows(results, headline_ids(results))
                writer.add_text("headline", "\n".join(metrics_in_markdown(rows, list(results))), step)
                caveats = all_caveats(results, content)
                writer.add_text("caveats", "\n".join(f"- {line}" for line in caveats), step)
                for title, sheet in contact_sheets(content).items():
                    writer.add_image(tag_of(title), sheet, step, dataformats="HWC")


def tag_of(name: str) -> str:
    """A name that TensorBoard takes as it is."""
    return re.sub(r"[^-/\w.]+", "_", name).strip("_")


def _folder_of(run: str) -> str:
    """A path that stays below its parent, whatever a result says its name is."""
    return "/".join(part for part in tag_of(run).split("/") if part.strip(".")) or "run"


def training_step(config: Mapping[str, Any]) -> int:
    """How long the model had been trained, if its export said so; 0 otherwise."""
    extra = (config.get("transformer") or {}).get("extra") or {}
    return int(config.get("step") or extra.get("step") or 0)
