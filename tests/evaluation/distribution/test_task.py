"""Distribution tasks on real files: ids, references, the order of good and bad, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from evaluation.distribution.extractors import EXTRACTORS
from evaluation.distribution.task import DistributionTask, crop
from evaluation.provenance import sha256_of_pixels
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample, TaskScore
from evaluation.tasks.registry import TASKS, build_task
from evaluation.weights import WeightFinder
from tests.evaluation.random_features import RandomConvFeatures

NAMES = [name for name, entry in TASKS.items() if ".distribution." in entry.target]
EVERYTHING = ("fid", "fid_inf", "kid", "cmmd", "precision", "recall", "density", "coverage")


@pytest.fixture(autouse=True)
def _random_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRACTORS, "random", lambda _: RandomConvFeatures(8))


def scenes(num: int, seed: int, noise: float = 0, size: tuple[int, int] = (24, 24)) -> np.ndarray:
    """Colour gradients, with noise on top."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 255, (num, 2, 1, 1, 3))
    ramp = np.linspace(0, 1, size[0])[:, None, None]
    images = corners[:, 0] * ramp + corners[:, 1] * (1 - ramp) + np.zeros((size[1], 1))
    return (images + rng.normal(scale=noise + 1e-9, size=images.shape)).clip(0, 255).astype(np.uint8)


def samples(folder: Path, images: np.ndarray) -> list[EvalSample]:
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, image in enumerate(images):
        path = folder / f"{number:03d}.png"
        Image.fromarray(image).save(path)
        prompt = EvalPrompt(id=str(number), text="a gradient")
        found.append(EvalSample(prompt=prompt, index=0, path=path, sha256=sha256_of_pixels(image), seed=0))
    return found


@pytest.fixture
def context(tmp_path: Path) -> EvalContext:
    samples(tmp_path / "data" / "val", scenes(60, seed=100, size=(48, 48)))
    return EvalContext(weights=WeightFinder(), data=tmp_path / "data", cache=tmp_path / "cache")


def score(images: np.ndarray, context: EvalContext, metrics: tuple[str, ...] = EVERYTHING) -> TaskScore:
    task = DistributionTask(features="random", metrics=metrics)
    assert context.data is not None
    return task.score(samples(context.data.parent / "drawn", images), context)


def test_better_images_have_better_scores_by_every_metric(context: EvalContext) -> None:
    good = score(scenes(60, seed=1), context).metrics
    bad = score(scenes(60, seed=1, noise=60), context).metrics
    assert len(good) == len(EVERYTHING)
    for one, other in zip(good, bad, strict=True):
        assert one.id == other.id
        assert one.value < other.value if one.direction == "lower" else one.value > other.value, one.id


def test_ids_carry_network_number_and_the_references_hash(context: EvalContext) -> None:
    (one,) = score(scenes(9, seed=1), context, ("fid",)).metrics
    extractor = RandomConvFeatures(8)
    assert one.id.startswith(f"frechet[{extractor.id},uint8,N=9,ref=")
    assert one.n == 9
    assert "stand-in" in one.note


def test_the_references_hash_tells_data_sizes_filter_and_limit(context: EvalContext, tmp_path: Path) -> None:
    def reference(task: DistributionTask, images: np.ndarray, context: EvalContext) -> str:
        (one,) = task.score(samples(tmp_path / "drawn", images), context).metrics
        return one.id.split("ref=")[1]

    task = DistributionTask(features="random", metrics=("fid",))
    images = scenes(9, seed=1)
    found = [
        reference(task, images, context),
        reference(DistributionTask(features="random", metrics=("fid",), filter="lanczos"), images, context),
        reference(task, scenes(9, seed=1, size=(20, 24)), context),
        reference(task, images, EvalContext(weights=WeightFinder(), data=context.data, limit=50)),
    ]
    samples(tmp_path / "data" / "val", scenes(1, seed=5))
    found.append(reference(task, images, context))
    assert len(set(found)) == 5
    assert reference(task, scenes(8, seed=2), context) == found[-1]


