from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from lightning.pytorch.callbacks import Timer

from infinity.randomness import uniform
from lit_modules.base import Split, SuiteModule
from tests.lit_modules.toy import Toy, batches, loader, trainer


def draw(module: SuiteModule, split: Split, batch_idx: int) -> float:
    return uniform((1,), module.randomness(split, 1, batch_idx)).item()


def test_random_numbers_are_a_function_of_seed_split_and_position(tmp_path: Path) -> None:
    module, again = Toy(), Toy()
    module.trainer = again.trainer = trainer(tmp_path)
    positions = [("train", 0), ("val", 0), ("val", 1), ("test", 0)]
    draws = [draw(module, *position) for position in positions]
    assert draws == [draw(again, *position) for position in positions]
    assert len(set(draws)) == len(draws)
    module.seed = 1
    assert draw(module, "train", 0) not in draws


def test_every_step_draws_differently(tmp_path: Path) -> None:
    module = Toy()
    trainer(tmp_path).fit(module, batches(4))
    assert len(set(module.draws)) == 4


def test_batches_that_are_accumulated_draw_differently(tmp_path: Path) -> None:
    module = Toy()
    trainer(tmp_path, accumulate_grad_batches=2, max_steps=2).fit(module, batches(4))
    assert len(set(module.draws)) == 4


def test_progress_is_the_share_of_steps_without_a_time_limit(tmp_path: Path) -> None:
    seen = []

    class Recorder(Toy):
        def training_step(self, batch, batch_idx):
            seen.append(self.progress())
            return super().training_step(batch, batch_idx)

    trainer(tmp_path).fit(Recorder(), batches(4))
    assert seen == [0.0, 0.25, 0.5, 0.75]


def test_progress_goes_by_the_clock_where_that_is_further_and_survives_a_resume(tmp_path: Path) -> None:
    module = Toy()
    module.trainer = trainer(tmp_path, max_steps=1000, max_time={"seconds": 3600})
    (timer,) = (callback for callback in module.trainer.callbacks if isinstance(callback, Timer))
    assert module.progress() == 0
    timer.load_state_dict({"time_elapsed": {"train": 900.0}})
    assert module.progress() == pytest.approx(0.25)
    timer.load_state_dict({"time_elapsed": {"train": 7200.0}})
    assert module.progress() == 1


def test_the_time_that_is_spent_travels_with_a_checkpoint(tmp_path: Path) -> None:
    seen = []

    class Recorder(Toy):
        def training_step(self, batch, batch_idx):
            seen.append(self.progress())
            return super().training_step(batch, batch_idx)

    first = trainer(tmp_path, max_steps=2, max_time={"seconds": 3600})
    (timer,) = (callback for callback in first.callbacks if isinstance(callback, Timer))
    timer.load_state_dict({"time_elapsed": {"train": 1800.0}})
    first.fit(Toy(), batches(4))
    first.save_checkpoint(tmp_path / "toy.ckpt")
    second = trainer(tmp_path, max_steps=10, max_time={"seconds": 7200})
    second.fit(Recorder(), batches(4), ckpt_path=tmp_path / "toy.ckpt")
    assert 0.25 <= seen[0] < 0.26
    assert len(seen) == 8


def test_the_learning_rate_follows_the_schedule_step_by_step(tmp_path: Path) -> None:
    seen = []

    class Recorder(Toy):
        def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
            seen.append(optimizer.param_groups[0]["lr"])

    trainer(tmp_path).fit(Recorder(schedule="cosine"), batches(4))
    assert seen == pytest.approx([0.1 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4)])


def test_a_decaying_schedule_without_an_end_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"set trainer.max_steps or trainer.max_time"):
        trainer(tmp_path, max_steps=-1, max_epochs=1).fit(Toy(schedule="linear"), batches(1))


def test_training_logs_means_over_the_steps_since_the_last_log(tmp_path: Path) -> None:
    losses, logged = [], []

    class Recorder(Toy):
        def training_step(self, batch, batch_idx):
            losses.append(super().training_step(batch, batch_idx))
            return losses[-1]

        def on_train_batch_end(self, *args: object) -> None:
            super().on_train_batch_end(*args)
            logged.append(self.trainer.callback_metrics.get("train/loss"))

    trainer(tmp_path, log_every_n_steps=2).fit(Recorder(), batches(4))
    assert logged[0] is None
    assert logged[1].item() == pytest.approx((losses[0] + losses[1]).item() / 2)
    assert logged[3].item() == pytest.approx((losses[2] + losses[3]).item() / 2)


def test_the_gradient_norm_is_limited(tmp_path: Path) -> None:
    norms = []

    class Recorder(Toy):
        def on_before_optimizer_step(self, optimizer: object) -> None:
            norms.append(torch.cat([p.grad.flatten() for p in self.net.parameters()]).norm().item())

        def configure_gradient_clipping(self, *args: object, **kwargs: object) -> None:
            super().configure_gradient_clipping(*args, **kwargs)
            norms.append(torch.cat([p.grad.flatten() for p in self.net.parameters()]).norm().item())

    trainer(tmp_path, max_steps=1).fit(Recorder(grad_clip=1e-3), batches(1))
    assert norms[0] > 1e-2
    assert norms[-1] == pytest.approx(1e-3, rel=1e-3)


def test_clipping_in_the_trainer_is_refused_as_there_is_one_place_for_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"remove trainer.gradient_clip_val"):
        trainer(tmp_path, gradient_clip_val=1.0).fit(Toy(), batches(1))


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    (broken,) = batches(1)
    broken.images_B3HW[0] = math.nan
    with pytest.raises(ValueError, match=r"train/loss is nan at step 1; lower model.optimizer.lr"):
        trainer(tmp_path).fit(Toy(), loader([broken]))


def test_a_checkpoint_of_another_config_is_refused_by_the_keys_that_differ(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.fit(Toy(), batches(4))
    first.save_checkpoint(tmp_path / "toy.ckpt")
    with pytest.raises(ValueError, match=r"model.optimizer.lr is 0.1 there and 0.2 here.*model.init_from"):
        trainer(tmp_path, max_steps=8).fit(Toy(lr=0.2), batches(4), ckpt_path=tmp_path / "toy.ckpt")


def test_a_checkpoint_that_is_older_than_a_key_has_its_default(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.fit(Toy(), batches(4))
    first.save_checkpoint(tmp_path / "toy.ckpt")
    saved = torch.load(tmp_path / "toy.ckpt", weights_only=True)
    del saved["config"]["optimizer"]["final_lr"]
    module = Toy()
    module.on_load_checkpoint(saved)
    assert module.num_steps == 4
    with pytest.raises(ValueError, match=r"model.optimizer.final_lr is 0.0 there and 0.5 here"):
        Toy(final_lr=0.5).on_load_checkpoint(saved)


def test_a_checkpoint_can_be_read_without_trusting_it(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.fit(Toy(), batches(4))
    first.save_checkpoint(tmp_path / "toy.ckpt")
    saved = torch.load(tmp_path / "toy.ckpt", weights_only=True)
    assert saved["config"]["optimizer"]["lr"] == 0.1


def test_evaluation_counts_the_steps_behind_loaded_weights(tmp_path: Path) -> None:
    first = trainer(tmp_path)
    first.fit(Toy(), batches(4))
    first.save_checkpoint(tmp_path / "toy.ckpt")
    module = Toy()
    trainer(tmp_path).validate(module, batches(1), ckpt_path=tmp_path / "toy.ckpt", verbose=False)
    assert module.num_steps == 4
