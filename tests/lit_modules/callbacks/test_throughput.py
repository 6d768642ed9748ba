from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from lit_modules.callbacks import Throughput
from lit_modules.callbacks.throughput import matmul_flops_per_second
from tests.lit_modules.toy import Toy, batches, trainer


class Clock:
    """Time that passes only when told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        fake = SimpleNamespace(monotonic=lambda: self.now)
        monkeypatch.setattr("lit_modules.callbacks.throughput.time", fake)
        monkeypatch.setattr("lit_modules.callbacks.throughput.matmul_flops_per_second", lambda *_: 1000.0)


def test_rates_leave_validation_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, logged = Clock(monkeypatch), []

    class Timed(Toy):
        def training_step(self, batch, batch_idx):
            clock.now += 4.0
            return super().training_step(batch, batch_idx)

        def validation_step(self, batch, batch_idx) -> None:
            clock.now += 1000.0

        def on_train_batch_end(self, *args: object) -> None:
            metrics = self.trainer.callback_metrics
            logged.append({k: v.item() for k, v in metrics.items() if k.startswith("perf/")})

    options = {"log_every_n_steps": 2, "val_check_interval": 1, "num_sanity_val_steps": 0}
    trainer(tmp_path, Throughput(), **options).fit(Timed(), batches(4, size=2), batches(1))
    # 2 steps of 2 images and of 1 + 4 tokens an image in 8 s; 1000 operations an image
    expected = {"perf/images_per_s": 0.5, "perf/tokens_per_s": 2.5, "perf/matmul_share": 0.5}
    assert logged[1] == pytest.approx(expected)
    assert logged[3] == pytest.approx(expected)


def test_rates_count_all_batches_of_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, rates = Clock(monkeypatch), []

    class Timed(Toy):
        def training_step(self, batch, batch_idx):
            clock.now += (1.0, 1.0, 4.0)[batch_idx % 3]  # the last one has the optimizer's work
            return super().training_step(batch, batch_idx)

        def on_train_batch_end(self, *args: object) -> None:
            rates.append(self.trainer.callback_metrics.get("perf/images_per_s"))

    options = {"accumulate_grad_batches": 3, "max_steps": 2}
    trainer(tmp_path, Throughput(), **options).fit(Timed(), batches(6, size=2))
    assert rates[2] == rates[5] == 1.0  # 6 images in 6 s


def test_the_matmul_rate_is_in_the_range_of_a_machine() -> None:
    rate = matmul_flops_per_second(torch.device("cpu"), torch.float32)
    assert 1e8 < rate < 1e15
