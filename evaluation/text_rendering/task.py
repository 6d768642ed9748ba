"""Character, word and exact-match rates of drawn text; and the same of typeset text, which no model drew."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from evaluation.intervals import bootstrap_mean, clustered_share
from evaluation.results import MetricValue, Table
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample, TaskScore
from evaluation.text_rendering.prompts import LENGTHS, text_rendering_prompts
from evaluation.text_rendering.reader import RapidOCRReader, TextReader
from evaluation.text_rendering.scoring import TextScore, score_text

__all__ = ["TextRendering", "TypesetText", "typeset"]

_WORDS_PER_LINE = 2


class TextRendering:
    """What OCR reads in drawn images, compared with what their prompts ask for."""

    prompt_set: str | None = "text_rendering"

    def __init__(self) -> None:
        RapidOCRReader.check_installed()

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        reader = RapidOCRReader()
        prompts = [sample.prompt for sample in samples]
        scores = [score_text(one.prompt.metadata["written"], reader.read(one.image())) for one in samples]
        metrics, table = _summarise("ocr", prompts, scores, reader, context.seed)
        rows = tuple(
            {
                "prompt_id": sample.prompt.id,
                "index": sample.index,
                "correct": score.exact,
                "score": score.cer,
                "wer": score.wer,
                "reason": ""
                if score.exact
                else f"read: {score.read}"
                if score.read
                else "nothing like it read",
            }
            for sample, score in zip(samples, scores, strict=True)
        )
        return TaskScore(metrics=metrics, rows=rows, tables={"Text rendering by length": table})


class TypesetText:
    """The floor: what the OCR itself gets wrong when the prompts' texts are typeset in black on white."""

    prompt_set: str | None = None

    def __init__(self) -> None:
        RapidOCRReader.check_installed()

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        reader = RapidOCRReader()
        prompts = text_rendering_prompts(context)[: context.limit]
        texts = [prompt.metadata["written"] for prompt in prompts]
        scores = [score_text(text, reader.read(typeset(text))) for text in texts]
        metrics, table = _summarise("typeset_ocr", prompts, scores, reader, context.seed)
        return TaskScore(metrics=metrics, tables={"Typeset text by length": table})


def typeset(text: str, side: int = 512) -> np.ndarray:
    """RGB uint8 (side, side, 3): the text in black on white, two words a line, in Pillow's own font."""
    words = text.split()
    marks = [*range(0, len(words), _WORDS_PER_LINE), len(words)]
    lines = "\n".join(" ".join(words[start:end]) for start, end in pairwise(marks))
    image = Image.new("RGB", (side, side), "white")
    font = ImageFont.load_default(side / 14)
    ImageDraw.Draw(image).multiline_text((side / 16, side / 8), lines, "black", font, spacing=side / 24)
    return np.asarray(image)


def _summarise(
    name: str, prompts: Sequence[EvalPrompt], scores: Sequence[TextScore], reader: TextReader, seed: int
) -> tuple[tuple[MetricValue, ...], Table]:
    ids = [prompt.id for prompt in prompts]
    knobs = f"[{reader.id},prompts={len(set(ids))},images={len(scores)}]"
    exact = clustered_share([score.exact for score in scores], ids)
    estimates = {
        "cer": bootstrap_mean(_by_prompt(ids, [score.cer for score in scores]), seed=seed),
        "wer": bootstrap_mean(_by_prompt(ids, [score.wer for score in scores]), seed=seed),
        "exact": exact,
    }
    metrics = tuple(
        MetricValue(
            id=f"{name}_{kind}{knobs}",
            value=one.value,
            direction="higher" if kind == "exact" else "lower",
            n=len(scores),
            ci95=(one.low, one.high),
        )
        for kind, one in estimates.items()
    )
    rows = []
    for length in LENGTHS:
        group = [
            score
            for prompt, score in zip(prompts, scores, strict=True)
            if prompt.metadata["num_words"] == length
        ]
        if group:
            means = np.mean([(score.cer, score.wer, score.exact) for score in group], axis=0).tolist()
            rows.append((length, *means, len(group)))
    return metrics, Table(columns=("words", "CER", "WER", "exact", "images"), rows=tuple(rows))


def _by_prompt(ids: Sequence[str], values: Sequence[float]) -> list[float]:
    lists: dict[str, list[float]] = {}
    for name, value in zip(ids, values, strict=True):
        lists.setdefault(name, []).append(value)
    return [float(np.mean(one)) for one in lists.values()]
