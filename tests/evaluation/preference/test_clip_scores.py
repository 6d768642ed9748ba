"""Scores by a cosine: scales, signs and prefixes, with an encoder that gives chosen vectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor
from torchmetrics.multimodal import CLIPScore

from evaluation.preference.clip_scores import FORMS, AestheticScorer, ClipScorer
from evaluation.preference.linear_stack import LinearStack
from tests.tolerances import TOL

EQUAL, ORTHOGONAL, OPPOSITE = (1.0, 0.0), (0.0, 1.0), (-1.0, 0.0)


class Vectors:
    """Images are their first two values; every text is (1, 0)."""

    knobs = "vectors"
    image_size = 8
    max_tokens = 77
    logit_scale = 90.0

    def __init__(self) -> None:
        self.texts: list[str] = []

    def encode_images(self, pixels_B3HW: Tensor) -> Tensor:
        return pixels_B3HW[:, :2, 0, 0]

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        self.texts += texts
        return torch.tensor([EQUAL] * len(texts))

    def is_cut(self, text: str) -> bool:
        return len(text) > self.max_tokens


def images(*vectors: tuple[float, float]) -> Tensor:
    return torch.tensor([[*vector, 0.0] for vector in vectors])[:, :, None, None]


@pytest.mark.parametrize(
    ("form", "highest", "lowest"),
    [
        ("clipscore", 2.5, 0.0),
        ("clipscore_torchmetrics", 100.0, -100.0),
        ("clip_cosine", 1.0, -1.0),
        ("hpsv2.1", 100.0, -100.0),
        ("pickscore", 90.0, -90.0),
    ],
)
def test_equal_orthogonal_and_opposite_vectors(form: str, highest: float, lowest: float) -> None:
    scorer = ClipScorer(FORMS[form], Vectors())
    half = math.sqrt(0.5)
    scores = scorer(images(EQUAL, ORTHOGONAL, OPPOSITE, (half, half)), ["a cat"] * 4)
    torch.testing.assert_close(scores, torch.tensor([highest, 0.0, lowest, highest * half]))


def test_no_two_forms_share_an_id() -> None:
    scorers = [ClipScorer(form, Vectors()) for form in FORMS.values()]
    assert (
        len({scorer.knobs for scorer in scorers}) >= 4
    )  # HPS and torchmetrics differ in weights and resizing
    assert len({f"{scorer.name}[{scorer.knobs}]" for scorer in scorers}) == len(FORMS)
    assert ClipScorer(FORMS["clipscore"], Vectors()).knobs == "2.5*relu(cos),vectors,prefix=A photo depicts"


def test_the_papers_clipscore_puts_words_before_the_caption() -> None:
    encoder = Vectors()
    scorer = ClipScorer(FORMS["clipscore"], encoder)
    scorer(images(EQUAL), ["a cat"])
    assert encoder.texts == ["A photo depicts a cat"]
    assert not scorer.is_cut("x" * 61)
    assert scorer.is_cut("x" * 62)  # the words before count


class _Stub(torch.nn.Module):
    """What torchmetrics takes for a model and for a processor."""

    config = SimpleNamespace()

    def get_image_features(self, pixels_B3HW: Tensor) -> Tensor:
        return pixels_B3HW[:, :2, 0, 0].float()

    def get_text_features(self, ids: Tensor, mask: Tensor) -> Tensor:
        return torch.tensor([EQUAL] * len(ids))

    def process(self, *, images: Any = None, text: Any = None, **_: Any) -> dict[str, Tensor]:
        if images is not None:
            return {"pixel_values": torch.stack(images)}
        return {"input_ids": torch.ones(len(text), 1), "attention_mask": torch.ones(len(text), 1)}


@pytest.mark.parametrize("vectors", [((3.0, 4.0), (1.0, 0.0)), ((-1.0, 0.5), (-1.0, 0.0))])
def test_it_agrees_with_torchmetrics(vectors: tuple[tuple[float, float], ...]) -> None:
    stub = _Stub()
    theirs = CLIPScore(model_name_or_path=lambda: (stub, stub.process))
    theirs.update(list(images(*vectors)), ["a"] * len(vectors))
    units = torch.nn.functional.normalize(images(*vectors), dim=1)
    scorer = ClipScorer(FORMS["clipscore_torchmetrics"], Vectors())
    ours = max(float(scorer(units, ["a"] * len(vectors)).mean()), scorer.lowest_mean)
    assert ours == pytest.approx(float(theirs.compute()), abs=1e-4)


def test_aesthetics_are_the_head_of_the_unit_vector() -> None:
    head = LinearStack(width=2)
    scorer = AestheticScorer(head, Vectors())
    weights_C, bias = head.folded()
    scores = scorer(images(EQUAL, ORTHOGONAL), ["whatever", "else"])
    torch.testing.assert_close(scores, weights_C + bias, **TOL[torch.float32])
