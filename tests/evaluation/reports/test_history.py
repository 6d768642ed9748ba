from __future__ import annotations

from pathlib import Path

import pytest
from torch.utils.tensorboard import SummaryWriter

from evaluation.reports.history import load_history


def test_tensorboard_runs_are_joined_by_step(tmp_path: Path) -> None:
    for version, steps in (("version_0", (0, 1, 2)), ("version_1", (2, 3))):
        with SummaryWriter(tmp_path / version) as writer:
            for step in steps:
                writer.add_scalar("train/loss", 10 - step, step)
    assert load_history(tmp_path, "vae/") == {"vae/train/loss": [(0, 10), (1, 9), (2, 8), (3, 7)]}


def test_lightnings_csv_is_read(tmp_path: Path) -> None:
    text = "epoch,step,train/loss,val/loss\n0,1,0.5,\n0,2,nan,0.75\n1,3,0.25,\n"
    (tmp_path / "metrics.csv").write_text(text)
    assert load_history(tmp_path) == {"train/loss": [(1, 0.5), (3, 0.25)], "val/loss": [(2, 0.75)]}


def test_a_folder_without_logs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no TensorBoard event file"):
        load_history(tmp_path)
