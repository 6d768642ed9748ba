from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from lit_modules.callbacks import EMA, averaged_weights
from tests.lit_modules.toy import Toy, batches, trainer
from tests.tolerances import TOL


class Recorder(Toy):
    """Keeps the weights after every step, and those that validation sees."""

    def __init__(self) -> None:
        super().__init__()
        self.after: list[torch.Tensor] = []
        self.validated: list[torch.Tensor] = []

    def on_train_batch_end(self, *args: object) -> None:
        self.after.append(self.net.weight.detach().clone())

    def validation_step(self, batch, batch_idx) -> None:
        self.validated.append(self.net.weight.detach().clone())


def averages(start: torch.Tensor, weights: list[torch.Tensor], decay: float) -> list[torch.Tensor]:
    """The averages after each step, by the definition."""
    average, result = start.clone(), []
    for n, weight in enumerate(weights):
        keep = min(decay, (1 + n) / (10 + n))
        average = keep * average + (1 - keep) * weight
        result.append(average)
    return result


def test_validation_sees_the_average_and_training_goes_on_from_the_weights(tmp_path: Path) -> None:
    module, alone = Recorder(), Recorder()
    alone.load_state_dict(module.state_dict())
    start = module.net.weight.detach().clone()
    options = {"val_check_interval": 2, "max_steps": 8, "num_sanity_val_steps": 0}
    trainer(tmp_path, EMA(decay=0.3), **options).fit(module, batches(8), batches(1))
    trainer(tmp_path, max_steps=8).fit(alone, batches(8))
    for a, b in zip(module.after, alone.after, strict=True):
        assert torch.equal(a, b)
    expected = averages(start, module.after, 0.3)
    for seen, average in zip(module.validated, expected[1::2], strict=True):
        torch.testing.assert_close(seen, average, **TOL[torch.float32])


def test_accumulated_batches_count_as_one_update(tmp_path: Path) -> None:
    ema = EMA(decay=0.9)
    trainer(tmp_path, ema, max_steps=3, accumulate_grad_batches=2).fit(Toy(), batches(6))
    assert ema.num_updates == 3


def test_the_average_goes_on_from_its_state(tmp_path: Path) -> None:
    module, ema = Toy(), EMA(decay=0.9)
    fit = trainer(tmp_path, ema, max_steps=2)
    fit.fit(module, batches(2))
    restored = EMA(decay=0.9)
    restored.load_state_dict(copy.deepcopy(ema.state_dict()))
    for callback in (ema, restored):
        callback.update(module)
    for name, average in ema.state_dict()["averages"].items():
        assert torch.equal(average, restored.state_dict()["averages"][name])
    assert restored.num_updates == 3


def test_averaged_weights_are_given_back_bit_for_bit_even_after_an_error(tmp_path: Path) -> None:
    module, ema = Toy(), EMA(decay=0.9)
    fit = trainer(tmp_path, ema, max_steps=2)
    fit.fit(module, batches(2))
    before = copy.deepcopy(module.state_dict())
    average = ema.state_dict()["averages"]["weight"].clone()
    context = averaged_weights(fit, module)
    context.__enter__()
    assert torch.equal(module.net.weight, average)
    assert context.__exit__(RuntimeError, RuntimeError("stop"), None) is False
    for name, weight in module.state_dict().items():
        assert torch.equal(weight, before[name])


def test_an_interrupted_validation_leaves_the_weights_themselves(tmp_path: Path) -> None:
    class Interrupted(Recorder):
        def validation_step(self, batch, batch_idx) -> None:
            raise RuntimeError("stop")

    module = Interrupted()
    fit = trainer(tmp_path, EMA(decay=0.9), val_check_interval=2, num_sanity_val_steps=0)
    with pytest.raises(RuntimeError, match="stop"):
        fit.fit(module, batches(4), batches(1))
    assert torch.equal(module.net.weight, module.after[-1])


def test_decay_0_turns_averaging_off(tmp_path: Path) -> None:
    module, ema = Recorder(), EMA(decay=0.0)
    options = {"val_check_interval": 2, "num_sanity_val_steps": 0}
    trainer(tmp_path, ema, **options).fit(module, batches(4), batches(1))
    assert torch.equal(module.validated[-1], module.after[-1])
    assert ema.state_dict()["averages"] == {}
