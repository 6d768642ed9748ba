from __future__ import annotations

import pytest
import torch
from torch import nn

from lit_modules.compilation import compile_in_place


def test_a_machine_without_a_compiler_gets_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ValueError, match=r"found no compiler .* set model.compile to false"):
        compile_in_place(nn.Linear(1, 1), device=torch.device("cpu"))
