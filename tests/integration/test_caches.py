"""Training on cached features and text states is training on the images and captions behind them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from datamodules.__main__ import main as data_command
from infinity.checkpoints.io import save_pretrained
from infinity.quantizers.config import QuantizerConfig
from infinity.vae import VAE, VAEConfig
from lit_modules.cli import main
from tests.integration.runs import TINY_AR, TINY_VAE, checkpoint, fit, metrics, short, write_yaml
from tests.integration.test_resume import assert_same

PRECISIONS = ["32-true", "bf16-mixed"]


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    config = VAEConfig(
        quantizer=QuantizerConfig(num_bits=8),
        base_channels=32,
        encoder_multipliers=(1,),
        decoder_multipliers=(1,),
        num_res_blocks=1,
        stem_patch=8,
    )
    paths = [tmp_path_factory.mktemp("tokenizer") for _ in range(2)]
    for path in paths:
        save_pretrained(path, VAE(config))
    return paths


@pytest.fixture(scope="module")
def data(datasets: Path, tokenizers: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(shutil.copytree(datasets / "shapesworld_basic", tmp_path_factory.mktemp("data") / "cached"))
    options = ["--resolution.stride=8", "--resolution.sides=[1,2,4,8]", "--batch_size=4", "--num_workers=1"]
    for precision in PRECISIONS:
        again = [f"--precision={precision}", f"--out={root / precision}"]
        assert data_command(["cache", str(root), f"--vae={tokenizers[0]}", *options, *again]) == 0
    text = "--text={kind: hashing, hashing: {width: 32, max_len: 32}}"
    assert data_command(["cache", str(root), text, *options]) == 0
    return root


def cached(root: Path, precision: str = "32-true") -> str:
    found = [*(root / precision).glob("features-*"), *(root / "caches").glob("text-*")]
    return f"--data.caches=[{','.join(map(str, found))}]"


@pytest.mark.parametrize("precision", PRECISIONS)
def test_cached_training_has_the_losses_and_weights_of_a_plain_one(
    data: Path, tokenizers: list[Path], tmp_path: Path, precision: str
) -> None:
    config = write_yaml(tmp_path / "ar.yaml", TINY_AR)
    arguments = [f"--config={config}", f"--model.vae={tokenizers[0]}", f"--trainer.precision={precision}"]
    plain, fast = tmp_path / "plain", tmp_path / "fast"
    fit("ar", *arguments, *short(3, plain, data))
    fit("ar", *arguments, *short(3, fast, data), cached(data, precision))
    assert_same(checkpoint(plain)["state_dict"], checkpoint(fast)["state_dict"])
    losses = [
        {
            (step, name): row[name]
            for step, row in metrics(run).items()
            for name in row
            if name.endswith("/loss")
        }
        for run in (plain, fast)
    ]
    assert len(losses[0]) == 4, "three of training, one of validation"
    assert losses[0] == losses[1]


def test_caches_of_another_tokenizer_stop_a_run_before_it_begins(
    data: Path, tokenizers: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_yaml(tmp_path / "ar.yaml", TINY_AR)
    run = [f"--config={config}", f"--model.vae={tokenizers[1]}", *short(3, tmp_path / "run", data)]
    assert main(["ar", "fit", *run, cached(data)]) == 1
    assert "was made with the encoder vae-" in capsys.readouterr().err


def test_a_tokenizer_is_not_trained_on_cached_features(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write_yaml(tmp_path / "vae.yaml", TINY_VAE)
    assert main(["vae", "fit", f"--config={config}", *short(2, tmp_path / "run", data), cached(data)]) == 1
    assert "take the cache of features out of data.caches" in capsys.readouterr().err
