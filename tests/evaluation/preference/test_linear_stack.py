"""The head of ImageReward and of the aesthetic predictor."""

from __future__ import annotations

import torch

from evaluation.preference.linear_stack import LinearStack
from tests.tolerances import TOL


def test_it_is_one_affine_map() -> None:
    stack = LinearStack().eval()
    weights_C, bias = stack.folded()
    features_BC = torch.randn(5, 768)
    torch.testing.assert_close(features_BC @ weights_C + bias, stack(features_BC), **TOL[torch.float32])
    assert weights_C.abs().max() > 1e-4  # no equality of zeros


def test_training_drops_features() -> None:
    stack = LinearStack().train()
    features_BC = torch.randn(5, 768)
    assert not torch.equal(stack(features_BC), stack(features_BC))
