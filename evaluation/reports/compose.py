"""From runs to everything that a page says about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from evaluation.reports.content import ReportContent
from evaluation.reports.history import History
from evaluation.reports.rows import headline_ids
from evaluation.reports.runs import EvaluatedRun
from evaluation.reports.selection import grids_of_runs
from evaluation.reports.slices import failure_kinds, forests_of_metrics, forests_of_slices
from evaluation.reports.sweeps import sweeps, trade_off
from evaluation.shapeseval.results import ShapesEvalResult

__all__ = ["content_of"]

_NUM_PLOTS = 8
_SHOWN_BY_SHAPESEVAL = [("shapeseval", way) for way in ("kind of prompt", "what is held out")]


def content_of(
    runs: Sequence[EvaluatedRun],
    *,
    title: str = "",
    arms: Mapping[str, ShapesEvalResult] | None = None,
    history: History | None = None,
    seed: int = 0,
) -> ReportContent:
    """Everything that a page says about runs beside their numbers.

    Args:
        arms: of ShapesEval, if they are shown with their baselines.
        seed: of the random samples shown.
    """
    is_one = len(runs) == 1
    headline = headline_ids({run.name: run.result for run in runs})
    return ReportContent(
        title=title or (runs[0].name if is_one else f"{len(runs)} runs, compared"),
        shapeseval=arms or {},
        history=history or {},
        across=() if is_one else forests_of_metrics(runs, headline)[:_NUM_PLOTS],
        slices=forests_of_slices(runs, without=_SHOWN_BY_SHAPESEVAL if arms else ()),
        failures=failure_kinds(runs, without=["shapeseval"] if arms else ()),
        sweeps=sweeps(runs, headline)[:_NUM_PLOTS],
        trade_off=trade_off(runs, headline),
        grids=grids_of_runs(runs, seed=seed),
    )
