"""compare: what is paired and how, what is refused, what is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.__main__ import main
from evaluation.comparison.compare import compare_runs
from evaluation.results import Result, read_samples, write_samples
from evaluation.tasks.entry import TaskEntry
from evaluation.tasks.registry import TASKS
from evaluation.weights import WeightFile
from tests.evaluation.comparison.conftest import WriteRun

OTHER = TaskEntry(
    summary="a task of other metrics",
    target="nowhere:Other",
    metrics=("other[knobs]",),
    weights=(WeightFile(name="scale", file="scale.txt", source="the tests"),),
)


def test_means_over_images_groups_and_parts_are_paired_by_prompt(write_run: WriteRun) -> None:
    found = {one.id: one for one in compare_runs(write_run("a"), write_run("b", seed=1, share=0.8)).metrics}
    assert {name: (one.test, one.num_prompts) for name, one in found.items()} == {
        "things[4 images]": ("paired prompts", 30),
        "things[4 images]/mean of tags": ("paired prompts", 30),
        "things[4 images]/hard": ("paired prompts", 15),
        "things[4 images]/percent": ("paired prompts", 30),
        "fid[4 images]": ("none", None),
        "parameters": ("none", None),
    }
    whole, percent = found["things[4 images]"], found["things[4 images]/percent"]
    assert percent.ci95 == pytest.approx([100 * one for one in whole.ci95])
    assert whole.verdict == "better"
    assert whole.p <= whole.p_holm < 0.05
    assert whole.ci95[0] < whole.difference < whole.ci95[1]
    assert found["fid[4 images]"].verdict == "not tested"


def test_numbers_of_other_amounts_of_data_are_refused(write_run: WriteRun) -> None:
    runs = write_run("a"), write_run("b")
    result = Result.load(runs[1])
    more = [replace(one, n=one.n + 1) if one.id.startswith("fid") else one for one in result.metrics]
    replace(result, metrics=tuple(more)).save(runs[1])
    with pytest.raises(ValueError, match=r"fid\[4 images\] is of \d+ items in one run"):
        compare_runs(*runs)
    assert compare_runs(*runs, only=["things"]).metrics


def test_the_other_way_round_everything_turns(write_run: WriteRun) -> None:
    runs = write_run("a"), write_run("b", seed=1, share=0.8)
    there, back = compare_runs(*runs), compare_runs(*reversed(runs))
    for one, other in zip(there.metrics, back.metrics, strict=True):
        assert other.difference == pytest.approx(-one.difference)
        if one.ci95:
            assert other.ci95 == pytest.approx((-one.ci95[1], -one.ci95[0]), abs=1e-9)
            assert (one.verdict, other.verdict) in {("better", "worse"), ("no difference shown",) * 2}


def test_a_run_does_not_differ_from_itself(write_run: WriteRun) -> None:
    run = write_run("a")
    for one in compare_runs(run, run).metrics:
        assert one.p in (None, 1.0)
        # nothing differs, so the prompts don't tell how much prompts vary; the runs' own intervals do
        assert one.ci95 is None or one.ci95[0] < 0 < one.ci95[1]


def test_metrics_without_rows_are_compared_by_their_intervals(write_run: WriteRun) -> None:
    first, second = write_run("a", fid=(10.0, (9.0, 11.0))), write_run("b", seed=1, fid=(7.0, (6.0, 8.0)))
    one = next(one for one in compare_runs(first, second).metrics if one.id.startswith("fid"))
    assert one.test == "intervals"
    assert one.ci95 == pytest.approx((-3 - 2**0.5, -3 + 2**0.5))
    assert one.p == pytest.approx(2 * 1.6047e-5, rel=1e-2)  # z = 3 * 1.96 / sqrt(2) = 4.158
    assert one.verdict == "better"


def test_a_number_that_rows_give_back_by_chance_is_not_paired(
    write_run: WriteRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows belong to the metrics of their task alone."""
    runs = write_run("a"), write_run("b", seed=1)
    monkeypatch.setitem(TASKS, "things", OTHER)
    assert {one.test for one in compare_runs(*runs).metrics} == {"none", "intervals"}


