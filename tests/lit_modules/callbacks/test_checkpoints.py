from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.utilities.exceptions import SIGTERMException

from lit_modules.callbacks import Checkpoints
from tests.lit_modules.toy import Toy, batches, trainer


class Saves(Checkpoints):
    """Remembers when it wrote which file."""

    def __init__(self, **options: object) -> None:
        super().__init__(**options)
        self.written: list[int] = []

    def _save_last(self, trainer) -> None:
        super()._save_last(trainer)
        self.written.append(trainer.global_step)


def test_the_last_checkpoint_is_written_by_steps_and_at_the_end(tmp_path: Path) -> None:
    saves = Saves(every_n_steps=3, every_minutes=0)
    trainer(tmp_path, saves, max_steps=7).fit(Toy(), batches(7))
    assert saves.written == [3, 6, 7]
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 7
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["last.ckpt"]


def test_the_last_checkpoint_is_written_by_the_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saves = Saves(every_minutes=1)
    clock = iter(range(0, 10_000, 25))  # 25 s pass between two looks at it
    fake = SimpleNamespace(monotonic=lambda: next(clock))
    monkeypatch.setattr("lit_modules.callbacks.checkpoints.time", fake)
    trainer(tmp_path, saves, max_steps=7).fit(Toy(), batches(7))
    # every look is a step, apart from the one that writing takes
    assert saves.written == [3, 6, 7]


def test_an_end_at_a_saved_step_is_not_written_twice(tmp_path: Path) -> None:
    saves = Saves(every_n_steps=2, every_minutes=0)
    trainer(tmp_path, saves, max_steps=4).fit(Toy(), batches(4))
    assert saves.written == [2, 4]


@pytest.mark.parametrize(("exception", "steps"), [(SIGTERMException, 3), (RuntimeError, 2)])
def test_a_terminated_run_keeps_its_last_step_and_a_broken_one_what_was_saved_before(
    tmp_path: Path, exception: type[BaseException], steps: int
) -> None:
    class Ended(Toy):
        def on_train_batch_start(self, *args: object) -> None:
            if self.global_step == 3:
                raise exception

    fit = trainer(tmp_path, Checkpoints(every_n_steps=2, every_minutes=0))
    with pytest.raises((exception, SystemExit)):
        fit.fit(Ended(), batches(4))
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == steps


def test_the_best_checkpoint_is_that_of_the_lowest_validation_loss(tmp_path: Path) -> None:
    class Scripted(Toy):
        losses = iter([3.0, 1.0, 2.0])

        def on_validation_epoch_end(self) -> None:
            self.log("val/loss", next(self.losses))

    checkpoints = Checkpoints(every_minutes=0)
    options = {"max_steps": 6, "val_check_interval": 2, "num_sanity_val_steps": 0}
    trainer(tmp_path, checkpoints, **options).fit(Scripted(), batches(6), batches(1))
    assert torch.load(tmp_path / "checkpoints/best.ckpt", weights_only=True)["global_step"] == 4
    assert checkpoints.state_dict() == {"best": 1.0}


def test_a_monitor_that_nobody_logs_is_an_error_that_lists_what_is_logged(tmp_path: Path) -> None:
    options = {"max_steps": 2, "val_check_interval": 2, "num_sanity_val_steps": 0}
    fit = trainer(tmp_path, Checkpoints(monitor="val/fid"), **options)
    with pytest.raises(ValueError, match=r"val/fid is not logged; validation logs val/l2, val/loss"):
        fit.fit(Toy(), batches(2), batches(1))


def test_a_write_that_fails_leaves_the_checkpoint_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit = trainer(tmp_path, Checkpoints(every_n_steps=1, every_minutes=0), max_steps=3)
    save = fit.save_checkpoint

    def failing(path: Path) -> None:
        if fit.global_step == 3:
            Path(path).write_bytes(b"half a file")
            raise OSError("disk full")
        save(path)

    monkeypatch.setattr(fit, "save_checkpoint", failing)
    with pytest.raises(OSError, match="disk full"):
        fit.fit(Toy(), batches(3))
    assert torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)["global_step"] == 2


@pytest.mark.parametrize("broken", ["net.weight", "loss.mean"])
def test_a_network_or_loss_that_is_not_finite_stops_the_run_before_it_is_saved(
    tmp_path: Path, broken: str
) -> None:
    class Breaking(Toy):
        def __init__(self) -> None:
            super().__init__()
            self.loss = torch.nn.Module()
            self.loss.register_buffer("mean", torch.zeros(1))

        def training_step(self, batch, batch_idx):
            if self.global_step == 3:
                self.state_dict()[broken].data[0] = torch.nan
            return self.net.bias.sum()  # finite, whatever happens to the weight

    fit = trainer(tmp_path, Checkpoints(every_n_steps=2, every_minutes=0))
    with pytest.raises(ValueError, match=rf"{broken} is not finite at step 4, .* good .*last.ckpt;"):
        fit.fit(Breaking(), batches(4))
    saved = torch.load(tmp_path / "checkpoints/last.ckpt", weights_only=True)
    assert saved["global_step"] == 2
    assert all(tensor.isfinite().all() for tensor in saved["state_dict"].values())


def test_ranks_agree_about_the_clock_only_where_something_is_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fit, asked = trainer(tmp_path, Checkpoints(), max_steps=12, log_every_n_steps=4), []
    monkeypatch.setattr(fit.strategy, "broadcast", lambda late: asked.append(fit.global_step) or late)
    fit.fit(Toy(), batches(12))
    assert [step for step in asked if step] == [4, 8, 12]
