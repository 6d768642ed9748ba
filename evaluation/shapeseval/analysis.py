"""What lies behind a score: compositional levels, wrong bindings, and what was mistaken for what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from evaluation.intervals import Estimate, clustered_share, difference_of_estimates
from evaluation.results import MetricValue, Table
from evaluation.shapeseval.detector import UNKNOWN
from evaluation.shapeseval.results import ScoredImage, ShapesEvalResult
from evaluation.shapeseval.world import Prompt, World

__all__ = ["analysis_metrics", "analysis_tables", "confusions"]

_LEVELS = {
    "id": "L0: both coloured shapes trained, also together",
    "pairs_L1": "L1: both trained, never together",
    "pairs_L2": "L2: one never trained",
    "pairs_L3": "L3: neither trained",
}
_NOTHING, _SEVERAL = "nothing", "several"


def analysis_metrics(result: ShapesEvalResult) -> list[MetricValue]:
    """Binding error rates, and how much less is right of a level than of its tasks' trained prompts."""
    metrics = []
    for split in result.splits:
        bound = [image for image in result.images if image.prompt.split == split and _binds(image.prompt)]
        if bound:
            rate = _rate([image.verdict.binding_error for image in bound], bound)
            metrics.append(
                _lower(f"{result.prefix}/{split}/binding_error_rate", rate, len(bound), "of pairs to bind")
            )
    if "id" in result.splits and "ood" in result.splits:
        for level in dict.fromkeys(image.prompt.level for image in result.images):
            new = [image for image in result.images if image.prompt.level == level]
            tasks = {image.prompt.tag for image in new}
            known = [i for i in result.images if i.prompt.level == "id" and i.prompt.tag in tasks]
            if level != "id" and known:
                gap = difference_of_estimates(_accuracy(new), _accuracy(known))
                metrics.append(_lower(f"{result.prefix}/gap/{level}", gap, len(new), "trained less new"))
    return metrics


def analysis_tables(result: ShapesEvalResult, world: World) -> dict[str, Table]:
    """Compositional levels, and confusions of shapes, colours and counts; names carry the metrics' prefix."""
    tables = {}
    if (levels := _composition(result)) is not None:
        tables["compositional levels"] = levels
    tables |= {f"confusion of {what}": table for what, table in confusions(result, world).items()}
    return {f"{name}, {result.prefix}": table for name, table in tables.items()}


def confusions(result: ShapesEvalResult, world: World) -> dict[str, Table]:
    """Rows are what was asked for, columns what was drawn, cells numbers of images; none without images.

    Shapes and colours are those of pictures of one object; an image without an object, or with several, has
    a column of its own. Counts are of the shape asked for.
    """
    shapes: Counter[tuple[str, str]] = Counter()
    colors: Counter[tuple[str, str]] = Counter()
    counts: Counter[tuple[int, int]] = Counter()
    for image in result.images:
        found = image.verdict.detections
        if len(image.prompt.include) != 1:
            continue
        (query,) = image.prompt.include
        counts[query.count, sum(one.shape == query.shape for one in found)] += 1
        if query.count > 1:
            continue
        other = None if len(found) == 1 else _SEVERAL if found else _NOTHING
        shapes[query.shape, other or found[0].shape] += 1
        if query.color is not None:
            colors[query.color, other or found[0].color] += 1
    rest = [UNKNOWN, _NOTHING, _SEVERAL]
    numbers = range(max((drawn for _, drawn in counts), default=0) + 1)
    tables = {
        "shapes": _matrix("shape", shapes, [*world.shapes, *rest]),
        "colours": _matrix("colour", colors, [*world.colors, *rest]),
        "counts": _matrix("count", counts, list(numbers)),
    }
    return {name: table for name, table in tables.items() if table.rows}


def _composition(result: ShapesEvalResult) -> Table | None:
    rows = []
    for level, meaning in _LEVELS.items():
        images = [i for i in result.images if i.prompt.tag == "color_attr" and i.prompt.level == level]
        if images:
            accuracy = _accuracy(images)
            wrong = sum(image.verdict.binding_error for image in images)
            rows.append((meaning, *accuracy, wrong / len(images), len(images)))
    columns = ("level", "correct", "95% from", "to", "wrong pairing of right parts", "images")
    return Table(columns=columns, rows=tuple(rows)) if rows else None


def _matrix(what: str, seen: Counter[tuple[Any, Any]], columns: Sequence[Any]) -> Table:
    asked = sorted({one for one, _ in seen}, key=str)
    rows = tuple((one, *(seen[one, drawn] for drawn in columns)) for one in asked)
    return Table(columns=(f"{what} asked for", *map(str, columns)), rows=rows)


def _binds(prompt: Prompt) -> bool:
    """Whether there are two ways to give the named colours to the named shapes."""
    named = {(query.shape, query.color) for query in prompt.include}
    return all(color is not None for _, color in named) and len(named) > 1


def _accuracy(images: Sequence[ScoredImage]) -> Estimate:
    return _rate([image.verdict.correct for image in images], images)


def _rate(outcomes: Sequence[bool], images: Sequence[ScoredImage]) -> Estimate:
    return clustered_share(outcomes, [image.prompt.text for image in images])


def _lower(metric_id: str, estimate: Estimate, num: int, note: str) -> MetricValue:
    return MetricValue(
        id=metric_id,
        value=estimate.value,
        direction="lower",
        n=num,
        ci95=(estimate.low, estimate.high),
        note=note,
    )
