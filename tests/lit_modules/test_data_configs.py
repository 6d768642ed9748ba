"""The data of the paper's curriculum and of mixtures, as the shipped YAML files give it."""

from __future__ import annotations

from pathlib import Path

import pytest

from infinity.schedules import ASPECT_RATIOS, Resolution
from tests.lit_modules.test_configs import CONFIGS, PLACES, SIZES, files, instantiated

MIXTURES = sorted((CONFIGS / "mixture").glob("*.yaml"))
TOKENIZER = [CONFIGS / "vae/paper.yaml", CONFIGS / "vae/paper_d32.yaml"]


def stage(kind: str, name: str) -> Resolution:
    recipe = TOKENIZER if kind == "vae" else [CONFIGS / "ar/paper.yaml", SIZES["2b"]]
    model = [] if kind == "vae" else ["--model.vae=tokenizer"]
    config = instantiated(kind, [*files(*recipe, CONFIGS / kind / f"stage_{name}.yaml"), *PLACES, *model])
    assert config.model.resolution == config.data.resolution
    return config.data.resolution


@pytest.mark.parametrize("name", ["256", "512", "1024"])
def test_stages_of_the_transformer_have_all_aspect_ratios_at_their_size(name: str) -> None:
    resolution, side = stage("ar", name), int(name)
    assert resolution.image_size(1.0) == (side, side)
    assert sorted(resolution.aspect_ratios) == list(ASPECT_RATIOS)
    for ratio in resolution.aspect_ratios:
        height, width = resolution.image_size(ratio)
        assert height * width == pytest.approx(side**2, rel=0.3)
        assert height / width == pytest.approx(ratio, rel=0.05)


@pytest.mark.parametrize(("name", "num_ratios"), [("256", 1), ("1024", 15)])
def test_stages_of_the_tokenizer_have_their_sizes(name: str, num_ratios: int) -> None:
    resolution = stage("vae", name)
    assert resolution.image_size(1.0) == (int(name), int(name))
    assert len(resolution.aspect_ratios) == num_ratios


@pytest.mark.parametrize("path", MIXTURES, ids=lambda path: path.stem)
def test_a_mixture_takes_the_place_of_a_recipes_data_set(path: Path) -> None:
    recipe = [CONFIGS / "ar/paper.yaml", SIZES["2b"], CONFIGS / "ar/stage_256.yaml"]
    options = ["--model.vae=tokenizer", "--trainer.default_root_dir=run"]
    for argv in ([*files(*recipe, path), *options], files(CONFIGS / "ar/emoji.yaml", path)):
        data = instantiated("ar", argv).data
        assert data.root == ""
        assert len({source.root for source in data.mixture}) == len(data.mixture) > 1
        assert len({source.weight is None for source in data.mixture}) == 1  # all or none


def test_the_example_of_a_mixture_names_data_sets_that_ship() -> None:
    data = instantiated(
        "vae", files(CONFIGS / "vae/emoji.yaml", CONFIGS / "mixture/shapes_and_emoji.yaml")
    ).data
    assert [(source.root, source.weight) for source in data.mixture] == [
        ("data/shapesworld_basic", 3.0),
        ("data/emoji", 1.0),
    ]
    for source in data.mixture:
        assert (CONFIGS / f"{source.root}.yaml").is_file()
