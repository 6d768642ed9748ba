"""Typeset text with known typos, really read."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evaluation.image_folders import write_image
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.tasks.registry import build_prompts, build_task
from evaluation.text_rendering.prompts import LENGTHS
from evaluation.text_rendering.task import typeset
from evaluation.weights import WeightFinder

CONTEXT = EvalContext(weights=WeightFinder())


def drawn(folder: Path, *texts: tuple[str, str]) -> list[EvalSample]:
    """Images that show the second text of each pair, whose prompts ask for the first."""
    samples = []
    for number, (wanted, shown) in enumerate(texts):
        metadata = {"written": wanted, "num_words": len(wanted.split())}
        prompt = EvalPrompt(id=f"text-{number}", text=f'a sign that says "{wanted}"', metadata=metadata)
        path = folder / f"{number}.png"
        write_image(path, typeset(shown))
        samples.append(EvalSample(prompt=prompt, index=0, path=path, sha256="", seed=0))
    return samples


def test_errors_of_typeset_typos_are_found(tmp_path: Path) -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    samples = drawn(
        tmp_path,
        ("Silver River", "Silver River"),
        ("Silver River", "Silver Rover"),
        ("OPEN", ""),
        ("Quiet Meadow Mountain Library", "Quiet Meadow Mountain Librry"),
    )
    score = build_task("text_rendering").score(samples, CONTEXT)
    assert [(row["prompt_id"], row["correct"]) for row in score.rows] == [
        ("text-0", True),
        ("text-1", False),
        ("text-2", False),
        ("text-3", False),
    ]
    assert [row["score"] for row in score.rows] == pytest.approx([0, 1 / 11, 1, 1 / 26])
    assert [row["wer"] for row in score.rows] == [0, 1 / 2, 1, 1 / 4]
    assert [row["reason"] for row in score.rows[:3]] == ["", "read: Silver Rover", "nothing like it read"]
    cer, wer, exact = score.metrics
    assert cer.id.startswith("ocr_cer[rapidocr-")
    assert (cer.direction, wer.direction, exact.direction) == ("lower", "lower", "higher")
    assert (cer.value, wer.value, exact.value) == pytest.approx(((1 / 11 + 1 + 1 / 26) / 4, 1.75 / 4, 1 / 4))
    assert [row[0] for row in score.tables["Text rendering by length"].rows] == [1, 2, 4]


def test_typeset_prompts_are_read_without_an_error() -> None:
    pytest.importorskip("rapidocr_onnxruntime", reason="rapidocr-onnxruntime is not installed")
    context = EvalContext(weights=WeightFinder(), limit=4)
    score = build_task("typeset_text").score([], context)
    assert [metric.value for metric in score.metrics] == [0, 0, 1]
    assert [metric.id.partition("[")[0] for metric in score.metrics] == [
        "typeset_ocr_cer",
        "typeset_ocr_wer",
        "typeset_ocr_exact",
    ]


def test_prompts_are_the_same_always_and_balanced() -> None:
    prompts = build_prompts("text_rendering", CONTEXT)
    assert prompts == build_prompts("text_rendering", CONTEXT)
    assert Counter(prompt.metadata["num_words"] for prompt in prompts) == dict.fromkeys(LENGTHS, 25)
    assert [prompt.metadata["num_words"] for prompt in prompts[:4]] == list(LENGTHS)
    for prompt in prompts:
        written = prompt.metadata["written"]
        assert f'"{written}"' in prompt.text
        assert len(written.split()) == len(set(written.split())) == prompt.metadata["num_words"]
    capitals = Counter(
        prompt.metadata["num_words"] for prompt in prompts if prompt.metadata["written"].isupper()
    )
    assert set(capitals.values()) == {13}
