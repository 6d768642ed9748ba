"""What the evaluation says of a model that draws: the demo's.

``pytest -m slow tests/integration/test_demo_evaluation.py --demo-run runs/demo-basic-15`` takes the model
that `make demo` has left there; without the option one is trained first, for minutes.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datamodules.packing import pack_dataset
from datamodules.shapesworld import ShapesWorldConfig, shapesworld_dataset
from evaluation.__main__ import main
from evaluation.image_folders import write_image
from evaluation.results import Result
from evaluation.shard_images import read_shard_images
from evaluation.tasks.api import EvalContext, EvalPrompt, EvalSample
from evaluation.tasks.registry import build_task
from evaluation.tokenizer.reconstruct import reconstruct_images
from evaluation.weights import WeightFinder
from infinity.pipeline import InfinityPipeline

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

NUM = 200


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    world = ShapesWorldConfig(num_train=NUM, num_val=NUM, prompts_per_task=8)
    pack_dataset(root, shapesworld_dataset(world))
    return root


def as_drawn(images: list[np.ndarray], folder: Path) -> list[EvalSample]:
    """Images as if the runner had drawn them."""
    samples = []
    for number, image in enumerate(images):
        path = folder / f"{number}.png"
        write_image(path, image)
        prompt = EvalPrompt(id=str(number), text="a picture")
        samples.append(EvalSample(prompt=prompt, index=0, path=path, sha256=f"{folder}/{number}", seed=0))
    return samples


def test_the_frechet_stand_in_orders_truth_reconstructions_samples_and_noise(
    demo_run: Path, data: Path, tmp_path: Path
) -> None:
    """Held-out images are rebuilt, and drawn from their captions; other pictures are the truth."""
    pipeline = InfinityPipeline.from_pretrained(demo_run / "ar" / "export")
    truth, held_out = ([image for _, image in read_shard_images(data, split)] for split in ("train", "val"))
    rng = np.random.default_rng(0)
    sets = {
        "truth": truth,
        "reconstructions": reconstruct_images(pipeline, held_out, 32),
        "noise": [rng.permutation(image.reshape(-1, 3)).reshape(image.shape) for image in held_out],
    }
    context = EvalContext(weights=WeightFinder(), pipeline=pipeline, data=data)
    task = build_task("frechet-effnet", metrics=("fid",))
    found = {
        name: task.score(as_drawn(group, tmp_path / name), context).metrics[0] for name, group in sets.items()
    }
    words = ["--model", f"{demo_run}/ar/export", "--data", f"{data}", "--output", f"{tmp_path}/run"]
    main(["run", *words, "--tasks", "frechet-effnet", "--cache", f"{tmp_path}/cache"])
    samples = Result.load(tmp_path / "run")[found["truth"].id]  # of as many images and the same references
    values = [found["truth"].value, found["reconstructions"].value, samples.value, found["noise"].value]
    assert values == sorted(values), values


def test_shapeseval_lies_between_its_baselines(demo_run: Path, data: Path, tmp_path: Path) -> None:
    words = ["--model", f"{demo_run}/ar/export", "--data", f"{data}", "--output", f"{tmp_path}"]
    main(["run", *words, "--tasks", "shapeseval,shapeseval-hard,shapeseval-baselines,shapeseval-ceiling"])
    overall = {
        metric.id.partition("verifier=1")[2]: metric.value
        for metric in Result.load(tmp_path).metrics
        if metric.id.endswith("/overall")
    }
    assert overall[",ground_truth]/id/overall"] == overall[",ground_truth]/ood/overall"] == 1
    assert overall[",reconstructions]/id/overall"] > 0.8
    for split in ("id", "ood"):
        model, ceiling = overall[f"]/{split}/overall"], overall[f",reconstructions]/{split}/overall"]
        assert overall[f",shuffled_prompts]/{split}/overall"] < model <= ceiling
    assert overall["]/ood/overall"] > overall[",nearest_training_prompt]/ood/overall"], "it composes"
    assert overall["]/hard/overall"] < overall["]/id/overall"]
