"""Models of transformers with random or chosen weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from evaluation.questions.transformers_vqa import TransformersVQA
from evaluation.tasks.api import EvalContext, EvalPrompt
from evaluation.tasks.registry import build_task
from evaluation.weights import WeightFinder
from tests.evaluation.questions.recorded import draw
from tests.evaluation.questions.tiny_models import save_blip, save_llava
from tests.tolerances import TOL

QUESTIONS = ["Is the cube red ?", "How many are there ?", "red ?"]


@pytest.fixture(scope="module")
def llava_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_llava(tmp_path_factory.mktemp("models") / "llava")


@pytest.fixture
def llava(llava_dir: Path) -> TransformersVQA:
    return TransformersVQA(llava_dir)


@pytest.fixture(scope="module")
def blip(tmp_path_factory: pytest.TempPathFactory) -> TransformersVQA:
    return TransformersVQA(save_blip(tmp_path_factory.mktemp("models") / "blip"))


def images(num: int = 3) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (num, 32, 40, 3), dtype=np.uint8))


def with_logits(vqa: TransformersVQA, **logits: float) -> Tensor:
    """Let the model say the same always; gives its probabilities (V,)."""
    head = nn.Linear(16, vqa._model.config.text_config.vocab_size)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    with torch.no_grad():
        for word, logit in logits.items():
            head.bias[token(vqa, word)] = logit
    vqa._model.lm_head = head
    return head.bias.detach().softmax(0)


def token(vqa: TransformersVQA, word: str) -> int:
    return vqa._processor.tokenizer.convert_tokens_to_ids(word)


def test_probabilities_are_entries_of_the_softmax(llava: TransformersVQA) -> None:
    share = with_logits(llava, Yes=2.0, yes=1.0, No=1.5)
    yes, lower, no = (float(share[token(llava, word)]) for word in ("Yes", "yes", "No"))
    forms = [("Yes",), ("No",), ("Yes", "yes", " yes", " Yes")]
    found = llava.probability(images(), QUESTIONS, forms)
    assert found == pytest.approx([yes, no, yes + lower], rel=1e-5)


def test_of_several_tokens_the_geometric_mean_counts_and_of_several_forms_the_first_tokens(
    llava: TransformersVQA,
) -> None:
    share = with_logits(llava, Yes=2.0, red=-1.0)
    yes, red = float(share[token(llava, "Yes")]), float(share[token(llava, "red")])
    found = llava.probability(images(), QUESTIONS, [("Yes red",), ("red",), ("Yes red", "red Yes")])
    assert found == pytest.approx([math.sqrt(yes * red), red, yes + red], rel=1e-5)


def test_probabilities_are_those_of_one_forward_pass(llava: TransformersVQA) -> None:
    image = images()[0]
    prompt = "USER : <image> Is the cube red ? ASSISTANT :"
    inputs = llava._processor(text=f"{prompt} No red", images=Image.fromarray(image), return_tensors="pt")
    with torch.no_grad():
        log_LV = llava._model(**inputs).logits[0].log_softmax(-1)
    expected = math.exp((log_LV[-3, token(llava, "No")] + log_LV[-2, token(llava, "red")]) / 2)
    (found,) = llava.probability([image], QUESTIONS[:1], [("No red",)])
    assert found == pytest.approx(expected, rel=TOL[torch.float32]["rtol"])


def test_a_batch_gives_what_its_questions_give_alone(llava: TransformersVQA) -> None:
    forms = [("Yes",), ("two", "2"), ("no red cube",)]
    together = llava.probability(images(), QUESTIONS, forms)
    alone = [
        llava.probability([image], [question], [answer])[0]
        for image, question, answer in zip(images(), QUESTIONS, forms, strict=True)
    ]
    assert together == pytest.approx(alone, rel=TOL[torch.float32]["rtol"])
    assert len(set(together)) == 3
    assert llava.answer(images(), QUESTIONS) == [
        llava.answer([image], [question])[0] for image, question in zip(images(), QUESTIONS, strict=True)
    ]


def test_the_image_is_seen(llava: TransformersVQA) -> None:
    first, second, _ = llava.probability(images(), 3 * QUESTIONS[:1], 3 * [("Yes",)])
    assert abs(first - second) > 1e-6


def test_answers_are_the_likeliest_words_up_to_the_end(llava: TransformersVQA) -> None:
    with_logits(llava, Yes=2.0)
    assert llava.answer(images(1), QUESTIONS[:1]) == [" ".join(8 * ["Yes"])]
    with_logits(llava, **{"</s>": 2.0})
    assert llava.answer(images(1), QUESTIONS[:1]) == [""]


def test_blip_is_asked_without_a_template_and_one_at_a_time(blip: TransformersVQA) -> None:
    assert not blip.follows_instructions
    questions = ["is the cube red?", "how many?"]
    found = blip.probability(images(2), questions, [("yes",), ("two",)])
    for image, question, answer, share in zip(images(2), questions, ("yes", "two"), found, strict=True):
        inputs = blip._processor(images=Image.fromarray(image), text=question, return_tensors="pt")
        assert blip._processor.tokenizer.unk_token_id not in inputs["input_ids"]
        with torch.no_grad():
            seen = blip._model.vision_model(inputs["pixel_values"])[0]
            asked = blip._model.text_encoder(inputs["input_ids"], encoder_hidden_states=seen)[0]
            start = torch.full((1, 1), blip._model.decoder_start_token_id)
            logits_V = blip._model.text_decoder(start, encoder_hidden_states=asked).logits[0, -1]
        expected = float(logits_V.softmax(0)[token(blip, answer)])
        assert share == pytest.approx(expected, rel=TOL[torch.float32]["rtol"])
    assert len(blip.answer(images(2), questions)) == 2


def test_ids_name_the_directory_and_the_weights(llava_dir: Path, tmp_path: Path) -> None:
    same = TransformersVQA(llava_dir)
    name, dtype = same.id.split(",")
    assert dtype == "float32"
    assert name.startswith("llava-")
    with torch.no_grad():
        for weight in same._model.parameters():
            weight += 1
    other = tmp_path / "llava"
    same._model.save_pretrained(other)
    same._processor.save_pretrained(other)
    assert TransformersVQA(other).id != same.id


def test_a_directory_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no config.json; clone the whole model"):
        TransformersVQA(tmp_path)


def test_a_benchmark_runs_with_a_local_model(llava_dir: Path, tmp_path: Path) -> None:
    samples = draw(tmp_path, [EvalPrompt(id="a", text="two red cubes", num_images=2)])
    context = EvalContext(weights=WeightFinder({"vqa": llava_dir}), batch_size=2)
    (metric,) = build_task("vqascore").score(samples, context).metrics
    assert metric.id.startswith("vqascore[vqa=llava-")
    assert 0 < metric.value < 1