def test_references_are_extracted_once_and_again_when_data_changed(
    context: EvalContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Counting(RandomConvFeatures):
        def __call__(self, images_NHW3: np.ndarray) -> np.ndarray:
            seen.append(len(images_NHW3))
            return super().__call__(images_NHW3)

    monkeypatch.setitem(EXTRACTORS, "random", lambda _: Counting(8))
    before = score(scenes(9, seed=31), context, ("fid",)).metrics[0]
    assert sum(seen) == 9 + 60
    assert score(scenes(9, seed=31), context, ("fid",)).metrics[0] == before
    score(scenes(9, seed=31), context, ("kid",))  # another task on the same images
    assert sum(seen) == 9 + 60
    assert context.data is not None
    samples(context.data / "val", scenes(1, seed=5, size=(48, 48)))  # in place of the first one
    after = score(scenes(9, seed=31), context, ("fid",)).metrics[0]
    assert sum(seen) == 9 + 60 + 60
    assert (after.id != before.id, after.value != before.value) == (True, True)


def test_a_limit_of_too_small_subsets_says_so(context: EvalContext) -> None:
    """There are 8 features; subsets begin with a tenth of the images."""
    few, enough = (score(scenes(num, seed=1), context, ("fid_inf",)).metrics[0] for num in (79, 80))
    assert "as subsets of 7 images are fewer than 8 features" in few.note
    assert "fewer than" not in enough.note


def test_references_are_scaled_and_cropped_to_the_nearest_of_the_drawn_sizes() -> None:
    wide, high = scenes(1, 0, size=(30, 60))[0], scenes(1, 0, size=(80, 66))[0]
    sizes = [(20, 20), (16, 32), (32, 16)]
    assert crop(wide, sizes, "bicubic").shape == (16, 32, 3)
    assert crop(high, sizes, "bicubic").shape == (20, 20, 3)


def test_published_statistics_take_the_place_of_references(context: EvalContext, tmp_path: Path) -> None:
    reference = RandomConvFeatures(8)(scenes(200, seed=3))
    path = tmp_path / "published.npz"
    np.savez(path, mu=reference.mean(axis=0), sigma=np.cov(reference, rowvar=False))
    given = EvalContext(weights=WeightFinder({"random-statistics": path}))
    found = score_with(given, tmp_path, ("fid",))
    assert found.metrics[0].value == pytest.approx(
        frechet(RandomConvFeatures(8)(scenes(30, seed=1)), reference), rel=1e-4
    )
    assert "published.npz" in found.caveats[0]
    lost = EvalContext(weights=WeightFinder({"random-statistics": tmp_path / "nothing.npz"}))
    with pytest.raises(ValueError, match="there is no such file"):
        score_with(lost, tmp_path, ("fid",))


def score_with(context: EvalContext, folder: Path, metrics: tuple[str, ...]) -> TaskScore:
    task = DistributionTask(features="random", metrics=metrics)
    return task.score(samples(folder / "drawn", scenes(30, seed=1)), context)


def frechet(one: np.ndarray, other: np.ndarray) -> float:
    from evaluation.metrics.frechet import frechet_distance

    return frechet_distance(one, other)


def test_too_few_images_and_missing_references_end_with_one_sentence(
    context: EvalContext, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match="at least 2 of them, got 1"):
        score(scenes(1, seed=1), context)
    with pytest.raises(ValueError, match="name a data set with --data"):
        score_with(EvalContext(weights=WeightFinder()), tmp_path, ("fid",))
    with pytest.raises(ValueError, match="have no classes"):
        score_with(context, tmp_path, ("is",))
    few = score(scenes(9, seed=1), context, ("fid", "fid_inf"))
    assert len(few.metrics) == 1
    assert "needs 20, got 9" in few.caveats[-1]


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_builds_and_only_published_networks_give_published_names(name: str) -> None:
    task, entry = build_task(name), TASKS[name]
    assert task.prompt_set == "captions"
    names = {template.split("[")[0] for template in entry.metrics}
    with_weights = [template for one in NAMES if TASKS[one].weights for template in TASKS[one].metrics]
    published = {template.split("[")[0] for template in with_weights}
    assert names <= published if entry.weights else names.isdisjoint(published)


@pytest.mark.parametrize("name", [name for name in NAMES if TASKS[name].stand_in_for])
def test_stand_ins_run_offline_with_the_ids_that_they_promise(
    name: str, context: EvalContext, tmp_path: Path
) -> None:
    found = build_task(name).score(samples(tmp_path / "drawn", scenes(20, seed=1)), context)
    promised = [template.split("[")[0] for template in TASKS[name].metrics]
    assert [metric.id.split("[")[0] for metric in found.metrics] == promised
    assert all("[effnet-lite0@128,uint8," in metric.id for metric in found.metrics)
    assert all(np.isfinite(metric.value) for metric in found.metrics)
