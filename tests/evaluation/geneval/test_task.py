"""The task from images to verdicts, with a scripted detector and a CLIP that sees mean colours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.geneval.__main__ import main
from evaluation.geneval.colors import ColorClassifier
from evaluation.geneval.detections import Detection
from evaluation.geneval.detectors import DETECTORS
from evaluation.geneval.prompts import geneval_metadata
from evaluation.geneval.task import judge_with
from evaluation.geneval.vocabulary import TASKS as GENEVAL_TASKS
from evaluation.image_folders import write_image
from evaluation.results import write_samples
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.tasks.registry import PROMPT_SETS, TASKS, build_prompts, build_task
from evaluation.weights import WeightFinder
from tests.evaluation.geneval.conftest import RGB, MeanColorClip, runs_to_mask


class Scripted:
    """Finds in every image what it was told before."""

    id = "scripted"

    def __init__(self, *found: list[Detection], is_official: bool = False) -> None:
        self.is_official = is_official
        self._found = list(found)

    def __call__(self, image_HW3: np.ndarray, min_score: float = 0.0) -> list[Detection]:
        return [one for one in self._found.pop(0) if one.score > min_score]


def seen(name: str, left: int, score: float = 0.9) -> Detection:
    mask = np.zeros((20, 60), bool)
    mask[5:15, left : left + 10] = True
    return Detection(name=name, box=(left, 5.0, left + 10.0, 15.0), score=score, mask_HW=mask)


def sample(folder: Path, line: dict[str, Any], colors: dict[int, str], index: int = 0) -> EvalSample:
    """An image with squares of these colours at these places, for a prompt of GenEval's."""
    image = np.full((20, 60, 3), 128, np.uint8)
    for left, color in colors.items():
        image[5:15, left : left + 10] = RGB[color]
    number = geneval_metadata().index(line)
    path = folder / f"{number}-{index}.png"
    write_image(path, image)
    prompt = EvalPrompt(id=f"{number:05d}", text=line["prompt"], metadata=line)
    return EvalSample(prompt=prompt, index=index, path=path, sha256="", seed=0)


def prompt_of(tag: str) -> dict[str, Any]:
    return next(line for line in geneval_metadata() if line["tag"] == tag)


@pytest.fixture
def painted(tmp_path: Path, clip: MeanColorClip) -> Any:
    """Two images of a prompt that names two objects and their colours: right, and swapped."""
    line = prompt_of("color_attr")
    (first, one), (second, other) = ((clause["class"], clause["color"]) for clause in line["include"])
    samples = [
        sample(tmp_path, line, {5: one, 40: other}),
        sample(tmp_path, line, {5: other, 40: one}, index=1),
    ]
    found = [seen(first, 5), seen(second, 40), seen(second, 20, score=0.5), seen(first, 0, score=0.2)]
    score = judge_with(Scripted(found, found), ColorClassifier(clip), samples)
    return line, samples, score


def test_colors_are_told_from_pixels_and_judged(painted: Any) -> None:
    line, _, score = painted
    right, swapped = score.rows
    assert (right["correct"], right["reason"]) == (True, "")
    clause = line["include"][0]
    assert not swapped["correct"]
    assert swapped["reason"].startswith(
        f"expected {clause['color']} {clause['class']}>=1, found 0 {clause['color']}; and 1 "
    )


def test_rows_keep_masks_and_the_logits_of_those_that_were_asked_for(painted: Any) -> None:
    line, _, score = painted
    first, second, third = score.rows[0]["detections"]  # the faint one does not count
    assert (first["class"], first["color"]) == (line["include"][0]["class"], line["include"][0]["color"])
    assert len(first["color_logits"]) == 10
    assert second["color"] == line["include"][1]["color"]
    assert "color" not in third  # one is asked for, so the second best is not looked at
    np.testing.assert_array_equal(runs_to_mask(first["mask"]), seen("", 5).mask_HW)
    json.dumps(score.rows)


