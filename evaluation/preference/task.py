"""The task: every image scored against its own prompt."""

from __future__ import annotations

from collections.abc import Sequence

from evaluation.preference.scorer import PRECISIONS, Precision, score_samples
from evaluation.preference.scorers import build_scorer
from evaluation.preference.summary import summarise
from evaluation.tasks.api import EvalContext, EvalSample, TaskScore

__all__ = ["PreferenceTask"]


class PreferenceTask:
    """Mean score of a prompt set's images.

    Args:
        scorer: a name of :data:`evaluation.preference.scorers.SCORERS`.
        precision: of matrix products, by autocast.
    """

    def __init__(self, *, scorer: str, prompt_set: str = "captions", precision: Precision = "fp32") -> None:
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        self.prompt_set = prompt_set
        self._scorer = scorer
        self._precision: Precision = precision

    def score(self, samples: Sequence[EvalSample], context: EvalContext) -> TaskScore:
        scorer = build_scorer(self._scorer, context)
        scores_N = score_samples(
            scorer,
            samples,
            device=context.device,
            batch_size=context.batch_size,
            precision=self._precision,
        )
        knobs = f"{scorer.knobs},{self._precision},prompts={self.prompt_set}"
        return summarise(scorer, samples, scores_N, knobs=knobs, seed=context.seed)
