"""The demo's stages: done once, kept over interruptions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evaluation.provenance import collect_provenance
from evaluation.results import MetricValue, Result
from evaluation.shapeseval.results import VERIFIER_VERSION
from lit_modules.cli import main
from lit_modules.demo import DemoOptions, Stages, duration_text, headline, run_demo


def options(tmp_path: Path, **values) -> DemoOptions:
    return DemoOptions(output=tmp_path / "run", data=tmp_path / "data", **values)


def test_a_finished_stage_is_not_done_again(tmp_path):
    calls = []
    for _ in range(2):
        Stages(options(tmp_path)).run("data", lambda: calls.append(1))
    assert calls == [1]


def test_an_interrupted_stage_is_done_again(tmp_path):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Stages(options(tmp_path)).run("data", interrupted)
    calls = []
    Stages(options(tmp_path)).run("data", lambda: calls.append(1))
    assert calls == [1]


def test_time_is_shared_from_what_earlier_stages_left_and_stays_granted(tmp_path):
    stages = Stages(options(tmp_path, budget=10))
    stages.state["seconds"]["data"] = 100.0
    granted = stages.grant("tokenizer", 0.5)
    assert granted == pytest.approx(0.5 * (600 - 100 - stages.reserve))
    stages.state["seconds"]["more"] = 50.0
    assert stages.grant("tokenizer", 0.5) == granted
    assert Stages(options(tmp_path, budget=10)).grant("tokenizer", 0.5) == granted


def test_a_run_with_other_settings_is_refused(tmp_path):
    Stages(options(tmp_path)).run("data", lambda: None)
    with pytest.raises(ValueError, match="holds a demo with other settings .*choose another --output"):
        Stages(options(tmp_path, budget=20))


def test_a_record_that_was_cut_short_is_named(tmp_path):
    Stages(options(tmp_path)).run("data", lambda: None)
    record = tmp_path / "run" / "stages.json"
    record.write_text(record.read_text()[:-20])
    with pytest.raises(ValueError, match=r"stages\.json is not JSON"):
        Stages(options(tmp_path))


@pytest.mark.parametrize(
    ("seconds", "text"), [(59.9, "00:00:00:59"), (3661, "00:01:01:01"), (90000, "01:01:00:00")]
)
def test_durations_are_written_as_lightning_reads_them(seconds, text):
    assert duration_text(seconds) == text


def test_an_impossible_budget_is_one_sentence(capsys):
    assert main(["demo", "--budget", "0"]) == 1
    assert capsys.readouterr().err == "error: --budget is in minutes and must be in [0.5, 1440], got 0.0\n"


def test_runs_are_named_after_tier_and_budget():
    assert DemoOptions(tier="full", budget=60).run == Path("runs/demo-full-60")


def test_the_end_tells_the_numbers_that_the_report_opens_with(tmp_path):
    scored = f"shapeseval[basic,64px,verifier={VERIFIER_VERSION}]/id/overall"
    metrics = (
        MetricValue(id="bit_usage[64px]/scale_01", value=0.5, direction="none", n=9),
        MetricValue(id=scored, value=0.8, direction="higher", n=9, ci95=(0.75, 0.85)),
        MetricValue(id="ssim[64px]", value=0.9, direction="higher", n=9),
    )
    Result(name="run", metrics=metrics, provenance=collect_provenance()).save(tmp_path)
    assert headline(tmp_path) == [
        "ShapesEval: prompts as in training: 0.80 (0.75 to 0.85)",
        "Reconstruction SSIM: 0.900",
    ]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_demo_ends_with_a_report(tmp_path):
    report = run_demo(options(tmp_path, budget=2.0))
    assert "<html" in report.read_text()
    result = json.loads((report.parent / "result.json").read_text())
    values = {metric["id"]: metric["value"] for metric in result["metrics"]}
    assert next(value for name, value in values.items() if name.startswith("psnr[64px,N=")) > 10