def test_metrics_name_the_detector_and_warn_of_another(painted: Any, clip: MeanColorClip) -> None:
    _, samples, score = painted
    prefix = "geneval[det=scripted,clip=mean-color,prompts=1,images=2]/"
    assert {m.id: m.value for m in score.metrics} == {
        f"{prefix}overall": 0.5,
        f"{prefix}color_attr": 0.5,
        f"{prefix}images": 0.5,
        f"{prefix}prompts": 1.0,
    }
    assert all("another detector" in m.note for m in score.metrics)
    official = judge_with(Scripted([], [], is_official=True), ColorClassifier(clip), samples)
    assert {m.note for m in official.metrics} == {""}


def test_an_overall_of_some_tasks_says_so(painted: Any, tmp_path: Path, clip: MeanColorClip) -> None:
    _, _, score = painted
    (caveat,) = score.caveats
    assert caveat.startswith(
        "GenEval's overall leaves 5 of its tasks out: no images of single_object, two_object"
    )
    samples = [sample(tmp_path, prompt_of(tag), {}) for tag in GENEVAL_TASKS]
    whole = judge_with(Scripted(*([] for _ in samples)), ColorClassifier(clip), samples)
    assert whole.caveats == ()


def test_counting_asks_for_higher_scores(tmp_path: Path, clip: MeanColorClip) -> None:
    line = prompt_of("counting")
    name, count = line["include"][0]["class"], line["include"][0]["count"]
    sure = [seen(name, 10 * i, score=0.95) for i in range(count)]
    cases = [sure, [*sure, seen(name, 50, score=0.8)], [*sure, seen(name, 50, score=0.91)], sure[1:]]
    samples = [sample(tmp_path, line, {}, index=i) for i in range(len(cases))]
    score = judge_with(Scripted(*cases), ColorClassifier(clip), samples)
    assert [row["correct"] for row in score.rows] == [True, True, False, False]
    assert not clip.num_images  # no colour is asked for


def test_verdicts_are_printed_in_the_official_format(
    painted: Any, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    line, samples, score = painted
    rows = [
        {"prompt_id": one.prompt.id, "file": one.path.name, "tasks": {"geneval": row}}
        for one, row in zip(samples, score.rows, strict=True)
    ]
    write_samples(tmp_path, [*rows, {"prompt_id": "x", "file": "other.png", "tasks": {"other": {}}}])
    main(["results", str(tmp_path)])
    first, _ = (json.loads(text) for text in capsys.readouterr().out.splitlines())
    assert list(first) == ["filename", "tag", "prompt", "correct", "reason", "metadata", "details"]
    assert json.loads(first["metadata"]) == line
    details = json.loads(first["details"])
    assert details[line["include"][0]["class"]] == [[5.0, 5.0, 15.0, 15.0, 0.9]]
    assert [box[4] for box in details[line["include"][1]["class"]]] == [0.9, 0.5]
    with pytest.raises(SystemExit, match="has no verdicts of none"):
        main(["results", str(tmp_path), "--task", "none"])


def test_a_missing_package_is_told_before_anything_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="no detector is called 'yolo'"):
        build_task("geneval", detector="yolo")
    incomplete = DETECTORS["maskrcnn-v2"]._replace(packages=("no_such_package",))
    monkeypatch.setitem(DETECTORS, "maskrcnn-v2", incomplete)
    with pytest.raises(ValueError, match=r"packages no_such_package: pip install 'infinity-suite\[eval\]'"):
        build_task("geneval-maskrcnn-v2")


def test_tasks_are_registered_with_their_weights() -> None:
    context = EvalContext(weights=WeightFinder(), limit=3)
    names = [name for name in TASKS if name.startswith("geneval")]
    assert names[0] == "geneval"
    for name in names:
        task = build_task(name)
        assert task.prompt_set in PROMPT_SETS
        assert len(TASKS[name].weights) == 2
        assert (name == "geneval") == (not TASKS[name].stand_in_for)
        with pytest.raises(ValueError, match="open_clip_model.safetensors is needed"):
            task.score([], context)
    assert len(build_prompts("geneval", context)) == 3