def test_a_number_of_other_images_or_a_difference_that_rows_give_back_by_chance_is_not_paired(
    write_run: WriteRun,
) -> None:
    runs = write_run("a"), write_run("b", seed=1)
    for path in runs:
        fields = Result.load(path).to_dict()
        whole = fields["metrics"][0]
        others = [
            {**whole, "id": "things[4 images]/any", "n": 30},
            {**whole, "id": "things[4 images]/gap/hard"},
        ]
        Result.from_dict({**fields, "metrics": [whole, *others]}).save(path)
    assert [one.test for one in compare_runs(*runs).metrics] == ["paired prompts", "intervals", "intervals"]


def test_rows_that_do_not_give_the_metric_are_not_used(write_run: WriteRun) -> None:
    runs = write_run("a"), write_run("b", seed=1)
    rows = read_samples(runs[1])
    rows[0]["tasks"]["things"]["correct"] = not rows[0]["tasks"]["things"]["correct"]
    write_samples(runs[1], rows)
    tests = {one.id: one.test for one in compare_runs(*runs).metrics}
    assert tests["things[4 images]"] == "intervals"


@pytest.mark.parametrize(
    ("other", "sentence"),
    [
        ({"knobs": "2 images"}, r"10 metric ids are in one run alone and do not compare: things\[4 images\]"),
        (
            {"text": "a blue ring"},
            r"prompts of things differ \(sha256 .* of 30 in a and .* of 30 in b\), e.g. p0",
        ),
        ({"num_prompts": 28}, r"prompts of things differ .* of 28 in b\), e.g. p28, p29; draw both"),
        (
            {"data": {"coco": "2222"}},
            r"references differ: a was measured on coco \(1111\) and b on coco \(2222\)",
        ),
        ({"checkpoints": {"scale": "bb"}}, "weights of the scorer scale differ: sha256 aa in a and bb in b"),
    ],
)
def test_what_does_not_compare_is_refused_by_name(
    write_run: WriteRun, other: dict, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TASKS, "other", OTHER)
    facts = {"data": {"coco": "1111"}, "checkpoints": {"scale": "aa", "vae": "01"}}
    first = write_run("a", **facts)
    second = write_run("b", **{**facts, "checkpoints": {"scale": "aa", "vae": "02"}, **other})
    with pytest.raises(SystemExit, match=f"error: {sentence}"):
        main(["compare", str(first), str(second)])


def test_only_picks_metrics_that_both_runs_have(write_run: WriteRun, capsys) -> None:
    first, second = write_run("a"), write_run("b", seed=1, share=0.8)
    result = Result.load(second)
    fields = result.to_dict()
    fields["metrics"] = [one for one in fields["metrics"] if one["id"] != "parameters"]
    Result.from_dict(fields).save(second)
    with pytest.raises(SystemExit, match=r"1 metric ids are in one run alone .*: parameters \(in a alone\)"):
        main(["compare", str(first), str(second)])
    main(["compare", str(first), str(second), "--only", "things", "--output", str(first / "versus")])
    text = capsys.readouterr().out
    assert (first / "versus" / "comparison.md").read_text() == text
    assert "corrected for the 4 metrics tested" in text
    assert "| guidance | 0.5 | 0.8 |" in text
    written = json.loads((first / "versus" / "comparison.json").read_text())
    assert [one["id"].split("[")[0] for one in written["metrics"]] == ["things"] * 4
    assert written["metrics"][0]["verdict"] == "better"
    assert written["prompts"].keys() == {"things"}
    with pytest.raises(SystemExit, match=r"neither run has a metric 'thing' \(--only\); a has things"):
        main(["compare", str(first), str(second), "--only", "thing"])


