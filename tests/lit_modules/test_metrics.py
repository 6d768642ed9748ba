from __future__ import annotations

import pytest
import torch

from lit_modules.metrics import NamedMeans


def values(**named: float) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in named.items()}


def test_batches_count_by_their_size() -> None:
    means = NamedMeans(("loss", "accuracy"))
    means.update(values(loss=1.0, accuracy=0.5), weight=3)
    means.update(values(accuracy=0.9, loss=5.0), weight=1)
    computed = means.compute()
    assert computed["loss"].item() == pytest.approx(2.0)
    assert computed["accuracy"].item() == pytest.approx(0.6)


def test_many_small_values_add_up_without_rounding() -> None:
    means = NamedMeans(("loss",))
    for _ in range(3000):
        means.update(values(loss=0.1), weight=1)
    assert means.compute()["loss"].item() == pytest.approx(torch.tensor(0.1).item(), rel=1e-7)


def test_other_names_than_declared_are_refused() -> None:
    with pytest.raises(ValueError, match="expected loss, got l1"):
        NamedMeans(("loss",)).update(values(l1=1.0), weight=1)
