from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.questions.graph_task import GraphTask
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample, TaskScore
from evaluation.tasks.registry import build_prompts, build_task
from evaluation.weights import WeightFinder
from tests.evaluation.questions.recorded import context_of, draw
from tests.evaluation.questions.test_graphs import HEADER

CUBE = """\
cube,a red cube,k,1,0,entity,whole,entity - whole (cube),Is there a cube?
cube,a red cube,k,2,1,attribute,color,"attribute - color (cube, red)",Is it red?
"""
RING = """\
ring,a big ring,k,1,0,entity,whole,entity - whole (ring),Is there a ring?
ring,a big ring,k,2,1,attribute,size,"attribute - size (ring, big)",Is it big?
ring,a big ring,k,3,2,attribute,color,"attribute - color (ring, big)",Is the big one new?
ring,a big ring,k,4,0,entity,part,entity - part (floor),Is there a floor?
"""


def benchmark(tmp_path: Path, rows: str, *prompts: str) -> list[EvalSample]:
    """Images of the prompts of a directory as DPG-Bench is published."""
    folder = tmp_path / "dpg_bench"
    (folder / "prompts").mkdir(parents=True)
    (folder / "dpg_bench.csv").write_text(HEADER + rows)
    for name in prompts:
        (folder / "prompts" / f"{name}.txt").write_text(f"The prompt of {name}.\n")
    context = EvalContext(weights=WeightFinder({"dpg-bench": folder}))
    drawn = [
        EvalPrompt(id=one.id, text=one.text, num_images=2, metadata=one.metadata)
        for one in build_prompts("dpg_bench", context)
    ]
    return draw(tmp_path, drawn)


def scored(tmp_path: Path, samples: list[EvalSample], denied: set[tuple[str, int, str]]) -> TaskScore:
    """Everything is answered with yes but what is named: prompt, image, question."""
    answers = [
        (
            sample,
            row["text"],
            {"answer": "no" if (sample.prompt.id, sample.index, row["text"]) in denied else "Yes."},
        )
        for sample in samples
        for row in sample.prompt.metadata["questions"]
    ]
    return build_task("dpg_bench").score(samples, context_of(tmp_path, answers))


def test_the_modes_of_dpg_bench_differ_as_documented(tmp_path: Path) -> None:
    """Cube: its first row is the file's, so its child fails the script. Ring, worked by hand.

    Its first image lacks the ring, and with it the size and the age that hang on it: 1 of 4. Its last one
    lacks the size, so the age does not count: 2 of 4, but is a yes to the script's categories.
    """
    samples = benchmark(tmp_path, CUBE + RING, "cube", "ring")
    denied = {("ring", 0, "Is there a ring?"), ("ring", 1, "Is it big?"), ("cube", 1, "Is there a cube?")}
    score = scored(tmp_path, samples, denied)
    fixed, official = score.metrics
    assert fixed.id == "dpg_bench[vqa=table,recorded,mode=fixed,prompts=2,images=4]"
    assert fixed.value == pytest.approx(100 * ((1 + 0) / 2 + (1 / 4 + 2 / 4) / 2) / 2)
    assert fixed.n == 4
    assert official.id == "dpg_bench[vqa=table,recorded,mode=official,prompts=2,images=4]"
    assert official.value == pytest.approx(100 * (1 / 4 + 2 / 4) / 2)
    assert official.n == 2
    table = {row[0]: (row[1], row[4], row[5]) for row in score.tables["dpg_bench by category"].rows}
    assert table["entity"] == (pytest.approx(100 * 4 / 6), 100, 6)
    assert table["entity - whole"] == (pytest.approx(100 * 2 / 4), 100, 4)
    assert table["attribute"] == (pytest.approx(100 * 1 / 6), 50, 6)
    assert table["attribute - color"] == (pytest.approx(100 * 1 / 4), 100, 4)
    assert table["attribute - size"] == (0, 0, 2)
    assert [caveat for caveat in score.caveats if "leaves out 1 of 2 prompts" in caveat]


def test_the_script_drops_the_first_row_even_where_nothing_hangs_on_it(tmp_path: Path) -> None:
    samples = benchmark(tmp_path, RING.replace(",2,1,", ",2,0,"), "ring")
    denied = {("ring", index, "Is there a ring?") for index in (0, 1)}
    fixed, official = scored(tmp_path, samples, denied).metrics
    assert (fixed.value, official.value) == (75, 100)


def test_where_the_script_fails_on_everything_it_has_no_score(tmp_path: Path) -> None:
    samples = benchmark(tmp_path, CUBE, "cube")
    assert [metric.value for metric in scored(tmp_path, samples, set()).metrics] == [100]


def test_rows_say_what_was_denied_and_what_hangs_on_it(tmp_path: Path) -> None:
    samples = benchmark(tmp_path, CUBE + RING, "cube", "ring")
    rows = scored(tmp_path, samples, {("ring", 0, "Is it big?")}).rows
    assert [(row["prompt_id"], row["index"]) for row in rows] == [(s.prompt.id, s.index) for s in samples]
    assert [row["correct"] for row in rows] == [True, True, False, True]
    assert rows[2]["reason"] == "no: Is it big?; yes, but depends on a no: Is the big one new?"


def test_prompts_are_the_published_texts_with_four_images(tmp_path: Path) -> None:
    benchmark(tmp_path, CUBE, "cube")
    folder = tmp_path / "dpg_bench"
    (prompt,) = build_prompts("dpg_bench", EvalContext(weights=WeightFinder({"dpg-bench": folder})))
    assert (prompt.id, prompt.text, prompt.num_images) == ("cube", "The prompt of cube.", 4)
    (folder / "prompts" / "cube.txt").unlink()
    with pytest.raises(ValueError, match="lacks prompts/cube.txt; get the whole directory"):
        build_prompts("dpg_bench", EvalContext(weights=WeightFinder({"dpg-bench": folder})))


def test_dsgs_script_looks_no_further_than_parents(tmp_path: Path) -> None:
    path = tmp_path / "dsg.csv"
    path.write_text(HEADER + RING.replace("ring,a big", "whoops_7,a big"))
    (prompt,) = build_prompts("dsg", EvalContext(weights=WeightFinder({"dsg": path})))
    assert (prompt.text, prompt.num_images) == ("a big ring", 1)
    samples = draw(tmp_path, [prompt])
    texts = [row["text"] for row in prompt.metadata["questions"]]
    answers = [(samples[0], text, {"answer": "no" if "a ring" in text else "yes"}) for text in texts]
    score = GraphTask(benchmark="dsg").score(samples, context_of(tmp_path, answers))
    assert [metric.value for metric in score.metrics] == [25, 50]
    assert score.caveats == ()
    assert score.tables["dsg by source"].rows == (("whoops", 25, 50, 1),)
