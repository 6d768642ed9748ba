"""Tasks of this area; see ``evaluation/tasks/registry.py``."""

from __future__ import annotations

from evaluation.tasks.entry import TaskEntry

__all__ = ["PROMPT_SETS", "TASKS"]

_KNOBS = "rapidocr-<version>@736,prompts=<P>,images=<N>"
_KINDS = ("cer", "wer", "exact")


def _metrics(name: str) -> tuple[str, ...]:
    return tuple(f"{name}_{kind}[{_KNOBS}]" for kind in _KINDS)


TASKS: dict[str, TaskEntry] = {
    "text_rendering": TaskEntry(
        summary="text in images as OCR reads it: error rates of characters and words, share without errors",
        target="evaluation.text_rendering.task:TextRendering",
        metrics=_metrics("ocr"),
        direction="lower",
        higher=_metrics("ocr")[-1:],
    ),
    "typeset_text": TaskEntry(
        summary="the floor of text_rendering: what OCR gets wrong in typeset texts of the same prompts",
        target="evaluation.text_rendering.task:TypesetText",
        metrics=_metrics("typeset_ocr"),
        direction="lower",
        higher=_metrics("typeset_ocr")[-1:],
    ),
}

PROMPT_SETS: dict[str, str] = {
    "text_rendering": "evaluation.text_rendering.prompts:text_rendering_prompts",
}
