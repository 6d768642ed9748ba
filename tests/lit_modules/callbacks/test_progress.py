from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from lit_modules.callbacks import ProgressLine
from tests.lit_modules.toy import Toy, batches, trainer


def test_a_log_file_gets_a_line_now_and_then_and_one_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 100_000, 2))
    fake = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("lit_modules.callbacks.progress.time", fake)
    options = {"max_steps": 12, "val_check_interval": 6, "num_sanity_val_steps": 0}
    fit = trainer(tmp_path, ProgressLine(log_seconds=15), **options)
    fit.fit(Toy(), batches(12), batches(1))
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("step 12/12  epoch 1  loss ")
    assert any("steps/s" in line and "left" in line for line in lines)
    assert sum(line.startswith("step 6: val/loss ") for line in lines) == 1
    assert 4 <= len(lines) < 12


def test_loss_speed_and_time_left_follow_the_steps(tmp_path: Path) -> None:
    fit, module = trainer(tmp_path, max_steps=100), Toy()
    module.last_losses["train"] = 0.25  # as logged; a step asks nothing of the device
    line = ProgressLine()
    line._times.extend([(10, 5.0), (20, 10.0)])
    assert line._line(fit, module).endswith("loss 0.2500  2.00 steps/s  0:00:50 left")


def test_speed_is_told_also_where_a_step_takes_more_batches_than_are_looked_back_on(tmp_path: Path) -> None:
    line = ProgressLine(log_seconds=0)
    trainer(tmp_path, line, max_steps=2, accumulate_grad_batches=25).fit(Toy(), batches(50))
    assert [step for step, _ in line._times] == [0, 1, 2]


def test_a_time_limit_that_ends_earlier_is_the_time_left(tmp_path: Path) -> None:
    fit = trainer(tmp_path, max_steps=100, max_time={"seconds": 7})
    line = ProgressLine()
    line._times.extend([(10, 5.0), (20, 10.0)])
    assert line._line(fit, Toy()).endswith("0:00:07 left")


def test_a_disabled_line_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ProgressLine(log_seconds=0)
    line.disable()
    line._show("anything", last=True)
    assert capsys.readouterr().err == ""
