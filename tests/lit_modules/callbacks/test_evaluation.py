"""Benchmarks within a training: what they log, and that training does not notice them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from evaluation.results import Result
from evaluation.tasks import registry
from lit_modules.callbacks import EMA, Evaluation
from tests.evaluation.runner.tasks import ENTRIES, PROMPT_SETS
from tests.lit_modules.toy import Toy, batches, trainer
from tests.pipelines import tiny_pipeline


@pytest.fixture(autouse=True)
def _tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.TASKS, "brightness", ENTRIES["brightness"])
    monkeypatch.setitem(registry.PROMPT_SETS, "shapes", PROMPT_SETS["shapes"])


class Drawing(Toy):
    """Learns a map of pixels, and draws with a network whose output layer follows what it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.drawer = [tiny_pipeline()]  # in a list, for it is no part of the module
        self.drawn_with: list[torch.Tensor] = []
        self.modes: list[bool] = []

    def pipeline(self, net: torch.nn.Module):
        net.eval()
        torch.rand(7)  # somebody draws from the global generator
        self.drawn_with.append(net.weight.detach().clone())
        return self.drawer[0]

    def training_step(self, batch, batch_idx):
        self.modes.append(self.net.training)
        self.drawn = torch.rand(())
        return super().training_step(batch, batch_idx)


def evaluation(**options: object) -> Evaluation:
    return Evaluation(**{"every_n_steps": 2, "tasks": ("brightness",), "limit": 1, **options})


def test_scores_are_logged_at_their_steps_and_kept(tmp_path: Path) -> None:
    from lit_modules.metrics_log import MetricsLog

    fit = trainer(tmp_path, evaluation(), max_steps=5, logger=MetricsLog(tmp_path))
    fit.fit(Drawing(), batches(5))
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    logged = {row["step"]: row["eval/brightness"] for row in rows if "eval/brightness" in row}
    assert logged.keys() == {2, 4}
    result = Result.load(tmp_path / "evaluation" / "step_0000004")
    assert result["brightness"].value == logged[4]
    assert result["brightness"].n == 1


def test_training_goes_on_as_without_it(tmp_path: Path) -> None:
    evaluated, alone = Drawing(), Drawing()
    alone.load_state_dict(evaluated.state_dict())
    last = []
    for module, callbacks in ((evaluated, (EMA(decay=0.5), evaluation())), (alone, (EMA(decay=0.5),))):
        torch.manual_seed(3)
        trainer(tmp_path, *callbacks, max_steps=5).fit(module, batches(5))
        last.append(module.drawn)
    assert torch.equal(evaluated.net.weight, alone.net.weight)
    assert torch.equal(*last)
    assert evaluated.modes == [True] * 5
    assert len(evaluated.drawn_with) == 2
    assert not any(torch.equal(used, evaluated.net.weight) for used in evaluated.drawn_with)


def test_averaged_weights_are_those_that_draw(tmp_path: Path) -> None:
    module, ema = Drawing(), EMA(decay=0.9)
    trainer(tmp_path, ema, evaluation(every_n_steps=4), max_steps=4).fit(module, batches(4))
    (used,) = module.drawn_with
    assert torch.equal(used, ema.state_dict()["averages"]["weight"])


def test_a_failed_score_is_told_and_training_goes_on(tmp_path: Path, caplog) -> None:
    module = Drawing()
    with torch.no_grad():
        module.drawer[0].vae.last_layer.fill_(torch.nan)
    fit = trainer(tmp_path, evaluation(), max_steps=4)
    fit.fit(module, batches(4))
    assert fit.global_step == 4
    assert "evaluation at step 2 failed: 1 of 1 images failed" in caplog.text


@pytest.mark.parametrize(
    ("error", "reason", "is_traced"),
    [
        (torch.OutOfMemoryError("out of memory"), "failed: out of memory", False),
        (OSError(28, "No space left on device"), "failed: [Errno 28] No space left", False),
        (MemoryError(), "failed: MemoryError", True),
        (KeyError("a defect"), "failed: 'a defect'", True),
    ],
    ids=["out of memory", "disk full", "no memory", "defect"],
)
def test_no_error_of_an_evaluation_ends_a_training(
    tmp_path: Path, caplog, error: Exception, reason: str, is_traced: bool
) -> None:
    class Failing(Drawing):
        def pipeline(self, net: torch.nn.Module):
            super().pipeline(net)
            raise error

    module = Failing()
    fit = trainer(tmp_path, EMA(decay=0.5), evaluation(), max_steps=3)
    fit.fit(module, batches(3))
    assert fit.global_step == 3
    (told,) = [record for record in caplog.records if "evaluation at step 2" in record.getMessage()]
    assert reason in told.getMessage()
    assert bool(told.exc_info) == is_traced
    assert module.modes == [True] * 3
    assert not torch.equal(module.drawn_with[0], module.net.weight)  # averages have gone where they came from


def test_an_interrupt_ends_an_evaluation_and_the_training(tmp_path: Path) -> None:
    class Interrupted(Drawing):
        def pipeline(self, net: torch.nn.Module):
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, SystemExit)):
        trainer(tmp_path, evaluation(), max_steps=3).fit(Interrupted(), batches(3))


def test_what_cannot_be_done_is_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="unknown task 'nothing'"):
        trainer(tmp_path, evaluation(tasks=("nothing",))).fit(Drawing(), batches(4))
    with pytest.raises(ValueError, match="takes a transformer"):
        trainer(tmp_path, evaluation()).fit(Toy(), batches(4))
    with pytest.raises(ValueError, match=r"needs evaluation\.tasks"):
        Evaluation(every_n_steps=1)
    trainer(tmp_path, Evaluation()).fit(Toy(), batches(4))  # off
