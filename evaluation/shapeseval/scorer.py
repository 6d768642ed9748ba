"""Judge detections against a prompt in GenEval's schema, and say what is wrong.

Strict mode (ShapesEval's) asks for exactly the named objects and nothing else. GenEval mode follows the
official script: at least the named objects, and none of `exclude`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from evaluation.geneval.scoring import relations
from evaluation.shapeseval.detector import UNKNOWN, Detection
from evaluation.shapeseval.world import Prompt, Query

__all__ = ["FAILURES", "Verdict", "judge"]

FAILURES = ("missing_object", "extra_object", "wrong_count", "wrong_shape", "wrong_color", "wrong_relation")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Judgement of one image."""

    correct: bool
    failures: tuple[str, ...]  # of FAILURES, without repeats; empty if and only if correct
    reason: str  # one sentence for people; empty if correct
    binding_error: bool  # the right shapes and the right colours, paired wrongly
    detections: tuple[Detection, ...]


class _Problem(NamedTuple):
    kind: str
    text: str


def judge(detections: Sequence[Detection], prompt: Prompt, *, strict: bool = True) -> Verdict:
    """Score one image against one prompt."""
    problems = _exactly(detections, prompt) if strict else _at_least(detections, prompt)
    return Verdict(
        correct=not problems,
        failures=tuple(dict.fromkeys(problem.kind for problem in problems)),
        reason="; ".join(problem.text for problem in problems),
        binding_error=_is_binding_error(detections, prompt),
        detections=tuple(detections),
    )


def _exactly(detections: Sequence[Detection], prompt: Prompt) -> list[_Problem]:
    """Pair every wanted object with one detection, best kind of match first; what is left is a problem."""
    free = list(detections)
    groups: list[list[Detection]] = [[] for _ in prompt.include]
    problems: list[_Problem] = []
    wanted = [(index, query) for index, query in enumerate(prompt.include) for _ in range(query.count)]
    wanted.sort(key=lambda item: item[1].color is None)  # queries with a colour choose first

    for kind in ("match", "wrong_color", "wrong_shape"):
        unmet: list[tuple[int, Query]] = []
        for index, query in wanted:
            found = next((one for one in free if _match_kind(query, one) == kind), None)
            if found is None:
                unmet.append((index, query))
                continue
            free.remove(found)
            if kind == "match":
                groups[index].append(found)
            else:
                text = f"{_words(found.shape, found.color)} instead of {_words(query.shape, query.color)}"
                problems.append(_Problem(kind, text))
        wanted = unmet

    seen = Counter(one.shape for one in detections)
    asked: Counter[str] = Counter()
    for query in prompt.include:
        asked[query.shape] += query.count
    for _, query in wanted:
        missing = _Problem("missing_object", f"no {_words(query.shape, query.color)}")
        problems.append(_count_problem(query.shape, seen, asked) or missing)
    for one in free:
        extra = _Problem("extra_object", f"an extra {_words(one.shape, one.color)}")
        problems.append(_count_problem(one.shape, seen, asked) or extra)
    problems += _wrong_relations(prompt, groups)
    return list(dict.fromkeys(problems))


def _at_least(detections: Sequence[Detection], prompt: Prompt) -> list[_Problem]:
    """GenEval's rule: the `count` best detections of a class, their colours and relations, then `exclude`."""
    ranked = sorted(detections, key=lambda one: -one.shape_score)
    groups: list[list[Detection]] = []
    problems: list[_Problem] = []
    for query in prompt.include:
        found = [one for one in ranked if one.shape == query.shape][: query.count]
        matched = False
        if len(found) < query.count:
            problems.append(_Problem("missing_object", f"{len(found)} of {query.count} {query.shape} found"))
        elif query.color is not None and sum(one.color == query.color for one in found) < query.count:
            problems.append(
                _Problem("wrong_color", f"{found[0].color} {query.shape} instead of {query.color}")
            )
        else:
            matched = True
        groups.append(found if matched else [])
    for query in prompt.exclude:
        seen = sum(one.shape == query.shape for one in detections)
        if seen >= query.count:
            problems.append(
                _Problem("wrong_count", f"{seen} {query.shape}, expected fewer than {query.count}")
            )
    return problems + _wrong_relations(prompt, groups)


def _match_kind(query: Query, one: Detection) -> str | None:
    same_shape, same_color = one.shape == query.shape, query.color in (None, one.color)
    if same_shape:
        return "match" if same_color else "wrong_color"
    return "wrong_shape" if same_color else None


def _wrong_relations(prompt: Prompt, groups: list[list[Detection]]) -> list[_Problem]:
    problems: list[_Problem] = []
    for query, group in zip(prompt.include, groups, strict=True):
        if query.relation is None or query.target is None:
            continue
        pairs = [(one, other) for one in group for other in groups[query.target]]
        if any(query.relation not in relations(one.box, other.box) for one, other in pairs):
            text = f"the {query.shape} is not {query.relation} the {prompt.include[query.target].shape}"
            problems.append(_Problem("wrong_relation", text))
    return problems


def _count_problem(shape: str, seen: Counter[str], asked: Counter[str]) -> _Problem | None:
    """The right kind of object in the wrong number; None if none was asked for, or none was drawn."""
    if not seen[shape] or not asked[shape] or seen[shape] == asked[shape]:
        return None
    return _Problem("wrong_count", f"{seen[shape]} x {shape} instead of {asked[shape]}")


def _is_binding_error(detections: Sequence[Detection], prompt: Prompt) -> bool:
    pairs = [(query.shape, query.color) for query in prompt.include for _ in range(query.count)]
    if any(color is None for _, color in pairs):
        return False
    drawn = [(one.shape, one.color) for one in detections]
    right_atoms = all(
        Counter(pair[i] for pair in drawn) == Counter(pair[i] for pair in pairs) for i in (0, 1)
    )
    return right_atoms and Counter(drawn) != Counter(pairs)


def _words(shape: str, color: str | None) -> str:
    shape = "shape of no kind" if shape == UNKNOWN else shape
    return shape if color is None else f"{'odd-coloured' if color == UNKNOWN else color} {shape}"
