"""Published files, where they are (``$INFINITY_WEIGHTS``), against what the official code made of them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import BertTokenizer

from evaluation.preference.clip_scores import load_aesthetic_head
from evaluation.preference.prompts import image_reward_prompts
from evaluation.preference.weights import AESTHETIC, BERT_VOCABULARY, IMAGE_REWARD_PROMPTS
from evaluation.provenance import sha256_of
from evaluation.tasks.api import EvalContext
from evaluation.weights import WeightFile, WeightFinder
from tests.tolerances import TOL

pytestmark = pytest.mark.weights


def path_of(weight: WeightFile) -> Path:
    path = WeightFinder().find(weight)
    if path is None:
        pytest.skip(f"needs {weight.file}")
    return path


@pytest.mark.parametrize(
    "weight", [AESTHETIC, BERT_VOCABULARY, IMAGE_REWARD_PROMPTS], ids=lambda one: one.name
)
def test_the_file_is_the_published_one(weight: WeightFile) -> None:
    assert sha256_of(path_of(weight)) == weight.sha256


def test_the_aesthetic_head_gives_the_official_classs_numbers() -> None:
    head = load_aesthetic_head(path_of(AESTHETIC)).eval()
    embeddings = F.normalize(torch.sin(torch.arange(2 * 768).float().reshape(2, 768)), dim=-1)
    with torch.no_grad():
        torch.testing.assert_close(
            head(embeddings), torch.tensor([5.8678694, 5.2015643]), **TOL[torch.float32]
        )


def test_a_benchmark_prompt_has_the_tokens_of_the_official_tokenizer() -> None:
    vocabulary = path_of(BERT_VOCABULARY)
    path_of(IMAGE_REWARD_PROMPTS)
    prompt = image_reward_prompts(EvalContext(weights=WeightFinder()))[1]
    # fmt: off
    expected = [
        101, 4078, 19425, 2686, 1010, 1018, 1010, 13323, 7231, 1010, 17950, 1010, 8680, 1010, 8687, 1010,
        21014, 1010, 17743, 102,
    ]
    # fmt: on
    assert BertTokenizer(str(vocabulary))(prompt.text)["input_ids"] == expected
