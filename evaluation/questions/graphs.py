"""Questions that depend on each other, as DPG-Bench and DSG ask them, and which of them an image answers.

A question counts only where what it takes for granted is there: "is the cube red?" needs a cube. The
published scripts differ in how far that reaches; `fixed` is one rule for both.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Graph", "Question", "count_answers", "count_in_order", "count_next_to_parents", "read_graphs"]

_COLUMNS = ("item_id", "text", "proposition_id", "dependency", "tuple", "question_natural_language")

Truths = Mapping[int, bool]


@dataclass(frozen=True, kw_only=True)
class Question:
    """A proposition about an image.

    Args:
        id: in its graph, from 1.
        parents: questions that it depends on.
        category: e.g. "attribute - color".
        is_whole: whether the file's dependency could be read as it is; of others the numbers in it are taken.
        is_first: whether it is the file's first row, which DPG-Bench's script drops.
    """

    id: int
    text: str
    parents: tuple[int, ...] = ()
    category: str = ""
    is_whole: bool = True
    is_first: bool = False


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All questions about one prompt, in the file's order."""

    id: str
    prompt: str
    questions: tuple[Question, ...]

    def metadata(self) -> dict[str, Any]:
        """For a prompt of the runner, through JSON."""
        return {"questions": [{**asdict(one), "parents": list(one.parents)} for one in self.questions]}

    @classmethod
    def from_metadata(cls, prompt_id: str, prompt: str, metadata: Mapping[str, Any]) -> Graph:
        rows = metadata["questions"]
        questions = tuple(Question(**{**row, "parents": tuple(row["parents"])}) for row in rows)
        return cls(id=prompt_id, prompt=prompt, questions=questions)

    @property
    def has_gaps(self) -> bool:
        """Whether some dependency can't be read, or is of a question that is not there."""
        ids = {one.id for one in self.questions}
        return any(not one.is_whole or not ids.issuperset(one.parents) for one in self.questions)


def read_graphs(path: Path) -> list[Graph]:
    """The graphs of a CSV file with the columns of DPG-Bench and DSG, in the order of their first rows.

    Of rows with the same number in a graph the last one counts, as for the published scripts.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        if lost := sorted(set(_COLUMNS) - set(reader.fieldnames or ())):
            raise ValueError(f"{path} lacks the columns {', '.join(lost)}; get the published file again")
        graphs: dict[str, tuple[str, dict[int, Question]]] = {}
        for number, row in enumerate(reader):
            _, questions = graphs.setdefault(row["item_id"], (row["text"], {}))
            try:
                question = _question(row, is_first=number == 0)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"row {number + 1} of {path} can't be read ({error}); get it again"
                ) from error
            questions[question.id] = question
    if not graphs:
        raise ValueError(f"{path} has no questions; get the published file again")
    return [
        Graph(id=name, prompt=text, questions=tuple(questions.values()))
        for name, (text, questions) in graphs.items()
    ]


def _question(row: Mapping[str, str], *, is_first: bool) -> Question:
    numbers = [int(number) for number in re.findall(r"\d+", row["dependency"])]
    return Question(
        id=int(row["proposition_id"]),
        text=row["question_natural_language"].strip(),
        parents=tuple(dict.fromkeys(number for number in numbers if number)),
        category=row["tuple"].split("(")[0].strip(),
        is_whole=re.fullmatch(r"\s*\d+\s*(,\s*\d+\s*)*", row["dependency"]) is not None,
        is_first=is_first,
    )


def count_answers(questions: Sequence[Question], truths: Truths) -> dict[int, bool]:
    """`fixed`: a question counts if it and all that it depends on, however far, are answered yes.

    The order of questions does not matter; parents that are not there ask for nothing.
    """
    parents = {one.id: one.parents for one in questions}

    def ancestors(start: int) -> set[int]:
        seen: set[int] = set()
        todo = [start]
        while todo:
            one = todo.pop()
            if one in parents and one not in seen:
                seen.add(one)
                todo += parents[one]
        return seen

    return {one.id: all(truths[other] for other in ancestors(one.id)) for one in questions}


def count_in_order(questions: Sequence[Question], truths: Truths) -> dict[int, bool]:
    """DPG-Bench's: from first to last, a question is zeroed if a parent is zero by then.

    Raises:
        KeyError: for a parent that is not there.
    """
    counted = {one.id: truths[one.id] for one in questions}
    for one in questions:
        if not all(counted[parent] for parent in one.parents):
            counted[one.id] = False
    return counted


def count_next_to_parents(questions: Sequence[Question], truths: Truths) -> dict[int, bool]:
    """DSG's: a question is zeroed if a parent is answered no; what that parent depends on has no say.

    One dependency that can't be read frees all questions of its prompt.

    Raises:
        KeyError: for a parent that is not there.
    """
    if not all(one.is_whole for one in questions):
        return {one.id: truths[one.id] for one in questions}
    return {one.id: truths[one.id] and all(truths[parent] for parent in one.parents) for one in questions}