def test_what_one_run_alone_has_of_the_metrics_asked_for_is_left_out_and_named(
    write_run: WriteRun, capsys
) -> None:
    """As with ShapesEval's harder prompts, whose ids begin as those of the others do."""
    first, second = write_run("a"), write_run("b", seed=1)
    fields = Result.load(first).to_dict()
    harder = {**fields["metrics"][0], "id": "things[4 images]/harder"}
    Result.from_dict({**fields, "metrics": [*fields["metrics"], harder]}).save(first)
    main(["compare", str(first), str(second), "--only", "things", "--output", str(first / "versus")])
    lone = "things[4 images]/harder (in a alone)"
    assert f"1 metrics of one run alone were left out: {lone}\n" in capsys.readouterr().out
    written = json.loads((first / "versus" / "comparison.json").read_text())
    assert written["left_out"] == [lone]
    assert len(written["metrics"]) == 4
    for only in (["things[4 images]/harder"], ["things[4 images]/harder", "fid"]):
        with pytest.raises(SystemExit, match=r"1 metric ids are in one run alone .*/harder \(in a alone\)"):
            main(["compare", str(first), str(second), "--only", *only])


def test_a_run_that_has_lost_its_rows_is_refused_for_nobody_knows_its_prompts(write_run: WriteRun) -> None:
    first, second = write_run("a"), write_run("b", seed=1)
    (second / "samples.jsonl").unlink()
    with pytest.raises(ValueError, match="b has no images of the prompt set things, which the other run has"):
        compare_runs(first, second)


def test_seeds_code_and_versions_that_differ_are_listed(write_run: WriteRun, capsys) -> None:
    same = {"git_sha": "0123456789abcdef", "hardware": {"cpu": "one"}}
    first = write_run("a", seeds={"sampling": 0}, versions={"torch": "2.9"}, git_dirty=False, **same)
    second = write_run("b", seeds={"sampling": 1}, versions={"torch": "2.10"}, git_dirty=True, **same)
    main(["compare", str(first), str(second)])
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    rows = [" ".join(words).strip("| ") for words in lines]
    listed = rows[rows.index("setting | A | B") + 2 :]
    assert listed == [
        "code | 0123456789 | 0123456789 with changes",
        "seed of sampling | 0 | 1",
        "version of torch | 2.9 | 2.10",
    ]


def test_shapesevals_own_rows_are_paired_arm_by_arm(write_run: WriteRun, tmp_path: Path) -> None:
    """As ``run`` without tasks leaves them: flat, with several arms of the same prompts."""
    paths = []
    for name, shift in (("a", 0), ("b", 1)):
        path = write_run(name)
        right = {"samples": 3 + shift, "ground truth": 10}
        rows, metrics = [], []
        for arm, num_right in right.items():
            for number in range(10):
                about = {"split": "id", "tag": "colors", "prompt": f"circle {number}"}
                verdict = {"correct": number < num_right, "failures": [], "detections": []}
                rows.append({"arm": arm, "prompt_id": f"{number}", "image": 0, "metadata": about, **verdict})
            knob = "" if arm == "samples" else ",ground_truth"
            metrics.append(
                {
                    **{"id": f"shapeseval[basic,verifier=1{knob}]/id/colors", "value": num_right / 10},
                    **{"direction": "higher", "n": 10, "ci95": (0.0, 1.0), "note": ""},
                }
            )
        # two without rows, whose values happen to be those of arms that have some
        shuffled = "shapeseval[basic,verifier=1,shuffled_prompts]/id/colors"
        metrics.append({**metrics[0], "id": shuffled})
        metrics.append({**metrics[0], "id": "bit_usage[64px]"})
        Result.from_dict({**Result.load(path).to_dict(), "metrics": metrics}).save(path)
        write_samples(path, rows)
        paths.append(path)
    samples, truth, shuffled, bits = compare_runs(*paths).metrics
    assert (samples.test, samples.num_prompts, samples.difference) == (
        "paired prompts",
        10,
        pytest.approx(0.1),
    )
    assert truth.test == shuffled.test == bits.test == "intervals"


def test_too_few_resamples_and_folders_without_results_are_refused(
    write_run: WriteRun, tmp_path: Path
) -> None:
    run = str(write_run("a"))
    with pytest.raises(SystemExit, match="at least 100 resamples, got 5"):
        main(["compare", run, run, "--resamples", "5"])
    with pytest.raises(SystemExit, match=r"no result\.json in"):
        main(["compare", run, str(tmp_path / "nothing")])
