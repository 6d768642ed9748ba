from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.questions.graphs import (
    Graph,
    Question,
    count_answers,
    count_in_order,
    count_next_to_parents,
    read_graphs,
)

HEADER = "item_id,text,keywords,proposition_id,dependency,category_broad,category_detailed,tuple,"
HEADER += "question_natural_language\n"


def questions(**parents: tuple[int, ...]) -> tuple[Question, ...]:
    """q1=(), q2=(1,): question 2 depends on question 1."""
    return tuple(Question(id=int(name[1:]), text=f"{name}?", parents=ids) for name, ids in parents.items())


def yes_to_all_but(*denied: int, of: int) -> dict[int, bool]:
    return {number: number not in denied for number in range(1, of + 1)}


def test_roots_depend_on_nothing() -> None:
    graph, truths = questions(q1=(), q2=()), {1: True, 2: False}
    for rule in (count_answers, count_in_order, count_next_to_parents):
        assert rule(graph, truths) == truths


def test_a_no_at_the_head_of_a_chain_zeroes_all_of_it_but_in_dsgs_script_only_the_next() -> None:
    graph, truths = questions(q1=(), q2=(1,), q3=(2,), q4=(3,)), yes_to_all_but(1, of=4)
    nothing = {1: False, 2: False, 3: False, 4: False}
    assert count_answers(graph, truths) == nothing
    assert count_in_order(graph, truths) == nothing
    assert count_next_to_parents(graph, truths) == {1: False, 2: False, 3: True, 4: True}


def test_one_side_of_a_diamond_zeroes_its_tip() -> None:
    graph, truths = questions(q1=(), q2=(1,), q3=(1,), q4=(2, 3)), yes_to_all_but(3, of=4)
    for rule in (count_answers, count_in_order, count_next_to_parents):
        assert rule(graph, truths) == {1: True, 2: True, 3: False, 4: False}


def test_the_order_of_rows_matters_only_to_dpg_benchs_script() -> None:
    graph, truths = questions(q3=(2,), q2=(1,), q1=()), yes_to_all_but(1, of=3)
    assert count_answers(graph, truths) == {1: False, 2: False, 3: False}
    assert count_in_order(graph, truths) == {1: False, 2: False, 3: True}  # 2 was not zero yet


def test_a_question_that_depends_on_itself_or_in_a_circle_is_judged() -> None:
    graph = questions(q1=(1,), q2=(3,), q3=(2,))
    assert count_answers(graph, {1: True, 2: True, 3: True}) == {1: True, 2: True, 3: True}
    assert count_answers(graph, {1: True, 2: True, 3: False}) == {1: True, 2: False, 3: False}


def test_a_parent_that_is_not_there_stops_only_the_scripts() -> None:
    graph, truths = questions(q2=(1,)), {2: True}
    assert count_answers(graph, truths) == truths
    for rule in (count_in_order, count_next_to_parents):
        with pytest.raises(KeyError):
            rule(graph, truths)


def test_a_file_is_read_with_its_gaps(tmp_path: Path) -> None:
    path = tmp_path / "graphs.csv"
    path.write_text(
        HEADER
        + 'a,"a cube, red","",1,0,entity,whole,entity - whole (cube),Is there a cube?\n'
        + 'a,"a cube, red","",2,1,attribute,color,"attribute - color (cube, red)",Is it red?\n'
        + 'b,rocks,"",1,"2, ground",global,-,global - - (rocks),Are there rocks? \n'
    )
    first, second = read_graphs(path)
    assert (first.id, first.prompt, first.has_gaps) == ("a", "a cube, red", False)
    assert [one.parents for one in first.questions] == [(), (1,)]
    assert [one.category for one in first.questions] == ["entity - whole", "attribute - color"]
    assert [one.is_first for one in (*first.questions, *second.questions)] == [True, False, False]
    assert second.has_gaps
    assert second.questions == (
        Question(id=1, text="Are there rocks?", parents=(2,), category="global - -", is_whole=False),
    )
    metadata = json.loads(json.dumps(first.metadata()))
    assert Graph.from_metadata("a", "a cube, red", metadata) == first


def test_one_dependency_that_cant_be_read_frees_a_prompt_in_dsgs_script_alone() -> None:
    graph = (*questions(q1=(), q2=(1,)), Question(id=3, text="q3?", parents=(1,), is_whole=False))
    truths = yes_to_all_but(1, of=3)
    assert count_next_to_parents(graph, truths) == truths
    assert count_answers(graph, truths) == {1: False, 2: False, 3: False}


def test_of_rows_with_the_same_number_the_last_counts(tmp_path: Path) -> None:
    path = tmp_path / "graphs.csv"
    rows = [
        f"a,t,k,{number},0,c,d,entity (x),{text}?\n" for number, text in ((1, "One"), (2, "Two"), (1, "New"))
    ]
    path.write_text(HEADER + "".join(rows))
    (graph,) = read_graphs(path)
    assert [(one.id, one.text) for one in graph.questions] == [(1, "New?"), (2, "Two?")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("item_id,text\n", "lacks the columns dependency, proposition_id"),
        (HEADER, "has no questions"),
        (HEADER + "a,t,k,one,0,c,d,entity (x),Is it?\n", "row 1 of .* can't be read"),
        (HEADER + "a,t,k,1\n", "row 1 of .* can't be read"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "graphs.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=message):
        read_graphs(path)
