"""Scorers on images of files, and the tasks that the registry knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.preference.entries import TASKS
from evaluation.preference.scorer import PRECISIONS, score_samples
from evaluation.preference.task import PreferenceTask
from evaluation.tasks.api import EvalContext, EvalSample
from evaluation.tasks.registry import PROMPT_SETS, build_task
from evaluation.weights import WeightFinder
from tests.evaluation.preference.samples import make_samples


class Brightness:
    """Mean pixel plus the length of the prompt; counts what it is asked."""

    name, knobs, max_tokens, lowest_mean, caveats = "brightness", "", None, 0.0, ()

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.dtypes: set[torch.dtype] = set()

    def pixels(self, image_HW3: np.ndarray) -> Tensor:
        return torch.from_numpy(image_HW3.copy()).permute(2, 0, 1).float()

    def is_cut(self, text: str) -> bool:
        return False

    def __call__(self, pixels_B3HW: Tensor, texts: Sequence[str]) -> Tensor:
        self.batches.append(len(pixels_B3HW))
        product = pixels_B3HW.flatten(1) @ torch.ones(pixels_B3HW[0].numel(), 1)
        self.dtypes.add(product.dtype)
        return pixels_B3HW.mean(dim=(1, 2, 3)) + torch.tensor([float(len(text)) for text in texts])


def test_scores_come_in_order_whatever_the_batches(tmp_path: Path) -> None:
    samples = make_samples(tmp_path, ["a", "bb", "ccc", "dddd", "eeeee"])
    scorer = Brightness()
    scores = score_samples(scorer, samples, batch_size=2)
    assert scorer.batches == [2, 2, 1]
    assert scores == pytest.approx([one.image().mean() + len(one.prompt.text) for one in samples], rel=1e-5)


def test_every_image_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = make_samples(tmp_path, ["a", "b", "c"], num_images=2)
    reads: Counter[Path] = Counter()
    read = EvalSample.image
    monkeypatch.setattr(EvalSample, "image", lambda self: reads.update([self.path]) or read(self))
    score_samples(Brightness(), samples, batch_size=4)
    assert reads == {sample.path: 1 for sample in samples}


@pytest.mark.parametrize("precision", PRECISIONS)
def test_products_have_the_precision_of_the_id(tmp_path: Path, precision: Any) -> None:
    scorer = Brightness()
    score_samples(scorer, make_samples(tmp_path, ["a"]), precision=precision)
    assert scorer.dtypes == {PRECISIONS[precision]}


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="fp32, bf16, fp16, got 'int8'"):
        PreferenceTask(scorer="clipscore", precision="int8")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name, entry in TASKS.items() if entry.weights])
def test_without_weights_a_sentence_says_which_file_to_put_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("INFINITY_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"is needed: get it from .* --weights [\w.-]+=PATH, or put it at"):
        build_task(name).score(make_samples(tmp_path, ["a"]), EvalContext(weights=WeightFinder()))


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_prompts_and_a_metric_of_its_own(name: str) -> None:
    task, entry = build_task(name), TASKS[name]
    assert task.prompt_set in PROMPT_SETS
    assert f"prompts={task.prompt_set}" in entry.metrics[0]
    others = {metric for other, one in TASKS.items() if other != name for metric in one.metrics}
    assert others.isdisjoint(entry.metrics)
