"""Validation means are over the data, however it is spread over ranks."""

from __future__ import annotations

from pathlib import Path

import pytest

from lit_modules.vae import VAEModule
from tests.integration.test_gradients import RESOLUTION, ar_module, batch, vae_config
from tests.lit_modules.toy import loader, trainer


@pytest.mark.parametrize("kind", ["vae", "ar"])
def test_a_batch_that_only_keeps_a_rank_in_step_is_not_measured(kind: str, tmp_path: Path) -> None:
    module = VAEModule(vae_config(), RESOLUTION) if kind == "vae" else ar_module()
    whole = batch()
    first = whole._replace(images_B3HW=whole.images_B3HW[:1], captions=["a red circle"], keys=["a"])
    filler = first._replace(counts=False)
    assert (whole.weight, first.weight, filler.weight) == (4, 1, 0)
    (alone,) = trainer(tmp_path).validate(module, loader([whole]), verbose=False)
    (padded,) = trainer(tmp_path).validate(module, loader([whole, filler]), verbose=False)
    (counted,) = trainer(tmp_path).validate(module, loader([whole, first]), verbose=False)
    assert padded == alone
    assert counted["val/loss"] != alone["val/loss"]
