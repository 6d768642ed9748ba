"""latency, memory, flops: of what a pipeline really does, in its stages."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from evaluation.__main__ import main
from evaluation.cost.drawing import StagedDrawing
from evaluation.cost.flops import Flops
from evaluation.cost.latency import Latency
from evaluation.cost.memory import Memory
from evaluation.results import Result
from evaluation.tasks.api import EvalContext, TaskScore
from evaluation.tasks.registry import TASKS
from evaluation.weights import WeightFinder
from infinity.pipeline import InfinityPipeline
from tests.tolerances import TOL


def context(pipeline: InfinityPipeline, **sampling: object) -> EvalContext:
    return EvalContext(weights=WeightFinder(), pipeline=pipeline, sampling=sampling)


def parts(score: TaskScore) -> dict[str, float]:
    return {metric.id.rpartition("/")[2]: metric.value for metric in score.metrics}


@pytest.mark.parametrize("negative", [None, "rain"])
def test_the_stages_together_are_a_call_of_the_pipeline(pipeline, negative) -> None:
    settings = {"guidance_scale": 2.0, "negative_prompt": negative, "aspect_ratio": 0.6}
    drawing = StagedDrawing.of(context(pipeline, **settings), batch_size=2)
    expected = pipeline(drawing.captions(3), seeds=list(drawing.seeds(3)), output_type="pt", **settings)
    torch.testing.assert_close(drawing(3), expected.images, **TOL[torch.float32])
    assert drawing.size == tuple(expected.images.shape[2:])


def test_latency_finds_the_slow_stage(pipeline, monkeypatch) -> None:
    decode = pipeline.decode

    def slow(features_BDHW: torch.Tensor) -> torch.Tensor:
        time.sleep(0.05)
        return decode(features_BDHW)

    monkeypatch.setattr(pipeline, "decode", slow)
    score = Latency(rounds=6).score((), context(pipeline))
    seconds = parts(score)
    assert seconds.keys() == {"total", "text_encoder", "transformer", "decoder"}
    assert 0.05 < seconds["decoder"] < seconds["total"]
    assert seconds["text_encoder"] < 0.05
    for metric in score.metrics:
        assert metric.ci95[0] <= metric.value <= metric.ci95[1]
        assert metric.direction == "lower"
    total = score.metrics[0].id
    assert total.startswith("seconds_per_image[64x64,batch=1,")
    assert f"{torch.get_num_threads()} threads]/total" in total
    assert [row[0] for row in score.tables["Latency"].rows][0] == "total"


def test_latency_is_per_image(pipeline, monkeypatch) -> None:
    encode = pipeline.text_encoder.encode

    def slow(captions: list[str]):
        time.sleep(0.02 * len(captions))
        return encode(captions)

    monkeypatch.setattr(pipeline.text_encoder, "encode", slow)
    seconds = parts(Latency(batch_size=4, rounds=6).score((), context(pipeline)))
    assert 0.02 <= seconds["text_encoder"] < 0.04


def test_counted_operations_are_those_of_the_closed_forms(pipeline) -> None:
    for guidance in (1.0, 3.0):
        score = Flops().score((), context(pipeline, guidance_scale=guidance))
        for stage, counted, closed in score.tables["Operations per image"].rows:
            if closed is not None:
                assert counted == pytest.approx(closed, rel=0.01), stage
        found = parts(score)
        assert found["total"] == pytest.approx(sum(value for name, value in found.items() if name != "total"))
        assert score.metrics[0].id == "gflops_per_image[64x64,batch=1]/total"
        assert ("without guidance" in score.metrics[0].note) == (guidance == 1)


def test_memory_is_that_of_weights_and_of_the_largest_moment(pipeline) -> None:
    score = Memory().score((), context(pipeline))
    found = parts(score)
    rows = dict(score.tables["Memory"].rows)
    assert found["total"] == pytest.approx(found["weights"] + found["working"])
    assert found["weights"] == pytest.approx(rows["planned: weights"] + rows["planned: tokenizer"], rel=0.02)
    more = parts(Memory(batch_size=8).score((), context(pipeline)))
    assert more["weights"] == found["weights"]
    assert 4 < more["working"] / found["working"] < 10
    unguided = parts(Memory(batch_size=8).score((), context(pipeline, guidance_scale=1.0)))
    assert unguided["working"] < more["working"]


def test_the_run_command_measures_cost_with_its_settings(pipeline, tmp_path: Path) -> None:
    pipeline.save_pretrained(tmp_path / "model")
    words = ["--tasks", "latency,memory,flops", "--guidance", "1", "--output", str(tmp_path / "run")]
    main(["run", "--model", str(tmp_path / "model"), *words])
    metrics = Result.load(tmp_path / "run").metrics
    assert len(metrics) == 4 + 3 + 4
    assert all("float32, without guidance" in metric.note for metric in metrics)


def test_entries_name_the_metrics_that_come_out(pipeline) -> None:
    for name, task in (("latency", Latency(rounds=6)), ("memory", Memory()), ("flops", Flops())):
        (template,) = TASKS[name].metrics
        for metric in task.score((), context(pipeline)).metrics:
            assert metric.id.split("[")[0] == template.split("[")[0]
            assert metric.direction == TASKS[name].direction


def test_too_few_rounds_have_no_interval() -> None:
    with pytest.raises(ValueError, match="at least 6 rounds, got 5"):
        Latency(rounds=5)
