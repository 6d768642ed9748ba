"""Every YAML file of the project fits the dataclasses and commands that it is made for."""

from __future__ import annotations

import dataclasses
import re
from operator import attrgetter
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml

from datamodules import prepare_command
from datamodules.module import ImageTextDataModule
from infinity.configs import config_from_dict
from infinity.transformer import PRESETS
from lit_modules.cli import MODELS, SuiteCLI, train
from tests.static.project import ROOT

CONFIGS = ROOT / "configs"
SIZES = {path.stem.removeprefix("paper_"): path for path in sorted((CONFIGS / "ar").glob("paper_*.yaml"))}
TOKENIZERS = sorted((CONFIGS / "vae").glob("paper_*.yaml"))
COMPLETE = [
    path
    for kind in ("vae", "ar")
    for path in sorted((CONFIGS / kind).glob("*.yaml"))
    if not re.match("paper|small|stage", path.stem)
]
PLACES = ["--data.root=shards", "--trainer.default_root_dir=run"]


def files(*paths: Path) -> list[str]:
    return [f"--config={path}" for path in paths]


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves of a YAML file, by dotted key."""
    leaves: dict[str, Any] = {}
    for name, branch in tree.items():
        if isinstance(branch, dict):
            leaves |= flat(branch, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = branch
    return leaves


class ParsedCLI(SuiteCLI):
    """Parses the command line, and stops there."""

    def before_instantiate_classes(self) -> None:
        pass

    def instantiate_classes(self) -> None:
        self.config_init = self.config

    def _run_subcommand(self, subcommand: str) -> None:
        pass


def instantiated(kind: str, argv: list[str]) -> Any:
    """The configuration of `fit`, with the dataclasses of model and data in it."""
    config = train(kind, ["fit", *argv], ParsedCLI).config["fit"]
    for part, cls in {"model": MODELS[kind], "data": ImageTextDataModule}.items():
        for name, hint in get_type_hints(cls.__init__).items():
            if dataclasses.is_dataclass(hint):
                config[part][name] = config_from_dict(hint, config[part][name].as_dict())
    return config


@pytest.mark.parametrize("path", COMPLETE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_complete_configs_need_nothing_else(path: Path) -> None:
    config = instantiated(path.parent.name, files(path))
    assert config.trainer.max_time or config.trainer.max_steps > 0
    assert config.trainer.default_root_dir == f"runs/{path.parent.name}/{path.stem}"
    assert config.data.root == f"data/{path.stem}"


@pytest.mark.parametrize("stage", ["256", "512", "1024"])
def test_stages_of_the_paper_have_its_steps_batches_and_learning_rates(stage: str) -> None:
    argv = files(CONFIGS / "ar/paper.yaml", SIZES["2b"], CONFIGS / f"ar/stage_{stage}.yaml")
    config = instantiated("ar", [*argv, *PLACES, "--model.vae=tokenizer"])
    trainer = config.trainer
    world = trainer.num_nodes * trainer.devices
    expected = {
        "256": (150_000, 4096, 6e-5),
        "512": (110_000, 4096, 6e-5),
        "1024": (60_000, 2048, 2e-5),
    }
    batch = world * config.data.batch_size * trainer.accumulate_grad_batches
    assert (trainer.max_steps, batch, config.model.optimizer.lr) == expected[stage]
    assert config.model.objective.self_correction.max_flip == 0.3
    assert config.model.optimizer.betas == (0.9, 0.97)


@pytest.mark.parametrize("size", SIZES)
def test_transformers_of_the_paper_are_the_presets(size: str) -> None:
    presets = {name.lower(): preset for name, preset in PRESETS.items()}
    argv = files(CONFIGS / "ar/paper.yaml", SIZES[size], CONFIGS / "ar/stage_256.yaml")
    transformer = instantiated("ar", [*argv, *PLACES, "--model.vae=tokenizer"]).model.transformer
    for key, value in presets[size].items():
        assert getattr(transformer, key) == value, key


@pytest.mark.parametrize(
    ("size", "expected"), [("2b", (4.0, 0.5, 0.97)), ("8b", (3.0, 1.0, 0.97)), ("125m", (3.0, 1.0, 0.97))]
)
def test_transformers_of_the_paper_draw_as_the_official_scripts_do(
    size: str, expected: tuple[float, float, float]
) -> None:
    argv = files(CONFIGS / "ar/paper.yaml", SIZES[size], CONFIGS / "ar/stage_1024.yaml")
    sampling = instantiated("ar", [*argv, *PLACES, "--model.vae=tokenizer"]).model.sampling
    assert (sampling.guidance, sampling.temperature, sampling.top_p) == expected


@pytest.mark.parametrize(
    ("path", "stage"),
    [*((path, "256") for path in TOKENIZERS), (TOKENIZERS[-1], "1024")],
    ids=lambda part: getattr(part, "stem", part),
)
def test_tokenizers_of_the_paper_follow_its_recipe(path: Path, stage: str) -> None:
    argv = files(CONFIGS / "vae/paper.yaml", path, CONFIGS / f"vae/stage_{stage}.yaml")
    config = instantiated("vae", [*argv, *PLACES])
    vae = config.model.vae
    assert vae.token_stride == config.data.resolution.stride == 16
    world = config.trainer.num_nodes * config.trainer.devices
    assert (world, world * config.data.batch_size) == (32, {"256": 256, "1024": 64}[stage])
    assert config.trainer.precision == "32-true"
    assert config.model.optimizer.weight_decay == 0.01
    assert f"d{vae.num_bits}" in path.stem
    assert config.model.loss.gan_start_step == {"256": 50_000, "1024": 0}[stage]
    assert vae.quantizer.scale_depth_dropout == 0.5
    assert not vae.quantizer.detach_residual


@pytest.mark.parametrize("path", COMPLETE, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_small_recipe_says_what_it_changes(path: Path) -> None:
    """The shared file comes first, every key below it differs, and all others are taken from it."""
    change, base = (yaml.safe_load(file.read_text()) for file in (path, path.parent / "small.yaml"))
    assert next(iter(change)) == "config"
    assert change.pop("config") == "small.yaml"
    changed = flat(change)
    assert not changed.items() & flat(base).items()
    config = instantiated(path.parent.name, files(path))
    for key, value in {**flat(base), **changed}.items():
        got = attrgetter(key)(config)
        assert (list(got) if isinstance(got, tuple) else got) == value, key


def test_the_resolution_is_written_once() -> None:
    config = instantiated("vae", files(CONFIGS / "vae/emoji.yaml"))
    assert config.model.resolution == config.data.resolution


DATA = sorted(path for path in (CONFIGS / "data").glob("*.yaml") if "\nsource:" in path.read_text())


@pytest.mark.parametrize("path", DATA, ids=lambda path: path.stem)
def test_data_configs_are_what_prepare_takes(path: Path) -> None:
    assert prepare_command.parser().parse_args(["--config", str(path)]).out == f"data/{path.stem}"


@pytest.mark.parametrize(
    "path", [path for path in DATA if (CONFIGS / "vae" / path.name).is_file()], ids=lambda path: path.stem
)
def test_data_configs_are_what_the_training_configs_read(path: Path) -> None:
    written = yaml.safe_load(path.read_text())
    for kind in ("vae", "ar"):
        resolution = instantiated(kind, files(CONFIGS / kind / path.name)).data.resolution
        assert resolution.image_size(1.0) == (written["size"], written["size"])


@pytest.mark.parametrize("path", sorted((CONFIGS / "ar").glob("*.yaml")), ids=lambda path: path.stem)
def test_commands_in_headers_name_files_that_exist(path: Path) -> None:
    header = "".join(line for line in path.read_text().splitlines(True) if line.startswith("#"))
    for name in re.findall(r"configs/[\w./-]+\.yaml", header):
        assert (ROOT / name).is_file(), name
